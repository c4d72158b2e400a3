// A decoder that never ends holds the thread that would say so: a second one looks on, says which input it is, and ends the process.
// Owns one thread, from `watchHangs` to `stop`.  Never: judges an input that ends; the runner does.
import { Worker } from 'node:worker_threads';

const HANG_MS = 120_000; // other work on the machine may stop a run for a while
const LOOKS_MS = 5_000;
const INPUT_MAX = 1 << 20;

export interface HangWatch {
  /** Before each execution. */
  begins(execution: number, input: Buffer): void;
  stop(): Promise<void>;
}

// Plain JavaScript, since the thread has no loader for anything else.
const LOOKER = `
const { writeSync } = require('node:fs');
const { workerData } = require('node:worker_threads');
const head = new Float64Array(workerData.shared, 0, 2);
let last = -1;
let since = Date.now();
setInterval(() => {
  if (head[0] !== last) { last = head[0]; since = Date.now(); return; }
  if (Date.now() - since < workerData.hangMs) return;
  const hex = Buffer.from(workerData.shared, 16, head[1]).toString('hex');
  writeSync(2, workerData.name + ': execution ' + last + ' does not end (' + head[1] + ' bytes): ' + hex + '\\n');
  process.kill(process.pid, 'SIGKILL');
}, workerData.looksMs);
`;

export function watchHangs(name: string, hangMs = HANG_MS): HangWatch {
  const shared = new SharedArrayBuffer(16 + INPUT_MAX);
  const head = new Float64Array(shared, 0, 2);
  const bytes = new Uint8Array(shared, 16);
  const looker = new Worker(LOOKER, { eval: true, workerData: { shared, name, hangMs, looksMs: Math.min(LOOKS_MS, hangMs) } });
  looker.unref();
  return {
    begins(execution, input) {
      bytes.set(input.subarray(0, INPUT_MAX));
      head[1] = Math.min(input.length, INPUT_MAX);
      head[0] = execution;
    },
    stop: async () => void (await looker.terminate()),
  };
}
