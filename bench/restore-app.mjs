// The program that bench/restore.mjs restores: one store of 100-byte values, two tasks.
import { serde, store, topic, topology } from 'millrace';

export const rows = store.keyValue('rows', { key: serde.string(), value: serde.bytes() });
const input = topic('in', { key: serde.string(), value: serde.bytes(), partitions: 2 });

export default topology('restore', (t) => {
  t.stream(input).process({ stores: [rows], create: (context) => ({ process: ({ key, value }) => context.store(rows).put(key, value) }) });
});
