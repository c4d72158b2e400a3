// What the soak runs: filter, a shuffle, a count per key, a count per 10 s window that is shown when it closes; every kind of buffer is at work.
// In a worker thread the module also tells of the thread's own heap, which nobody can see from outside.
import { BroadcastChannel, isMainThread } from 'node:worker_threads';
import { serde, store, topic, topology, windows } from 'millrace';

export const HEAP_CHANNEL = 'soak-heap';
const SECOND_MS = 1000;

const input = topic('soak-in', { key: serde.string(), value: serde.json(), partitions: 4 });
const totals = topic('soak-totals', { key: serde.string(), value: serde.safeInt(), partitions: 4 });
const closed = topic('soak-windows', { key: serde.string(), value: serde.safeInt(), partitions: 4 });

/** A minute of rows, not a day of them: state that grows for half an hour would hide what else does. */
const recent = store.window('recent', { key: serde.string(), value: serde.safeInt(), retention: '1m' });

export default topology('soak', (t) => {
  const events = t.stream(input).filter((value) => value.amount >= 0);
  events
    .groupBy((value) => value.user, { as: 'by-user', key: serde.string(), value: serde.json() })
    .count({ store: store.keyValue('totals', { key: serde.string(), value: serde.safeInt() }) })
    .toStream()
    .to(totals);
  events
    .groupByKey()
    .windowedBy(windows.tumbling({ size: '10s', grace: '2s' }))
    .count({ emit: 'onWindowClose', store: recent })
    .toStream()
    .map((count, { key, window }) => ({ key: `${key}@${window.start}`, value: count }))
    .to(closed);
});

if (!isMainThread) {
  const channel = new BroadcastChannel(HEAP_CHANNEL);
  channel.unref();
  const tell = () => {
    const { heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
    channel.postMessage({ heapTotal, heapUsed, external, arrayBuffers });
  };
  setInterval(tell, SECOND_MS).unref();
}
