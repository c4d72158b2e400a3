import { serde, topic, topology } from 'millrace';
import { z } from 'zod';

const Order = z.object({ id: z.string(), customerId: z.string(), cents: z.int() });
const Customer = z.object({ name: z.string(), tier: z.enum(['basic', 'gold']) });
const Enriched = Order.extend({ name: z.string(), tier: z.enum(['basic', 'gold', 'unknown']) });
export const orders = topic('orders', { key: serde.string(), value: serde.json(Order) });
export const customers = topic('customers', { key: serde.string(), value: serde.json(Customer) });
export const gold = topic('orders-gold', { key: serde.string(), value: serde.json(Enriched) });
export const others = topic('orders-others', { key: serde.string(), value: serde.json(Enriched) });
export default topology('enrichment', (t) => {
  const branches = t
    .stream(orders)
    .selectKey((order) => order.customerId, { as: 'by-customer' }) // repartitioned once, with the customers' key serde
    .leftJoin(t.table(customers), (order, customer) => ({ ...order, name: customer?.name ?? '', tier: customer?.tier ?? ('unknown' as const) }))
    .split({ gold: (order) => order.tier === 'gold' });
  branches.gold.to(gold);
  branches.rest.to(others);
});
