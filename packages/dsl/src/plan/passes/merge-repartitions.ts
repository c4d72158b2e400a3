// Pass: several repartitions below one key change become a single one right behind it, named after the first (semantics 2.13).
// Only what keeps keys and values may lie between: past a value change the serdes could differ. `repartition()` is never merged.
// `loose` is the pass as Kafka Streams 4.3.1 has it, for applications that are taken over: it takes process() and processValues() for operators that
// keep key and value, and looks at one way up only where streams have been merged. Without it a repartition moves only where every record that
// reached it goes on passing it.

import { topologyError } from '@millrace/topology';
import { repartitionNodeNames } from '../names.ts';
import type { OperatorPlan, Plan, PlanNode, RepartitionPlan } from '../nodes.ts';
import { nodeById } from '../nodes.ts';

export function mergeRepartitions(plan: Plan, loose: boolean): Plan {
  let next = plan;
  for (const [point, repartitions] of gather(plan, loose)) {
    if (loose) checkBranches(next, point, repartitions);
    next = hoist(next, point, repartitions);
  }
  return next;
}

/** Repartitions by the node that they move behind, in order of declaration. */
function gather(plan: Plan, loose: boolean): Map<number, RepartitionPlan[]> {
  const byPoint = new Map<number, RepartitionPlan[]>();
  const stops = ({ effect }: OperatorPlan): boolean => effect === 'changesKey' || effect === 'changesValue' || (effect === 'changesUnseen' && !loose);
  for (const node of plan.nodes) {
    if (node.kind === 'operator' && node.effect === 'changesKey') byPoint.set(node.id, []);
    if (node.kind !== 'repartition' || !node.mergeable) continue;
    const nearest = nearestAbove(plan, node, stops);
    if (nearest?.effect === 'changesKey') byPoint.get(nearest.id)?.push(node);
  }
  adoptByMerges(plan, byPoint);
  const stay = (point: number, all: readonly RepartitionPlan[]): RepartitionPlan[] =>
    loose ? [...all] : all.filter((each) => passesAlways(plan, each, point));
  return new Map([...byPoint].map(([point, all]) => [point, stay(point, all)] as const).filter(([, all]) => all.length > 0));
}

/** A merge of rekeyed streams stands for their key changes, where all of the repartitions hang below the merge. */
function adoptByMerges(plan: Plan, byPoint: Map<number, RepartitionPlan[]>): void {
  const changers = [...byPoint];
  const adopted = new Set<number>();
  for (const merge of plan.nodes) {
    if (merge.kind !== 'operator' || merge.effect !== 'merges') continue;
    const fitting = changers.filter(([changer, all]) => all.every((each) => isBelow(plan, each, merge.id)) && isBelow(plan, merge, changer));
    byPoint.set(merge.id, [...new Set(fitting.flatMap(([, all]) => all))]);
    for (const [changer] of fitting) adopted.add(changer);
  }
  for (const changer of adopted) byPoint.delete(changer);
}

/** Does every way up from `node` lead through `point`, with nothing between that changes keys or values? */
function passesAlways(plan: Plan, node: PlanNode, point: number): boolean {
  return node.parents.every((parent) => {
    if (parent === point) return true;
    const above = nodeById(plan, parent);
    return above.kind === 'operator' && (above.effect === 'keepsAll' || above.effect === 'merges') && passesAlways(plan, above, point);
  });
}

/** Kafka Streams cannot build this: it moves a branch once, and does not find it for the second repartition. Throws ERR_TOPOLOGY. */
function checkBranches(plan: Plan, point: number, repartitions: readonly RepartitionPlan[]): void {
  const branches = repartitions.map((each) => (isBelow(plan, each, point) ? childTowards(plan, each, point) : undefined));
  if (branches.every((branch, at) => branch !== undefined && branches.indexOf(branch) === at)) return;
  const [first] = repartitions as [RepartitionPlan];
  throw topologyError(
    `Kafka Streams cannot merge the repartitions ${repartitions.map((each) => each.topic).join(', ')}: they hang below one branch, or below two merges. Leave 'mergeRepartitionsAsKafkaStreams' out of { optimize }: there is no application of Kafka Streams with this topology.`,
    { topic: first.topic },
  );
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

/** The first operator above that fits, on the first way up that has one. */
function nearestAbove(plan: Plan, node: PlanNode, fits: (operator: OperatorPlan) => boolean): OperatorPlan | undefined {
  for (const parent of node.parents) {
    const above = nodeById(plan, parent);
    if (above.kind === 'operator' && fits(above)) return above;
    const found = nearestAbove(plan, above, fits);
    if (found !== undefined) return found;
  }
  return undefined;
}
