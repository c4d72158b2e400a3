// Pass: the store of an unchanged table() needs no changelog, its topic already holds the latest value per key (semantics 2.13).
import type { Plan } from '../nodes.ts';

export function reuseSourceTopics(plan: Plan): Plan {
  const topicOf = new Map<string, string>();
  for (const node of plan.nodes) {
    if (node.kind !== 'tableSource') continue;
    for (const store of node.stores) topicOf.set(store, node.reading.topics[0]?.name ?? '');
  }
  if (topicOf.size === 0) return plan;
  return { ...plan, stores: plan.stores.map((store) => (topicOf.has(store.name) ? { ...store, sourceTopic: topicOf.get(store.name) } : store)) };
}
