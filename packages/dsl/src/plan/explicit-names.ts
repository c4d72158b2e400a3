// naming: 'explicit': every store and repartition topic has a name that its owner gave, so no later edit can rename one and orphan its data.
import { topologyError } from '@millrace/topology';
import type { Plan } from './nodes.ts';

/** What the counter has named, or named after something that it has. */
const GENERATED = /-[0-9]{10}(-|$)/;

/** Throws ERR_TOPOLOGY with everything that has no name of its own. */
export function checkExplicitNames(plan: Plan): void {
  const kept = [...plan.stores, ...plan.nodes.flatMap((node) => (node.kind === 'globalStore' ? [node.store] : []))];
  const stores = kept.map(({ name }) => name).filter((name) => GENERATED.test(name));
  const topics = plan.nodes.flatMap((node) => (node.kind === 'repartition' && GENERATED.test(node.topic) ? [node.topic] : []));
  if (stores.length + topics.length === 0) return;
  const lines = [
    ...stores.map((name) => `store "${name}": give its operator { store: … }, a join { storeName }, suppress { as }`),
    ...topics.map((name) => `repartition topic "${name}": give the groupBy, join, toTable or repartition { as }`),
  ];
  throw topologyError(`naming is 'explicit', and these names are generated; an edit could change them and leave their data behind:\n  ${lines.join('\n  ')}`, {
    unnamed: stores.length + topics.length,
  });
}
