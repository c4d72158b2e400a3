// The topology under torture. Every output record carries the (generator, seq) of the one input that caused it, so that a reader can
// tell for each input whether it was counted once: per key, behind a repartition per window, and in a join.
import { serde, store, topic, topology, windows } from 'millrace';

const PARTITIONS = 4;
const json = () => serde.json();

export const input = topic('torture-in', { key: serde.string(), value: json(), partitions: PARTITIONS, timestamp: (value) => value.at });
export const names = topic('torture-names', { key: serde.string(), value: json(), partitions: PARTITIONS });
const counts = topic('torture-counts', { key: serde.string(), value: json(), partitions: PARTITIONS });
const joined = topic('torture-joined', { key: serde.string(), value: json(), partitions: PARTITIONS });
const windowed = topic('torture-windows', { key: serde.windowed(serde.string(), { size: '10s' }), value: json(), partitions: PARTITIONS });

const perKey = store.keyValue('per-key', { key: serde.string(), value: json() });
const perWindow = store.window('per-window', { key: serde.string(), value: json() });

/** One more: how many so far, their sum, and whose turn this was. */
const add = (sum, value) => ({ n: sum.n + 1, sum: sum.sum + value.amount, g: value.g, s: value.s });
const initial = () => ({ n: 0, sum: 0, g: '', s: -1 });

export default topology('torture', (t) => {
  const entries = t.stream(input);
  entries.groupByKey().aggregate({ initial, add, store: perKey, emit: 'onUpdate' }).toStream().to(counts);
  entries
    .groupBy((value) => `bucket-${value.s % 7}`, { as: 'by-bucket' })
    .windowedBy(windows.tumbling({ size: '10s', grace: '365 days' }))
    .aggregate({ initial, add, store: perWindow, emit: 'onUpdate' })
    .toStream()
    .to(windowed);
  entries.join(t.table(names), (value, name) => ({ g: value.g, s: value.s, name: name.name })).to(joined);
});
