// Pass: several repartitions below one key change become a single one right behind it, named after the first (semantics 2.13).
// Only what keeps keys and values may lie between: past a value change the serdes could differ. `repartition()` is never merged.

import { topologyError } from '@millrace/topology';
import { repartitionNodeNames } from '../names.ts';
import type { OperatorPlan, Plan, PlanNode, RepartitionPlan } from '../nodes.ts';
import { nodeById } from '../nodes.ts';

export function mergeRepartitions(plan: Plan): Plan {
  let next = plan;
  for (const [changer, repartitions] of gather(plan)) next = hoist(next, changer, repartitions);
  return next;
}

/** Repartitions by the key change they belong to, in order of declaration. */
function gather(plan: Plan): Map<number, RepartitionPlan[]> {
  const byChanger = new Map<number, RepartitionPlan[]>();
  for (const node of plan.nodes) {
    if (node.kind === 'operator' && node.effect === 'changesKey') byChanger.set(node.id, []);
    if (node.kind !== 'repartition' || !node.mergeable) continue;
    const nearest = nearestAbove(plan, node, (each) => each.effect !== 'keepsAll' && each.effect !== 'merges');
    const changer = nearestAbove(plan, node, (each) => each.effect === 'changesKey');
    if (changer !== undefined && nearest === changer) byChanger.get(changer.id)?.push(node);
  }
  for (const node of plan.nodes) if (node.kind === 'operator' && node.effect === 'merges') adoptByMerge(plan, node, byChanger);
  return new Map([...byChanger].filter(([, list]) => list.length > 0));
}

/** A merge of rekeyed streams stands for their key changes, where the repartitions hang below the merge. */
function adoptByMerge(plan: Plan, merge: OperatorPlan, byChanger: Map<number, RepartitionPlan[]>): void {
  const adopted: RepartitionPlan[] = [];
  for (const [changer, repartitions] of [...byChanger]) {
    if (!repartitions.some((each) => isBelow(plan, each, merge.id)) || !isBelow(plan, merge, changer)) continue;
    adopted.push(...repartitions);
    byChanger.delete(changer);
  }
  if (adopted.length > 0) byChanger.set(merge.id, adopted);
}

function hoist(plan: Plan, changer: number, repartitions: readonly RepartitionPlan[]): Plan {
  const [first] = repartitions as [RepartitionPlan];
  checkOneSerde(first, repartitions, 'key');
  checkOneSerde(first, repartitions, 'value');
  const gone = new Map(repartitions.map((each) => [each.id, each.parents[0] as number]));
  const merged: RepartitionPlan = {
    ...first,
    ...repartitionNodeNames(first.topic),
    // Just behind its key change and before anything else below it.
    id: changer + 0.5,
    parents: [changer],
    key: repartitions.find((each) => each.key !== undefined)?.key,
    value: repartitions.find((each) => each.value !== undefined)?.value,
    partitions: repartitions.find((each) => each.partitions !== undefined)?.partitions,
  };
  // Only the branches that lead to a merged repartition move behind it; others stay on the key change.
  const moved = new Set(repartitions.map((each) => childTowards(plan, each, changer)));
  const skip = (id: number): number => {
    let at = id;
    for (let above = gone.get(at); above !== undefined; above = gone.get(at)) at = above;
    return at;
  };
  const nodes = plan.nodes
    .filter((node) => !gone.has(node.id))
    .map((node): PlanNode => {
      const parents = node.parents.map((parent) => {
        const above = skip(parent);
        const branch = gone.has(parent) ? lastGone(gone, parent) : node.id;
        return above === changer && moved.has(branch) ? merged.id : above;
      });
      return { ...node, parents };
    });
  return {
    ...plan,
    nodes: [...nodes, merged],
    copartitioned: plan.copartitioned.map((group) => [...new Set(group.map((id) => (gone.has(id) ? merged.id : id)))]),
  };
}

/** One topic has one kind of bytes: groups and stores below it must agree on them. Throws ERR_TOPOLOGY. */
function checkOneSerde(first: RepartitionPlan, repartitions: readonly RepartitionPlan[], role: 'key' | 'value'): void {
  const known = repartitions.flatMap((each) => each[role]?.format ?? []);
  const other = known.find((format) => format !== known[0]);
  if (other === undefined) return;
  throw topologyError(
    `The optimizer makes one repartition topic, "${first.topic}", of ${repartitions.length} that follow one key change (${repartitions.map((each) => each.topic).join(', ')}), but their ${role}s are written as ${known[0]} and as ${other}. Give the groups or stores one ${role} serde, put a repartition() before one of them, or leave 'mergeRepartitions' out of { optimize }.`,
    { topic: first.topic },
  );
}

/** The removed repartition at the top of the chain that starts at `id`. */
function lastGone(gone: ReadonlyMap<number, number>, id: number): number {
  let at = id;
  for (let above = gone.get(at); above !== undefined && gone.has(above); above = gone.get(at)) at = above;
  return at;
}

/** The child of `ancestor` on the way down to `node`; `node` itself if it hangs directly below. */
function childTowards(plan: Plan, node: PlanNode, ancestor: number): number {
  if (node.parents.includes(ancestor)) return node.id;
  for (const parent of node.parents) {
    const above = nodeById(plan, parent);
    if (isBelow(plan, above, ancestor)) return childTowards(plan, above, ancestor);
  }
  return node.id;
}

function isBelow(plan: Plan, node: PlanNode, ancestor: number): boolean {
  return node.parents.some((parent) => parent === ancestor || isBelow(plan, nodeById(plan, parent), ancestor));
}

/** The first operator above that fits, not looking past a repartition. */
function nearestAbove(plan: Plan, node: PlanNode, fits: (operator: OperatorPlan) => boolean): OperatorPlan | undefined {
  for (const parent of node.parents) {
    const above = nodeById(plan, parent);
    if (above.kind === 'operator' && fits(above)) return above;
    const found = nearestAbove(plan, above, fits);
    if (found !== undefined) return found;
  }
  return undefined;
}
