// Collects nodes, stores and internal topics in the order in which they are added, then freezes them into a Topology.
// Owns the collections until `build`. Never: knows operators, types of records or a runtime.
// Invariants: parents are added before children; a topic is read by one source; names are unique; what `build` returned never changes.
import type { ErasedSerde } from '@millrace/core';
import { assert } from '@millrace/core';
import { uniteGroups } from './copartition.ts';
import { describeAs } from './describe.ts';
import { checkErrorPolicy, type ErrorPolicy, isDeadLetter } from './error-policy.ts';
import { changelogTopic, repartitionTopic } from './internal-topics.ts';
import type { ProcessorFactory } from './processor.ts';
import type { StoreSpec } from './store-spec.ts';
import { deriveSubtopologies, splitGlobals } from './subtopologies.ts';
import { topicText } from './topic-text.ts';
import type {
  GlobalStore,
  InternalTopic,
  ProcessorNode,
  SinkChoice,
  SinkNode,
  SinkPartitioner,
  SinkTarget,
  SourceNode,
  TopicRef,
  Topology,
  TopologyNode,
  UserTopic,
} from './topology.ts';
import { topologyToJson } from './topology-json.ts';
import {
  cannotConnect,
  checkHasParents,
  checkNewName,
  checkNewStore,
  checkParent,
  checkSourceTopics,
  checkTopology,
  topologyError,
  unknownStore,
} from './validate.ts';

export type SourceSpec = Omit<SourceNode, 'kind' | 'children'>;

export interface ProcessorSpec {
  readonly name: string;
  readonly parents: readonly string[];
  readonly stores: readonly string[];
  readonly create: ProcessorFactory;
  readonly onError?: ErrorPolicy | undefined;
}

export interface GlobalStoreSpec {
  readonly source: SourceSpec;
  readonly processor: Pick<ProcessorSpec, 'name' | 'create' | 'onError'>;
  readonly store: StoreSpec;
}

/** Where a sink writes; `partitioner` undefined: by the key's bytes. */
export interface SinkTargetSpec {
  readonly topic: TopicRef;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly partitioner?: SinkPartitioner | undefined;
}

export interface SinkSpec extends SinkTargetSpec {
  readonly name: string;
  readonly parents: readonly string[];
  /** A topic per record; the sink's own is then the first of the targets. */
  readonly choice?: { readonly name: string; readonly targets: readonly SinkTargetSpec[]; readonly pick: SinkChoice['pick'] } | undefined;
  readonly onError?: ErrorPolicy | undefined;
}

function targetOf({ topic, key, value, partitioner }: SinkTargetSpec): SinkTarget {
  const { format } = key;
  return { topic, key, value, partitioner, keySuffixBytes: format.startsWith('windowed(') ? 8 : format.startsWith('sessionWindowed(') ? 16 : 0 };
}

interface NodeDraft {
  readonly node: TopologyNode;
  readonly parents: readonly string[];
  readonly children: string[];
}

/**
 * Builds one physical topology.
 *
 * @example
 * ```ts
 * const graph = new GraphBuilder();
 * graph.addSource({ name: 'in', topics: [{ name: 'lines', internal: false }], key, value, ...defaults });
 * graph.addSink({ name: 'out', parents: ['in'], topic: { name: 'copy', internal: false }, key, value });
 * const topology = graph.build('copy');
 * ```
 */
export class GraphBuilder {
  readonly #nodes = new Map<string, NodeDraft>();
  readonly #stores = new Map<string, StoreSpec>();
  readonly #read = new Map<string, { readonly ref: TopicRef; readonly source: string }>();
  readonly #repartitions = new Map<string, InternalTopic>();
  readonly #copartitioned: (readonly TopicRef[])[] = [];
  readonly #globals: Omit<GlobalStore, 'id'>[] = [];
  readonly #userTopics = new Map<string, UserTopic>();
  /** Those known now; made and checked like the user's other topics. */
  readonly #deadLetterTopics = new Set<string>();

