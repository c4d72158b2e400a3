import { serde, store, topic, topology } from 'millrace';
export const lines = topic('lines', { value: serde.string() }); // no key
export const wordCounts = topic('word-counts', { key: serde.string(), value: serde.safeInt() });
export const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
export default topology('word-count', (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
    .groupBy((word) => word)
    .count({ store: counts }) // a count is never deleted, so …
    .toStream()
    .to(wordCounts); // … no tombstone reaches a topic that has no room for one
});
