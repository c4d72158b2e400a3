// Cuts the graph into sub-topologies: connected components over links and shared stores (semantics 2.9).
// Ids are given by first appearance in insertion order, so what is upstream gets the smaller id.
import { assert } from '@millrace/core';
import type { GlobalStore, Subtopology, TopicRef, TopologyNode } from './topology.ts';

export function deriveSubtopologies(nodes: ReadonlyMap<string, TopologyNode>, parents: ReadonlyMap<string, readonly string[]>): readonly Subtopology[] {
  const groups = new UnionFind();
  const storeUser = new Map<string, string>();
  for (const node of nodes.values()) {
    groups.add(node.name);
    for (const parent of parents.get(node.name) ?? []) groups.unite(parent, node.name);
    if (node.kind !== 'processor') continue;
    for (const store of node.stores) {
      const user = storeUser.get(store);
      if (user === undefined) storeUser.set(store, node.name);
      else groups.unite(user, node.name);
    }
  }
  const members = new Map<string, TopologyNode[]>();
  for (const node of nodes.values()) {
    const root = groups.find(node.name);
    const list = members.get(root);
    if (list === undefined) members.set(root, [node]);
    else list.push(node);
  }
  return [...members.values()].map((list, id) => toSubtopology(id, list));
}

function toSubtopology(id: number, nodes: readonly TopologyNode[]): Subtopology {
  const stores = new Set<string>();
  const sources: TopicRef[] = [];
  const sinks = new Map<string, TopicRef>();
  for (const node of nodes) {
    if (node.kind === 'source') sources.push(...node.topics);
    else if (node.kind === 'sink') for (const { topic } of node.choice?.targets ?? [node]) sinks.set(topic.name, topic);
    else for (const store of node.stores) stores.add(store);
  }
  // Insertion order is topological: a node is added after its parents.
  return { id, nodes: nodes.map((node) => node.name), stores: [...stores], sources, sinks: [...sinks.values()] };
}

/** Takes those apart that belong to global stores: they have an id like the others, and no tasks. */
export function splitGlobals(
  all: readonly Subtopology[],
  globals: readonly Omit<GlobalStore, 'id'>[],
): { readonly subtopologies: readonly Subtopology[]; readonly globals: readonly GlobalStore[] } {
  const bySource = new Map(globals.map((one) => [one.source, one]));
  const globalOf = ({ nodes }: Subtopology): Omit<GlobalStore, 'id'> | undefined => bySource.get(nodes[0] ?? '');
  return {
    subtopologies: all.filter((sub) => globalOf(sub) === undefined),
    globals: all.flatMap((sub) => {
      const found = globalOf(sub);
      return found === undefined ? [] : [{ id: sub.id, ...found }];
    }),
  };
}

/** Disjoint sets of names. */
class UnionFind {
  readonly #parent = new Map<string, string>();
  add(name: string): void {
    if (!this.#parent.has(name)) this.#parent.set(name, name);
  }
  find(name: string): string {
    let root = name;
    for (;;) {
      const above = this.#parent.get(root);
      assert(above !== undefined, `${root} was added`);
      if (above === root) break;
      root = above;
    }
    for (let at = name; at !== root; ) {
      const next = this.#parent.get(at) as string;
      this.#parent.set(at, root);
      at = next;
    }
    return root;
  }
  unite(left: string, right: string): void {
    this.#parent.set(this.find(right), this.find(left));
  }
}