  addSource(spec: SourceSpec): void {
    checkNewName(spec.name, this.#nodes);
    this.#takePolicy(spec);
    checkSourceTopics(spec, this.#read);
    const children: string[] = [];
    this.#nodes.set(spec.name, { node: { ...spec, kind: 'source', children }, parents: [], children });
    for (const ref of spec.topics) this.#read.set(topicText(ref), { ref, source: spec.name });
  }

  /** A store that every instance holds whole. `spec.processor` is the only one that writes it. Its topic is read by nothing else. */
  addGlobalStore(spec: GlobalStoreSpec): void {
    const { source, processor, store } = spec;
    this.addStore(store);
    this.addSource(source);
    this.addProcessor({ ...processor, parents: [source.name], stores: [store.name] });
    const [topic] = source.topics;
    assert(
      topic !== undefined && source.topics.length === 1 && !topic.internal && topic.pattern === undefined,
      `the global store ${store.name} has one topic of the user`,
    );
    this.#globals.push({ source: source.name, processor: processor.name, store: store.name, topic: topic.name });
  }

  addProcessor(spec: ProcessorSpec): void {
    this.#checkLinks(spec.name, spec.parents);
    for (const store of spec.stores) {
      if (!this.#stores.has(store)) throw unknownStore(spec.name, store);
    }
    this.#takePolicy(spec);
    const children: string[] = [];
    const node: ProcessorNode = { kind: 'processor', name: spec.name, stores: spec.stores, create: spec.create, onError: spec.onError, children };
    this.#link(node, spec.parents, children);
  }

  addSink(spec: SinkSpec): void {
    this.#checkLinks(spec.name, spec.parents);
    this.#takePolicy(spec);
    const node: SinkNode = {
      kind: 'sink',
      name: spec.name,
      ...targetOf(spec),
      choice: spec.choice && { ...spec.choice, targets: spec.choice.targets.map(targetOf) },
      onError: spec.onError,
    };
    this.#link(node, spec.parents, []);
  }

  /** Adding the same object twice is no mistake; another store of that name is. */
  addStore(spec: StoreSpec): void {
    checkNewStore(spec, this.#stores);
    this.#stores.set(spec.name, spec);
  }

  /** Connects a store to a processor that was added before it. Throws ERR_TOPOLOGY for what is no processor. */
  connect(processor: string, store: string): void {
    const draft = this.#nodes.get(processor);
    if (draft?.node.kind !== 'processor') throw cannotConnect(processor, store, draft?.node.kind);
    if (!this.#stores.has(store)) throw unknownStore(processor, store);
    if (draft.node.stores.includes(store)) return;
    this.#nodes.set(processor, { ...draft, node: { ...draft.node, stores: [...draft.node.stores, store] } });
  }

  /** `name` without application id. `partitions` undefined: as many as the widest source above it. */
  addRepartitionTopic(name: string, partitions: number | undefined): void {
    if (this.#repartitions.has(name))
      throw topologyError(`Two repartition topics are called "${name}". Give one of the operators another name with { as }.`, { topic: name });
    this.#repartitions.set(name, repartitionTopic(name, partitions));
  }

  /** These topics must have equal partition counts. */
  addCopartitionGroup(topics: readonly TopicRef[]): void {
    this.#copartitioned.push(topics);
  }

  addUserTopic(topic: UserTopic): void {
    this.#userTopics.set(topic.name, this.#userTopics.get(topic.name) ?? topic);
  }

  build(name: string): Topology {
    const nodes = new Map<string, TopologyNode>();
    const parents = new Map<string, readonly string[]>();
    for (const [nodeName, draft] of this.#nodes) {
      nodes.set(nodeName, Object.freeze(draft.node));
      parents.set(nodeName, draft.parents);
    }
    for (const topic of this.#deadLetterTopics) this.addUserTopic({ name: topic, partitions: undefined, config: {} });
    const stores = new Map(this.#stores);
    const { subtopologies, globals } = splitGlobals(deriveSubtopologies(nodes, parents), this.#globals);
    const changelogs = [...stores.values()].flatMap((store) => changelogTopic(store) ?? []);
    const topology: Topology = {
      name,
      nodes,
      stores,
      subtopologies,
      globals,
      internalTopics: [...this.#repartitions.values(), ...changelogs],
      copartitionGroups: uniteGroups(this.#copartitioned),
      userTopics: [...this.#userTopics.values()],
      describe: (format) => describeAs(topology, parents, format ?? 'kafka'),
      toJSON: () => topologyToJson(topology),
    };
    checkTopology(topology);
    return Object.freeze(topology);
  }

  #takePolicy({ name, onError }: { readonly name: string; readonly onError?: ErrorPolicy | undefined }): void {
    checkErrorPolicy(onError, `onError of "${name}"`);
    if (isDeadLetter(onError)) this.#deadLetterTopics.add(onError.topic);
  }

  #checkLinks(name: string, parents: readonly string[]): void {
    checkNewName(name, this.#nodes);
    checkHasParents(name, parents);
    for (const parent of parents) checkParent(name, parent, this.#nodes.get(parent)?.node);
  }

  #link(node: TopologyNode, parents: readonly string[], children: string[]): void {
    this.#nodes.set(node.name, { node, parents, children });
    for (const parent of parents) {
      const above = this.#nodes.get(parent);
      assert(above !== undefined, `parent ${parent} was checked`);
      above.children.push(node.name);
    }
  }
}
