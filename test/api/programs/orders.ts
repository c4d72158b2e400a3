import { isMain, run, serde, store, topic, topology } from 'millrace';
import { z } from 'zod';

const Order = z.object({ customer: z.string(), cents: z.int() });
export const orders = topic('orders', { key: serde.string(), value: serde.json(Order) });
export const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
export const spent = store.keyValue('spent', { key: serde.string(), value: serde.safeInt() });

const orderTotals = topology('order-totals', (t) => {
  t.stream(orders)
    .filter((order) => order.cents > 0)
    .groupBy((order) => order.customer)
    .aggregate({ initial: () => 0, add: (sum, order) => sum + order.cents, store: spent })
    .toStream()
    .peek((cents, customer) => console.log(customer, cents))
    .to(totals);
});
export default orderTotals;

if (isMain(import.meta)) await run(orderTotals, { module: import.meta.url });
