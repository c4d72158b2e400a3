// Pass: the store of an unchanged table() needs no changelog, its topic already holds the latest value per key (semantics 2.13).
// A store that lets rows go by itself keeps its own: what it deletes must not come back, and the topic is the user's.
import type { StoreSpec } from '@millrace/topology';
import type { Plan } from '../nodes.ts';

export function reuseSourceTopics(plan: Plan): Plan {
  const topicOf = new Map<string, string>();
  for (const node of plan.nodes) {
    if (node.kind !== 'tableSource') continue;
    for (const store of node.stores) topicOf.set(store, node.reading.topics[0]?.name ?? '');
  }
  if (topicOf.size === 0) return plan;
  return {
    ...plan,
    stores: plan.stores.map((store) => (topicOf.has(store.name) && !letsRowsGo(store) ? { ...store, sourceTopic: topicOf.get(store.name) } : store)),
  };
}

const letsRowsGo = (store: StoreSpec): boolean => store.kind === 'keyValue' && (store.entriesMax !== undefined || store.ttlMs !== undefined);
