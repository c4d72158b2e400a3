// What of a topology decides whether yesterday's state is still its own: stores, internal topics, sources, and where each comes from.
// Plain data, small, in a fixed order: this is what millrace.lock.json holds for each topology, and it is made to be read in a review.
// Never: functions. That a callback computes something else now is the author's to know.
import { murmur2 } from '@millrace/core';
import type { StoreSpec } from '../store-spec.ts';
import { topicText } from '../topic-text.ts';
import type { Topology, TopologyNode } from '../topology.ts';

export interface StoreFacts {
  readonly kind: StoreSpec['kind'];
  /** Formats of the serdes. */
  readonly key: string;
  readonly value: string;
  readonly windowSizeMs?: number;
  /** Of versioned stores: their history. */
  readonly retentionMs?: number;
  /** `changelog`, `source:<topic>` where a source topic serves as changelog, or `none`. */
  readonly log: string;
  /** The operators that keep it, without their numbers. */
  readonly operators: readonly string[];
  /** User topics whose records reach it. */
  readonly reads: readonly string[];
  /** One number for the kinds of all operators between the sources and here, in their order. */
  readonly origin: string;
  readonly subtopology: number;
}

export interface RepartitionFacts {
  readonly key: string;
  readonly value: string;
  /** Fixed by the program; absent: as many as the inputs have. */
  readonly partitions?: number;
  readonly reads: readonly string[];
  readonly origin: string;
}

export interface SourceFacts {
  readonly key: string;
  readonly value: string;
  readonly subtopology: number;
}

/** A topology as the lock file knows it. */
export interface TopologyFacts {
  readonly stores: Readonly<Record<string, StoreFacts>>;
  readonly repartitions: Readonly<Record<string, RepartitionFacts>>;
  readonly sources: Readonly<Record<string, SourceFacts>>;
  readonly subtopologies: number;
}

/** Made by the program, with a number in it: another name as soon as an operator comes or goes before it. */
export function isGenerated(name: string): boolean {
  return /-\d{10}(-|$)/.test(name);
}

export function topologyFacts(topology: Topology): TopologyFacts {
  const origins = new Origins(topology);
  const subtopologyOf = new Map(topology.subtopologies.flatMap(({ id, nodes, stores }) => [...nodes, ...stores].map((name) => [name, id])));
  const stores: Record<string, StoreFacts> = {};
  for (const spec of sortedByName([...topology.stores.values()])) stores[spec.name] = storeFacts(topology, spec, origins, subtopologyOf.get(spec.name) ?? 0);
  const repartitions: Record<string, RepartitionFacts> = {};
  for (const topic of sortedByName(topology.internalTopics.filter(({ kind }) => kind === 'repartition'))) {
    const sink = [...topology.nodes.values()].find((node) => node.kind === 'sink' && node.topic.internal && node.topic.name === topic.name);
    const at = sink?.name ?? '';
    repartitions[topic.name] = {
      ...(sink?.kind === 'sink' ? { key: sink.key.format, value: sink.value.format } : { key: '', value: '' }),
      ...(topic.partitions === undefined ? {} : { partitions: topic.partitions }),
      reads: origins.reads(at),
      origin: origins.id(at),
    };
  }
  const sources: Record<string, SourceFacts> = {};
  const read = [...topology.nodes.values()].flatMap((node) =>
    node.kind === 'source' ? node.topics.filter(({ internal }) => !internal).map((ref) => ({ name: topicText(ref), node })) : [],
  );
  for (const { name, node } of sortedByName(read))
    sources[name] = { key: node.key.format, value: node.value.format, subtopology: subtopologyOf.get(node.name) ?? 0 };
  return { stores, repartitions, sources, subtopologies: topology.subtopologies.length };
}

function storeFacts(topology: Topology, spec: StoreSpec, origins: Origins, subtopology: number): StoreFacts {
  const keepers = [...topology.nodes.values()].filter((node) => node.kind === 'processor' && node.stores.includes(spec.name)).map(({ name }) => name);
  const first = keepers[0] ?? '';
  return {
    kind: spec.kind,
    key: spec.key.format,
    value: spec.value.format,
    ...(spec.kind === 'window' ? { windowSizeMs: spec.windowSizeMs } : {}),
    ...(spec.kind === 'window' || spec.kind === 'session' ? { retentionMs: spec.retentionMs } : {}),
    ...(spec.kind === 'versioned' ? { retentionMs: spec.historyMs } : {}),
    log: spec.sourceTopic !== undefined ? `source:${spec.sourceTopic}` : spec.changelog === false ? 'none' : 'changelog',
    operators: [...new Set(keepers.map(withoutNumber))].sort(),
    reads: origins.reads(first),
    origin: origins.id(first),
    subtopology,
  };
}

const sortedByName = <T extends { readonly name: string }>(list: readonly T[]): readonly T[] => [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
const withoutNumber = (name: string): string => name.replaceAll(/-\d{10}/g, '');

/** Walks from a node up to the sources, through repartition topics, once for each node. */
class Origins {
  readonly #topology: Topology;
  readonly #parents = new Map<string, string[]>();
  readonly #known = new Map<string, { readonly id: string; readonly reads: readonly string[] }>();

  constructor(topology: Topology) {
    this.#topology = topology;
    const writers = new Map<string, string[]>();
    for (const node of topology.nodes.values()) {
      if (node.kind === 'sink') writers.set(node.topic.name, [...(writers.get(node.topic.name) ?? []), node.name]);
      else for (const child of node.children) this.#parents.set(child, [...(this.#parents.get(child) ?? []), node.name]);
    }
    for (const node of topology.nodes.values())
      if (node.kind === 'source')
        this.#parents.set(
          node.name,
          node.topics.flatMap((topic) => (topic.internal ? (writers.get(topic.name) ?? []) : [])),
        );
  }

  id(node: string): string {
    return this.#of(node).id;
  }
  reads(node: string): readonly string[] {
    return this.#of(node).reads;
  }

  #of(name: string): { readonly id: string; readonly reads: readonly string[] } {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    this.#known.set(name, { id: 'cycle', reads: [] }); // a topic that feeds its own sub-topology
    const above = (this.#parents.get(name) ?? []).map((parent) => this.#of(parent));
    const node = this.#topology.nodes.get(name);
    const own = node?.kind === 'source' ? node.topics.filter(({ internal }) => !internal).map(topicText) : [];
    const text = Buffer.from(`${kindOf(node)}(${[...own, ...above.map(({ id }) => id)].join(',')})`);
    const found = {
      id: (murmur2(text, 0, text.length) >>> 0).toString(16).padStart(8, '0'),
      reads: [...new Set([...own, ...above.flatMap(({ reads }) => reads)])].sort(),
    };
    this.#known.set(name, found);
    return found;
  }
}

/** What an operator is, as far as its name says: a user's name says nothing, and changing it changes nothing. */
function kindOf(node: TopologyNode | undefined): string {
  if (node === undefined) return '';
  const generated = /^(K(?:STREAM|TABLE)-[A-Z-]+?)-\d{10}/.exec(node.name);
  return node.kind === 'processor' ? (generated?.[1] ?? 'processor') : node.kind;
}
