import { deadLetter, type ProcessorContext, serde, store, topic, topology } from 'millrace';

interface Visit {
  ip: string;
}
interface Located extends Visit {
  country: string;
}
export const visits = topic('visits', { key: serde.string(), value: serde.json<Visit>() });
export const located = topic('visits-located', { key: serde.string(), value: serde.json<Located>() });
export const countries = store.keyValue('countries', { key: serde.string(), value: serde.string(), ttl: '7 days' });
export default topology('geocode', (t) => {
  t.stream(visits)
    .selectKey((visit) => visit.ip)
    .repartition({ as: 'by-ip' }) // one cache entry per address, wherever it is seen
    .processAsync(
      {
        stores: [countries],
        read: (record, stores) => stores.store(countries).get(record.key),
        call: async (record, known, { signal, idempotencyKey }) => {
          if (known !== undefined) return known;
          const response = await fetch(`https://geo.example/${record.key}`, { signal, headers: { 'idempotency-key': idempotencyKey } });
          if (!response.ok) throw new Error(`geo.example answered ${response.status}`);
          return response.text();
        },
        apply: (record, country, context: ProcessorContext<string, Located>) => {
          context.store(countries).put(record.key, country);
          context.forward(record.withValue({ ...record.value, country }));
        },
      },
      { concurrency: 64, timeout: '2s', retry: { attempts: 4, backoff: '100ms' }, onError: deadLetter('visits-dlq') },
    )
    .to(located);
});
