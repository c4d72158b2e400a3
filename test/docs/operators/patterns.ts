import { serde, store, topic, topicPattern, topology } from 'millrace';

const line = { key: serde.string(), value: serde.string() };
/** `logs-eu`, `logs-us`, and the region that is added next year. */
export const logs = topicPattern(/logs-.+/, line);
export const errors = topic('all-errors', line);
export const lines = store.keyValue('lines', { key: serde.string(), value: serde.safeInt() });

export default topology('patterns', (t) => {
  const all = t.stream(logs);
  // The topic that a record came from is in its context.
  all
    .filter((text) => text.startsWith('ERROR'))
    .mapValues((text, _host, context) => `${context.source?.topic}: ${text}`)
    .to(errors);
  // Through a repartition, so that topics may have any number of partitions and a host is counted in one place.
  all.groupBy((_text, host) => host).count({ store: lines });
});
