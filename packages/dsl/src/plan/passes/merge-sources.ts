// Pass: two streams of the same topics share one source, the first one's (semantics 2.12). Always on.
import { topologyError } from '@millrace/topology';
import type { Plan, PlanNode, SourcePlan } from '../nodes.ts';
import { relink } from './relink.ts';

export function mergeSources(plan: Plan): Plan {
  const first = new Map<string, SourcePlan>();
  const replaced = new Map<number, number>();
  for (const node of plan.nodes) {
    if (node.kind !== 'source') continue;
    const topics = node.reading.topics
      .map(({ name, pattern }) => (pattern === undefined ? name : String(pattern)))
      .sort()
      .join(',');
    const other = first.get(topics);
    if (other === undefined) first.set(topics, node);
    else {
      checkEqualReading(other, node);
      replaced.set(node.id, other.id);
    }
  }
  if (replaced.size === 0) return plan;
  const nodes = plan.nodes.filter((node: PlanNode) => !replaced.has(node.id)).map((node) => relink(node, replaced));
  return { ...plan, nodes, copartitioned: plan.copartitioned.map((group) => [...new Set(group.map((id) => replaced.get(id) ?? id))]) };
}

function checkEqualReading(first: SourcePlan, second: SourcePlan): void {
  const topic = first.reading.topics[0]?.name ?? '';
  if (first.reading.idleAfterMs !== second.reading.idleAfterMs) {
    throw topologyError(
      `Topic "${topic}" is read by "${first.name}" and "${second.name}" with different { idleAfter }. Use the same for both, or read it once.`,
      { topic, node: second.name },
    );
  }
  if (JSON.stringify(first.reading.startFrom) !== JSON.stringify(second.reading.startFrom)) {
    throw topologyError(
      `Topic "${topic}" is read by "${first.name}" and "${second.name}" with different { startFrom }. Use the same for both, or read it once.`,
      { topic, node: second.name },
    );
  }
  for (const each of second.reading.topics) {
    if (!first.reading.topics.includes(each))
      throw topologyError(
        `${each.pattern === undefined ? 'Topic' : 'Pattern'} "${each.name}" is declared twice and read by both declarations. Declare it once and use that value everywhere.`,
        {
          topic: each.name,
        },
      );
  }
}
