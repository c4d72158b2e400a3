// The text of Kafka Streams' Topology.describe(), character for character (semantics 2.11).
// Names whose order in Java depends on hash order are printed sorted.
import type { Subtopology, TopicRef, Topology, TopologyNode } from './topology.ts';

export function describeTopology(topology: Topology, parents: ReadonlyMap<string, readonly string[]>): string {
  const text = topology.subtopologies.map((subtopology, at) => `${at === 0 ? '   ' : '  '}${describeSubtopology(subtopology, topology.nodes, parents)}`);
  return `Topologies:\n${text.join('')}`;
}

function describeSubtopology(subtopology: Subtopology, nodes: ReadonlyMap<string, TopologyNode>, parents: ReadonlyMap<string, readonly string[]>): string {
  const sizes = new Map<string, number>();
  // Children come after their parents, so the list is walked from its end.
  for (const name of [...subtopology.nodes].reverse()) {
    let size = 1;
    for (const child of childrenOf(nodes.get(name) as TopologyNode)) size += sizes.get(child) as number;
    sizes.set(name, size);
  }
  const ordered = [...subtopology.nodes].sort((a, b) => (sizes.get(b) as number) - (sizes.get(a) as number) || compareText(a, b));
  const lines = ordered.map((name) => describeNode(nodes.get(name) as TopologyNode, parents.get(name) ?? []));
  return `Sub-topology: ${subtopology.id}\n${lines.join('')}\n`;
}

function describeNode(node: TopologyNode, parents: readonly string[]): string {
  const down = `      --> ${names(childrenOf(node))}\n`;
  const up = `      <-- ${names(parents)}\n`;
  switch (node.kind) {
    case 'source':
      return `    Source: ${node.name} (topics: [${topics(node.topics)}])\n${down}`;
    case 'processor':
      return `    Processor: ${node.name} (stores: [${sorted(node.stores)}])\n${down}${up}`;
    case 'sink':
      return `    Sink: ${node.name} (topic: ${node.topic.name})\n${up}`;
  }
}

const childrenOf = (node: TopologyNode): readonly string[] => (node.kind === 'sink' ? [] : node.children);
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sorted = (list: readonly string[]): string => [...new Set(list)].sort(compareText).join(', ');
const names = (list: readonly string[]): string => (list.length === 0 ? 'none' : sorted(list));
const topics = (list: readonly TopicRef[]): string => sorted(list.map((topic) => topic.name));
