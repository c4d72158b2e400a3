// The brokers under measurement, each a process of its own, and what they cost: CPU seconds (user and system, all threads) and memory.
// Owns: start and stop.  Never: measures time.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startKafka } from '../../scripts/kafka.mjs';

const TICKS_PER_SECOND = 100; // Linux's USER_HZ, everywhere

/** The embedded broker; `flags` are Node's. */
export async function startMillrace(dataDir, { fsync = 'never', flags = [] } = {}) {
  const began = process.hrtime.bigint();
  const child = spawn(process.execPath, [...flags, fileURLToPath(new URL('broker-process.mjs', import.meta.url)), dataDir, fsync], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let errors = '';
  child.stderr.on('data', (text) => {
    errors = (errors + text).slice(-4000);
  });
  const address = await new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const match = /ready on (\S+:\d+)/.exec(text);
      if (match !== null) resolve(match[1]);
    });
    void exited.then((code) => reject(new Error(`the broker ended with code ${code}: ${errors}`)));
  });
  const readyMs = Number(process.hrtime.bigint() - began) / 1e6;
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    await exited;
  };
  return { name: 'millrace', address, pid: child.pid, readyMs, stop };
}

export async function startApacheKafka(settings) {
  const kafka = await startKafka(settings);
  return { name: 'kafka', ...kafka };
}

/** CPU seconds of the process so far; undefined where the system does not tell (no /proc). */
export function cpuSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return undefined;
  }
}

/** Resident memory now, in MiB, and the highest so far; undefined where the system does not tell. */
export function memoryMiB(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const of = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
    return { now: of('VmRSS'), peak: of('VmHWM') };
  } catch {
    return undefined;
  }
}

/** Runs `work` and tells wall seconds and the broker's CPU seconds meanwhile. */
export async function metered(broker, work) {
  const cpuBefore = cpuSeconds(broker.pid);
  const began = process.hrtime.bigint();
  const result = await work();
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const cpuAfter = cpuSeconds(broker.pid);
  return { result, seconds, cpuSeconds: cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore };
}
