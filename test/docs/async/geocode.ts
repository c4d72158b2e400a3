import { deadLetter, type ProcessorContext, serde, store, topic, topology } from 'millrace';

export interface Visit {
  readonly ip: string;
}
export interface Located extends Visit {
  readonly country: string;
}
export const visits = topic('visits', { key: serde.string(), value: serde.json<Visit>() });
export const located = topic('visits-located', { key: serde.string(), value: serde.json<Located>() });
export const countries = store.keyValue('countries', { key: serde.string(), value: serde.string() });

export default topology('geocode', (t) => {
  t.stream(visits)
    .selectKey((visit) => visit.ip, { key: serde.string() })
    .repartition({ as: 'by-ip' }) // one cache entry per address, wherever it is seen
    .processAsync(
      {
        stores: [countries],
        read: (record, stores) => stores.store(countries).get(record.key),
        call: async (record, known, { signal, idempotencyKey }) => known ?? lookUp(record.key, signal, idempotencyKey),
        apply(record, country, context: ProcessorContext<string, Located>) {
          context.store(countries).put(record.key, country);
          context.forward(record.withValue({ ...record.value, country }));
        },
      },
      {
        as: 'locate',
        concurrency: 64,
        timeout: '2s',
        retry: { attempts: 4, backoff: '100ms' },
        onError: deadLetter('visits-dlq'),
        key: serde.string(),
        value: serde.json<Located>(),
      },
    )
    .to(located);
});

async function lookUp(ip: string, signal: AbortSignal, idempotencyKey: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:8080/${ip}`, { signal, headers: { 'idempotency-key': idempotencyKey } });
  if (!response.ok) throw new Error(`the geocoder answered ${response.status}`);
  return response.text();
}
