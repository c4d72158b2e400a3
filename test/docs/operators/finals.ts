import { serde, store, topic, topology, windows } from 'millrace';

export const meters = topic('meters', { key: serde.string(), value: serde.float64() });
export const lateReadings = topic('late-readings', { key: serde.string(), value: serde.float64() });
export const hourlyUse = topic('hourly-use', { key: serde.windowed(serde.string(), { size: '1 hour' }), value: serde.float64() });
export const roundedHours = topic('rounded-hours', { key: serde.windowed(serde.string(), { size: '1 hour' }), value: serde.float64() });
export const current = topic('current', { key: serde.string(), value: serde.float64() });
export const useByHour = store.window('use-by-hour', { key: serde.string(), value: serde.float64(), retention: '1 day' });

export default topology('finals', (t) => {
  const readings = t.stream(meters).groupByKey();
  const hours = windows.tumbling({ size: '1 hour', grace: '10 minutes' });

  // One result per meter and hour, ten minutes after the hour has ended. What comes later still can be found in a topic.
  readings
    .windowedBy(hours, { late: lateReadings })
    .reduce((kwh, more) => kwh + more, { store: useByHour, emit: 'onWindowClose' })
    .toStream()
    .to(hourlyUse);

  // With a table operator in between it is suppress that waits.
  readings
    .windowedBy(hours)
    .reduce((kwh, more) => kwh + more)
    .mapValues((kwh) => Math.round(kwh / 10) * 10)
    .suppress({ until: 'windowClose' })
    .toStream()
    .to(roundedHours);

  // Not more than one update per meter and minute; at most ten thousand meters wait, then the oldest go early.
  readings
    .reduce((_before, now) => now)
    .suppress({ until: '1 minute', recordsMax: 10_000 })
    .toStream()
    .to(current);
});
