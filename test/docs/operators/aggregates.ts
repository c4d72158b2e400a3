import { serde, store, topic, topology } from 'millrace';

interface Order {
  readonly customer: string;
  readonly cents: number;
}
export const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
export const counts = topic('order-counts', { key: serde.string(), value: serde.safeInt() });
export const largest = topic('largest-orders', { key: serde.string(), value: serde.json<Order>() });
export const open = topic('open-amounts', { key: serde.string(), value: serde.nullable(serde.safeInt()) });
export const orderCounts = store.keyValue('order-counts', { key: serde.string(), value: serde.safeInt() });

export default topology('aggregates', (t) => {
  const byCustomer = t.stream(orders).groupBy((order) => order.customer, { as: 'by-customer' }); // one repartition topic for all three

  // A store gives the result a name that queries and later versions find it by.
  byCustomer.count({ store: orderCounts }).toStream().to(counts);

  // The first value of a key as it is, then the larger of the two.
  byCustomer
    .reduce((a, b) => (a.cents >= b.cents ? a : b))
    .toStream()
    .to(largest);

  // `null` deletes the row. Then the results may hold null, and only a nullable topic takes them.
  byCustomer
    .aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents || null, emit: 'onUpdate' })
    .toStream()
    .to(open);
});
