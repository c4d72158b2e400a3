// The topology as data: what tools draw and what threads compare, so that both run the same program.
// Functions and serdes are shown by name and format only.
import type { ErasedSerde } from '@millrace/core';
import type { StoreSpec } from './store-spec.ts';
import type { TopicRef, Topology, TopologyNode } from './topology.ts';

export function topologyToJson(topology: Topology): object {
  return {
    name: topology.name,
    subtopologies: topology.subtopologies.map((subtopology) => ({
      id: subtopology.id,
      nodes: subtopology.nodes.map((name) => nodeToJson(topology.nodes.get(name) as TopologyNode)),
      stores: subtopology.stores,
      sources: subtopology.sources.map(refToJson),
      sinks: subtopology.sinks,
    })),
    topics: [
      ...topology.userTopics.map((topic) => ({ name: topic.name, kind: 'user', partitions: topic.partitions ?? null, config: topic.config })),
      ...topology.internalTopics.map((topic) => ({
        name: topic.name,
        kind: topic.kind,
        partitions: topic.partitions ?? null,
        config: topic.config,
        store: topic.store ?? null,
      })),
    ],
    globals: topology.globals.map((global) => ({
      ...global,
      nodes: [global.source, global.processor].map((name) => nodeToJson(topology.nodes.get(name) as TopologyNode)),
    })),
    stores: [...topology.stores.values()].map(storeToJson),
    copartitioned: topology.copartitionGroups.map((group) => group.map(refToJson)),
  };
}

function nodeToJson(node: TopologyNode): object {
  switch (node.kind) {
    case 'source':
      return {
        kind: node.kind,
        name: node.name,
        topics: node.topics.map(refToJson),
        ...formats(node),
        nullValues: node.nullValues,
        startFrom: node.startFrom,
        ...(node.idleAfterMs === undefined ? {} : { idleAfterMs: node.idleAfterMs }),
        children: node.children,
      };
    case 'processor':
      return { kind: node.kind, name: node.name, stores: node.stores, children: node.children };
    case 'sink':
      return {
        kind: node.kind,
        name: node.name,
        topic: node.topic,
        ...formats(node),
        ...(node.choice === undefined ? {} : { topics: node.choice.targets.map(({ topic }) => topic) }),
      };
  }
}

function storeToJson(store: StoreSpec): object {
  const times = timesOf(store);
  return {
    name: store.name,
    kind: store.kind,
    ...formats(store),
    ...times,
    changelog: store.changelog,
    sourceTopic: store.sourceTopic ?? null,
    queryable: store.queryable,
    ...(store.engine === undefined ? {} : { engine: typeof store.engine === 'string' ? store.engine : store.engine.name }),
  };
}

function timesOf(store: StoreSpec): object {
  switch (store.kind) {
    case 'keyValue':
      return { ...(store.entriesMax === undefined ? {} : { entriesMax: store.entriesMax }), ...(store.ttlMs === undefined ? {} : { ttlMs: store.ttlMs }) };
    case 'window':
      return { windowSizeMs: store.windowSizeMs, retentionMs: store.retentionMs, duplicates: store.duplicates };
    case 'session':
      return { retentionMs: store.retentionMs };
    case 'versioned':
      return { historyMs: store.historyMs };
  }
}

const refToJson = ({ name, internal, pattern }: TopicRef): object =>
  pattern === undefined ? { name, internal } : { name, internal, pattern: String(pattern) };
const formats = (of: { readonly key: ErasedSerde; readonly value: ErasedSerde }): object => ({ key: of.key.format, value: of.value.format });
