import { serde, store, topic, topology } from 'millrace';

export const readings = topic('readings', { key: serde.string(), value: serde.float64() });
export const alarms = topic('alarms', { key: serde.string(), value: serde.string() });
export const steps = topic('steps', { key: serde.string(), value: serde.float64() });
export const latest = store.keyValue('latest-reading', { key: serde.string(), value: serde.float64() });
export const before = store.keyValue('reading-before', { key: serde.string(), value: serde.float64() });

export default topology('processors', (t) => {
  const sensors = t.stream(readings);

  // Keys stay, so nothing is repartitioned: each reading as the step from the one before.
  sensors
    .processValues({
      stores: [before],
      create: (context) => ({
        process(record) {
          const last = context.store(before).get(record.key);
          context.store(before).put(record.key, record.value);
          if (last !== undefined) context.forward(record.withValue(record.value - last));
        },
      }),
    })
    .to(steps);

  // Any key, any value, at any time: who has been silent for a minute of event time is reported, once.
  sensors
    .process<string, string>({
      stores: [latest],
      create(context) {
        context.schedule('1 minute', 'streamTime', (now) => {
          const readings = context.store(latest);
          for (const { key, timestamp } of readings.range()) {
            if (timestamp + 60_000 > now) continue;
            context.forward(context.record(key, 'silent', now), { to: 'alarms' });
            readings.delete(key);
          }
        });
        return { process: (record) => context.store(latest).put(record.key, record.value) };
      },
    })
    .to(alarms, { as: 'alarms' });
});
