// The topology as a drawing: one list of shapes and arrows, written as Mermaid or as DOT.
// Topics stand outside, sub-topologies are boxes, stores hang on their processors by a line. Equal topologies give equal text.
// Never: lays anything out; that is the drawing program's work.
import { topicText } from './topic-text.ts';
import type { TopicRef, Topology, TopologyNode } from './topology.ts';

interface Shape {
  readonly id: string;
  readonly label: string;
  readonly kind: 'source' | 'processor' | 'sink' | 'store' | 'topic' | 'internalTopic';
}
interface Line {
  readonly from: string;
  readonly to: string;
  /** Records flow along arrows; a store is joined by a plain line. */
  readonly arrow: boolean;
}
interface Drawing {
  readonly topics: readonly Shape[];
  readonly boxes: readonly { readonly id: number; readonly shapes: readonly Shape[] }[];
  readonly lines: readonly Line[];
}

export function topologyToMermaid(topology: Topology): string {
  const { topics, boxes, lines } = drawingOf(topology);
  const boxLines = boxes.flatMap(({ id, shapes }) => [
    `  subgraph sub${id}["Sub-topology ${id}"]`,
    ...shapes.map((shape) => `    ${mermaidShape(shape)}`),
    '  end',
  ]);
  const body = [
    ...topics.map((shape) => `  ${mermaidShape(shape)}`),
    ...boxLines,
    ...lines.map(({ from, to, arrow }) => `  ${from} ${arrow ? '-->' : '---'} ${to}`),
  ];
  return `flowchart TD\n${body.join('\n')}\n`;
}

export function topologyToDot(topology: Topology): string {
  const { topics, boxes, lines } = drawingOf(topology);
  const boxLines = boxes.flatMap(({ id, shapes }) => [
    `  subgraph cluster_${id} {`,
    `    label="Sub-topology ${id}";`,
    ...shapes.map((shape) => `    ${dotShape(shape)}`),
    '  }',
  ]);
  const body = [
    ...topics.map((shape) => `  ${dotShape(shape)}`),
    ...boxLines,
    ...lines.map(({ from, to, arrow }) => `  ${from} -> ${to}${arrow ? '' : ' [dir=none]'};`),
  ];
  return `digraph ${dotText(topology.name)} {\n${body.join('\n')}\n}\n`;
}

function drawingOf(topology: Topology): Drawing {
  const topics = new Map<string, Shape>();
  const nodeIds = new Map([...topology.nodes.keys()].map((name, at) => [name, `n${at}`]));
  const storeIds = new Map([...topology.stores.keys()].map((name, at) => [name, `s${at}`]));
  const lines: Line[] = [];
  const topicId = (ref: TopicRef): string => {
    const label = topicText(ref);
    const known = topics.get(label) ?? { id: `t${topics.size}`, label, kind: ref.internal ? 'internalTopic' : 'topic' };
    topics.set(label, known);
    return known.id;
  };
  const idOf = (name: string): string => nodeIds.get(name) as string;
  const boxes = topology.subtopologies.map(({ id, nodes, stores }) => {
    for (const name of nodes) lines.push(...linesOf(topology.nodes.get(name) as TopologyNode, idOf, topicId, storeIds));
    const shapes: Shape[] = nodes.map((name) => ({ id: idOf(name), label: name, kind: (topology.nodes.get(name) as TopologyNode).kind }));
    return { id, shapes: [...shapes, ...stores.map((name): Shape => ({ id: storeIds.get(name) as string, label: name, kind: 'store' }))] };
  });
  return { topics: [...topics.values()], boxes, lines };
}

function linesOf(
  node: TopologyNode,
  idOf: (name: string) => string,
  topicId: (topic: TopicRef) => string,
  storeIds: ReadonlyMap<string, string>,
): readonly Line[] {
  const own = idOf(node.name);
  const arrow = (from: string, to: string): Line => ({ from, to, arrow: true });
  switch (node.kind) {
    case 'source':
      return [...node.topics.map((topic) => arrow(topicId(topic), own)), ...node.children.map((child) => arrow(own, idOf(child)))];
    case 'processor':
      return [
        ...node.stores.map((store) => ({ from: own, to: storeIds.get(store) as string, arrow: false })),
        ...node.children.map((child) => arrow(own, idOf(child))),
      ];
    case 'sink':
      return (node.choice?.targets ?? [node]).map(({ topic }) => arrow(own, topicId(topic)));
  }
}

function mermaidShape({ id, label, kind }: Shape): string {
  const text = `"${label.replaceAll('"', '#quot;')}"`;
  switch (kind) {
    case 'store':
      return `${id}[(${text})]`;
    case 'topic':
      return `${id}([${text}])`;
    case 'internalTopic':
      return `${id}{{${text}}}`;
    default:
      return `${id}[${text}]`;
  }
}

const DOT_SHAPES: Readonly<Record<Shape['kind'], string>> = {
  source: 'shape=box',
  processor: 'shape=box',
  sink: 'shape=box',
  store: 'shape=cylinder',
  topic: 'shape=ellipse',
  internalTopic: 'shape=ellipse, style=dashed',
};

function dotShape({ id, label, kind }: Shape): string {
  return `${id} [label=${dotText(label)}, ${DOT_SHAPES[kind]}];`;
}

function dotText(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
