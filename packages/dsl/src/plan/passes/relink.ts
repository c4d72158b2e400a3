// A node with some of its parents replaced, for passes that take nodes out.
import type { PlanNode } from '../nodes.ts';

export function relink(node: PlanNode, replaced: ReadonlyMap<number, number>): PlanNode {
  if (!node.parents.some((parent) => replaced.has(parent))) return node;
  return { ...node, parents: node.parents.map((parent) => replaced.get(parent) ?? parent) };
}
