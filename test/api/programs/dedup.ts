import { type ProcessorSpec, serde, store, topic, topology } from 'millrace';

interface Payment {
  id: string;
  cents: number;
}
export const payments = topic('payments', { key: serde.string(), value: serde.json<Payment>() });
export const unique = topic('payments-unique', { key: serde.string(), value: serde.json<Payment>() });
export const seen = store.keyValue('seen', { key: serde.string(), value: serde.safeInt() });
function firstOnly<K, V>(id: (value: V) => string, ttlMs: number): ProcessorSpec<K, V, K, V> {
  return {
    stores: [seen],
    create(context) {
      const firstSeen = context.store(seen);
      context.schedule('10 minutes', 'streamTime', (at) => {
        using rows = firstSeen.range();
        for (const row of rows) if (row.value < at - ttlMs) firstSeen.delete(row.key);
      });
      return {
        process(record) {
          if (firstSeen.putIfAbsent(id(record.value), record.timestamp) === undefined) context.forward(record);
        },
      };
    },
  };
}
export default topology('dedup', (t) => {
  t.stream(payments)
    .process(
      firstOnly((payment) => payment.id, 86_400_000),
      { as: 'first-only' },
    )
    .to(unique);
});
