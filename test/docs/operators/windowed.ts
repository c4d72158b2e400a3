import { serde, store, topic, topology, windows } from 'millrace';

export const readings = topic('readings', { key: serde.string(), value: serde.float64() });
export const peaks = topic('peaks', { key: serde.windowed(serde.string(), { size: '1 minute' }), value: serde.float64() });
export const activity = store.window('activity', { key: serde.string(), value: serde.safeInt(), retention: '1 day' });
export const bursts = store.window('bursts', { key: serde.string(), value: serde.safeInt(), retention: '1 day' });

export default topology('windowed', (t) => {
  const bySensor = t.stream(readings).groupByKey();

  // One row per sensor and minute. A reading more than ten seconds after the end of its minute is dropped and counted.
  bySensor
    .windowedBy(windows.tumbling({ size: '1 minute', grace: '10s' }))
    .reduce((highest, celsius) => Math.max(highest, celsius))
    .toStream()
    .to(peaks);

  // Ten minutes that begin every minute: each reading counts in ten windows.
  bySensor.windowedBy(windows.hopping({ size: '10 minutes', advance: '1 minute', grace: 0 })).count({ store: activity });

  // Every stretch of five seconds that holds other readings than the one before: bursts are seen wherever they begin.
  bySensor.windowedBy(windows.sliding({ difference: '5s', grace: '10s' })).count({ store: bursts });
});
