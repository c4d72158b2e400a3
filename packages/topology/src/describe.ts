// The formats of describe(), and the first of them: the text of Kafka Streams' Topology.describe(), character for character (semantics 2.11).
// Names whose order in Java depends on hash order are printed sorted.
import { MillraceError } from '@millrace/core';
import { topologyToDot, topologyToMermaid } from './describe-graph.ts';
import type { DescribeFormat, TopicRef, Topology, TopologyNode } from './topology.ts';
import { topologyToJson } from './topology-json.ts';

export function describeAs(topology: Topology, parents: ReadonlyMap<string, readonly string[]>, format: DescribeFormat): string {
  switch (format) {
    case 'kafka':
      return describeTopology(topology, parents);
    case 'json':
      return `${JSON.stringify(topologyToJson(topology), undefined, 2)}\n`;
    case 'mermaid':
      return topologyToMermaid(topology);
    case 'dot':
      return topologyToDot(topology);
    default:
      throw new MillraceError('ERR_OPTION', `describe(${JSON.stringify(format)}): there are kafka, json, mermaid and dot.`, { option: 'format' });
  }
}

function describeTopology(topology: Topology, parents: ReadonlyMap<string, readonly string[]>): string {
  const globals = topology.globals.map(({ id, source, processor }) => ({ id, nodes: [source, processor], isGlobal: true }));
  const all = [...topology.subtopologies.map(({ id, nodes }) => ({ id, nodes, isGlobal: false })), ...globals].sort((a, b) => a.id - b.id);
  const text = all.map((part, at) => `${at === 0 ? '   ' : '  '}${describePart(part, topology.nodes, parents)}`);
  return `Topologies:\n${text.join('')}`;
}

interface Part {
  readonly id: number;
  readonly nodes: readonly string[];
  readonly isGlobal: boolean;
}

function describePart(part: Part, nodes: ReadonlyMap<string, TopologyNode>, parents: ReadonlyMap<string, readonly string[]>): string {
  const sizes = new Map<string, number>();
  // Children come after their parents, so the list is walked from its end.
  for (const name of [...part.nodes].reverse()) {
    let size = 1;
    for (const child of childrenOf(nodes.get(name) as TopologyNode)) size += sizes.get(child) as number;
    sizes.set(name, size);
  }
  const ordered = [...part.nodes].sort((a, b) => (sizes.get(b) as number) - (sizes.get(a) as number) || compareText(a, b));
  const lines = ordered.map((name) => describeNode(nodes.get(name) as TopologyNode, parents.get(name) ?? []));
  if (part.isGlobal) return `Sub-topology: ${part.id} for global store (will not generate tasks)\n${lines.join('')}`;
  return `Sub-topology: ${part.id}\n${lines.join('')}\n`;
}

function describeNode(node: TopologyNode, parents: readonly string[]): string {
  const down = `      --> ${names(childrenOf(node))}\n`;
  const up = `      <-- ${names(parents)}\n`;
  switch (node.kind) {
    case 'source':
      return `    Source: ${node.name} (topics: ${topics(node.topics)})\n${down}`;
    case 'processor':
      return `    Processor: ${node.name} (stores: [${sorted(node.stores)}])\n${down}${up}`;
    case 'sink':
      return `    Sink: ${node.name} (${node.choice === undefined ? `topic: ${node.topic.name}` : `extractor class: ${node.choice.name}`})\n${up}`;
  }
}

const childrenOf = (node: TopologyNode): readonly string[] => (node.kind === 'sink' ? [] : node.children);
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const sorted = (list: readonly string[]): string => [...new Set(list)].sort(compareText).join(', ');
const names = (list: readonly string[]): string => (list.length === 0 ? 'none' : sorted(list));
/** A pattern alone stands without brackets. */
function topics(list: readonly TopicRef[]): string {
  const [first] = list;
  return list.length === 1 && first?.pattern !== undefined ? first.name : `[${sorted(list.map((topic) => topic.name))}]`;
}
