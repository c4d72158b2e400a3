// Pass: a repartition lets records without key through if a join that takes them is somewhere below (semantics 2.14). Always on.
import { childrenOf, type Plan } from '../nodes.ts';

export function keepNullKeys(plan: Plan): Plan {
  const takes = new Map<number, boolean>();
  const takesBelow = (id: number): boolean => {
    const known = takes.get(id);
    if (known !== undefined) return known;
    const found = childrenOf(plan, id).some((child) => (child.kind === 'operator' && child.takesNullKeys) || takesBelow(child.id));
    takes.set(id, found);
    return found;
  };
  return { ...plan, nodes: plan.nodes.map((node) => (node.kind === 'repartition' && takesBelow(node.id) ? { ...node, keepsNullKeys: true } : node)) };
}
