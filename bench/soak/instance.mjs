// The instance under observation, a process of its own: runs the topology and tells its parent of its memory once a second.
// Arguments: broker address, state folder, workers. Ends when the parent says so.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { BroadcastChannel } from 'node:worker_threads';
import { createApp } from 'millrace';
import soak, { HEAP_CHANNEL } from './topology.mjs';

const SECOND_MS = 1000;
const MIB = 1024 * 1024;
const [address, stateDir, workers, engine] = process.argv.slice(2);

let worker = { heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
const channel = new BroadcastChannel(HEAP_CHANNEL);
channel.onmessage = ({ data }) => {
  worker = data;
};
const delay = monitorEventLoopDelay({ resolution: 1 });
const app = createApp(soak, {
  module: new URL('./topology.mjs', import.meta.url),
  brokers: [address],
  stateDir,
  engine,
  workers: Number(workers),
  createTopics: true,
  http: false,
});
app.finished?.().catch(() => undefined);
await app.start();
await app.waitFor('running');
delay.enable();

/** Garbage that nobody has collected yet is no growth: the main thread makes little, and collects seldom. */
let mainHeap = 0;
let samples = 0;
const timer = setInterval(() => {
  if (samples++ % 60 === 0) {
    globalThis.gc?.();
    mainHeap = process.memoryUsage().heapUsed;
  }
  const { rss, external, heapTotal } = process.memoryUsage();
  const metrics = app.metrics.snapshot();
  const processed = metrics.filter(({ name }) => name === 'process-total').reduce((sum, { value }) => sum + value, 0);
  const buffers = Object.fromEntries(
    metrics.filter(({ name }) => name === 'millrace_buffer_bytes').map(({ labels, value }) => [`${labels.thread_id}.${labels.buffer}`, value]),
  );
  process.send?.({
    kind: 'sample',
    rss: rss / MIB,
    mainHeap: mainHeap / MIB,
    external: external / MIB,
    workerHeap: worker.heapUsed / MIB,
    workerExternal: worker.external / MIB,
    // What is neither a JavaScript heap nor memory behind its buffers: the engine's, and what the allocator keeps.
    native: (rss - heapTotal - external - worker.heapTotal - worker.external) / MIB,
    processed,
    buffers,
  });
}, SECOND_MS);

process.on('message', async () => {
  clearInterval(timer);
  delay.disable();
  const delayMs = { p99: delay.percentile(99) / 1e6, p999: delay.percentile(99.9) / 1e6, max: delay.max / 1e6 };
  await app.close();
  process.send?.({ kind: 'end', delayMs }, () => process.exit(0));
});
