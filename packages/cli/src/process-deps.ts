// The real process behind the commands: its streams, its signals, the machine's ports.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jsonLogger, LOG_LEVELS, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from '@millrace/core';
import type { CliDeps } from './command.ts';

/** MILLRACE_LOG sets the level of the log on stderr (debug, info, warn, error); warn where it is not set. */
export function processDeps(): CliDeps {
  const level = LOG_LEVELS.find((one) => one === process.env.MILLRACE_LOG) ?? 'warn';
  const log = jsonLogger(
    level,
    (line) => void process.stderr.write(`${line}\n`),
    () => systemClock.nowMs(),
  );
  return {
    printLine: (line) => void process.stdout.write(`${line}\n`),
    printError: (text) => void process.stderr.write(`${text}\n`),
    ports: { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log },
    loadModule: (path) => import(pathToFileURL(resolve(path)).href) as Promise<Readonly<Record<string, unknown>>>,
    onStop(stop) {
      process.on('SIGTERM', stop);
      process.on('SIGINT', stop);
      return () => void process.off('SIGTERM', stop).off('SIGINT', stop);
    },
    onReload(reload) {
      process.on('SIGHUP', reload);
      return () => void process.off('SIGHUP', reload);
    },
    exitNow: (code) => process.exit(code),
  };
}
