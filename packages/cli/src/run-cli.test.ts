import { memoryDisk, memoryNetwork, seededChance, silentLogger, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import type { CliDeps } from './command.ts';
import { runCli } from './run-cli.ts';

interface Process {
  readonly deps: CliDeps;
  readonly out: string[];
  readonly err: string[];
  readonly exits: number[];
  readonly signal: () => void;
  /** Resolves when the first line is out. */
  readonly ready: Promise<void>;
  readonly time: ReturnType<typeof virtualTime>;
}

function fakeProcess(modules: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {}): Process {
  const time = virtualTime({ startMs: 1_000_000 });
  const out: string[] = [];
  const err: string[] = [];
  const exits: number[] = [];
  let stop: () => void = () => {};
  let printed: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    printed = resolve;
  });
  const deps: CliDeps = {
    printLine(line) {
      out.push(line);
      printed();
    },
    printError: (text) => void err.push(text),
    ports: { clock: time.clock, timers: time.timers, chance: seededChance(1), network: memoryNetwork(time.timers), disk: memoryDisk(), log: silentLogger },
    loadModule: async (path) => modules[path] ?? Promise.reject(new Error(`Cannot find module '${path}'`)),
    onStop(given) {
      stop = given;
      return () => {};
    },
    exitNow: (code) => void exits.push(code),
  };
  return { deps, out, err, exits, signal: () => stop(), ready, time };
}

/** Drives virtual time until `work` is done. */
async function driven<T>(time: Process['time'], work: Promise<T>): Promise<T> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  for (let step = 0; step < 10_000 && !done; step++) await time.advance(1);
  return ended;
}

test('the broker prints one line when it is ready and stops cleanly on a signal', async () => {
  const { deps, out, err, signal, ready, time } = fakeProcess();
  const code = runCli(['broker', '--port', '9092', '--data-dir=/data'], deps);
  await driven(time, ready);
  expect(out).toEqual(['broker ready on 127.0.0.1:9092, data in /data']);
  signal();
  expect(await driven(time, code)).toBe(0);
  expect(err).toEqual([]);
  const again = await deps.ports.network.listen({ host: '127.0.0.1', port: 9092 }, () => ({ onData() {}, onClose() {} }));
  expect(again.port).toBe(9092);
});

test('a second signal does not wait for a clean stop', async () => {
  const { deps, exits, signal, ready, time } = fakeProcess();
  const code = runCli(['broker', '--data-dir', '/data'], deps);
  await driven(time, ready);
  signal();
  signal();
  expect(exits).toEqual([1]);
  await driven(time, code);
});

test('a port in use is one paragraph on stderr and exit code 1', async () => {
  const { deps, out, err, time } = fakeProcess();
  await deps.ports.network.listen({ host: '127.0.0.1', port: 9092 }, () => ({ onData() {}, onClose() {} }));
  expect(await driven(time, runCli(['broker', '--data-dir', '/data'], deps))).toBe(1);
  expect(out).toEqual([]);
  expect(err).toHaveLength(1);
  expect(err[0]).toContain('9092');
  expect(err[0]).not.toContain('\n');
});

test.each([
  [['broker'], '--data-dir'],
  [['broker', '--data-dir'], 'needs a value'],
  [['broker', '--data-dir', '--port', '1'], 'needs a value'],
  [['broker', '--data-dir', 'd', '--port', 'http'], '--port is "http"'],
  [['broker', '--data-dir', 'd', '--port', '70000'], 'from 0 to 65535'],
  [['broker', '--data-dir', 'd', '--data-dir', 'e'], 'more than once'],
  [['broker', '--datadir', 'd'], '"--datadir" is not an option'],
  [['brokr'], 'There is no command "brokr"'],
])('%j is refused with what is right, and exit code 2', async (argv, words) => {
  const { deps, out, err } = fakeProcess();
  expect(await runCli(argv, deps)).toBe(2);
  expect(err.join()).toContain(words);
  expect(out).toEqual([]);
});

test('help begins with an example', async () => {
  for (const argv of [['--help'], ['broker', '--help'], ['help']]) {
    const { deps, out } = fakeProcess();
    expect(await runCli(argv, deps)).toBe(0);
    expect(out[0]).toMatch(/^Example: /);
  }
  const { deps, out } = fakeProcess();
  expect(await runCli([], deps)).toBe(2);
  expect(out[0]).toMatch(/^Example: /);
});
