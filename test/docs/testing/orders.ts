import { serde, store, topic, topology, windows } from 'millrace';

export interface Order {
  readonly customer: string;
  readonly cents: number;
}
export const orders = topic('orders', { key: serde.string(), value: serde.json<Order>() });
export const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
export const reminders = topic('reminders', { key: serde.string(), value: serde.string() });
export const spent = store.keyValue('spent', { key: serde.string(), value: serde.safeInt() });
export const perMinute = store.window('per-minute', { key: serde.string(), value: serde.safeInt() });

export default topology('order-totals', (t) => {
  const byCustomer = t
    .stream(orders)
    .filter((order) => order.cents > 0)
    .groupBy((order) => order.customer);
  byCustomer
    .aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents, store: spent })
    .toStream()
    .to(totals);
  byCustomer.windowedBy(windows.tumbling({ size: '1m', grace: '10s' })).count({ store: perMinute });

  t.stream(orders)
    .process<string, string>({
      create(context) {
        context.schedule('1 hour', 'wallClock', (at) => context.forward(context.record('all', 'an hour has passed', at)));
        return { process() {} };
      },
    })
    .to(reminders);
});
