import { serde, store, topic, topology } from 'millrace';

export interface Customer {
  readonly orders: number;
  readonly complaints: number;
}
export const bought = topic('bought', { key: serde.string(), value: serde.json<{ readonly customer: string }>() });
export const complained = topic('complained', { key: serde.string(), value: serde.string() });
export const customers = store.keyValue('customers', { key: serde.string(), value: serde.json<Customer>() });

export default topology('cogrouped', (t) => {
  // Two streams, one row per customer: each stream has its own way of adding to it.
  t.stream(bought)
    .groupBy((order) => order.customer, { as: 'bought-by-customer' })
    .cogroup<Customer>({ initial: () => ({ orders: 0, complaints: 0 }), add: (customer) => ({ ...customer, orders: customer.orders + 1 }) })
    .cogroup(t.stream(complained).groupByKey(), (customer) => ({ ...customer, complaints: customer.complaints + 1 }))
    .aggregate({ store: customers });
});
