// Pass: a join of a stream with itself needs one buffer, not two (semantics 2.13). Both sides are one stream once they hang below one node.
// Left and outer joins as well, since a record always meets itself; those without a key are dropped then. So does Kafka Streams.
import type { OperatorPlan, Plan, SelfJoinPlan } from '../nodes.ts';

export function joinOverOneStore(plan: Plan): Plan {
  let next = plan;
  for (const node of plan.nodes) {
    if (node.kind !== 'operator' || node.overOneStore === undefined) continue;
    const { thisBuffer, otherBuffer } = node.overOneStore;
    if (parentOf(plan, thisBuffer) === parentOf(plan, otherBuffer)) next = rewrite(next, node, node.overOneStore);
  }
  return next;
}

function rewrite(plan: Plan, result: OperatorPlan, how: SelfJoinPlan): Plan {
  const gone = new Set([how.otherBuffer, how.thisJoin, how.otherJoin]);
  return {
    ...plan,
    stores: plan.stores.filter((store) => !how.otherStores.includes(store.name)),
    nodes: plan.nodes
      .filter((node) => !gone.has(node.id))
      .map((node) => (node.id === result.id ? { ...result, parents: [how.thisBuffer], stores: [how.store], create: how.create } : node)),
  };
}

function parentOf(plan: Plan, id: number): number | undefined {
  return plan.nodes.find((node) => node.id === id)?.parents[0];
}
