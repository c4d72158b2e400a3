import { serde, topic, topology } from 'millrace';

interface Order {
  readonly tier: 'gold' | 'plain';
  readonly cents: number;
}
export const orders = topic('orders', { key: serde.string(), value: serde.nullable(serde.json<Order>()) });
export const gold = topic('gold-orders', { key: serde.string(), value: serde.json<Order>() });
export const large = topic('large-orders', { key: serde.string(), value: serde.json<Order>() });
export const others = topic('other-orders', { key: serde.string(), value: serde.nullable(serde.json<Order>()) });

export default topology('branches', (t) => {
  // Each record goes to the first branch that accepts it. A written type guard narrows the branch.
  const byKind = t.stream(orders).split({
    gold: (order): order is Order => order?.tier === 'gold',
    large: (order): order is Order => order !== null && order.cents > 10_000,
  });
  byKind.gold.to(gold);
  byKind.large.to(large);
  byKind.rest.to(others); // what no branch took; leave it out, and those records end here
});
