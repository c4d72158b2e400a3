import { serde, topic, topology } from 'millrace';

interface Order {
  readonly customerId: string;
  readonly cents: number;
}
export const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
export const customers = topic('customers', { key: serde.string(), value: serde.json<{ name: string }>() });
export const named = topic('named-orders', { key: serde.string(), value: serde.string() });
export const unknown = topic('unknown-customers', { key: serde.string(), value: serde.json<Order>() });

export default topology('joins', (t) => {
  // The key is new, so the stream goes through a repartition topic, written with the table's key serde.
  const byCustomer = t.stream(orders).selectKey((order) => order.customerId, { as: 'by-customer' });
  const table = t.table(customers);

  // Without a row nothing comes out. Only the stream triggers.
  byCustomer.join(table, (order, customer, id) => `${customer.name} (${id}): ${order.cents}`).to(named);

  // Without a row the right side is undefined.
  byCustomer
    .leftJoin(table, (order, customer) => (customer === undefined ? order : null))
    .filter((order) => order !== null)
    .to(unknown);
});
