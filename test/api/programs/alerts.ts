import { deadLetter, serde, topic, topology, windows } from 'millrace';
import { z } from 'zod';

const Reading = z.object({ sensor: z.string(), celsius: z.number() });
const Alert = z.object({ sensor: z.string(), from: z.number(), mean: z.number(), readings: z.number() });
export const readings = topic('readings', { key: serde.string(), value: serde.json(Reading) });
export const alerts = topic('alerts', { key: serde.string(), value: serde.json(Alert) });
export default topology('alerts', (t) => {
  t.stream(readings, { onError: deadLetter('readings-dlq') }) // undecodable or invalid: kept, with the reason in its headers
    .groupByKey()
    .windowedBy(windows.tumbling({ size: '1 minute', grace: '10s' }))
    .aggregate({
      initial: () => ({ sum: 0, readings: 0 }),
      add: (total, reading) => ({ sum: total.sum + reading.celsius, readings: total.readings + 1 }),
      onError: (failure) => (failure.deliveries < 3 ? 'fail' : deadLetter('readings-dlq')),
    })
    .mapValues((total) => ({ mean: total.sum / total.readings, readings: total.readings }))
    .suppress({ until: 'windowClose', bytesMax: 32 * 1024 * 1024 })
    .toStream()
    .filter((total) => total.mean > 90)
    .map((total, { key, window }) => ({ key, value: { sensor: key, from: window.start, ...total } }))
    .to(alerts);
});
