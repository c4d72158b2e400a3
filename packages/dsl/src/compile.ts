// Turns a plan into the physical topology: passes first, then node by node in order of declaration.
// The only place that knows both the plan and the graph builder. Types were erased before; here nodes are linked as declared.
import type { ErasedSerde } from '@millrace/core';
import { GraphBuilder, type SourceSpec, type TopicRef, type Topology } from '@millrace/topology';
import { withNull } from './draft/serde-hints.ts';
import { changeSerde } from './operators/change-serde.ts';
import { nullKeyFilterOperator } from './operators/null-key-filter.ts';
import { passThroughOperator } from './operators/pass-through.ts';
import { type RecordWatcher, watched } from './operators/watched.ts';
import type { Optimization } from './optimizations.ts';
import { checkExplicitNames } from './plan/explicit-names.ts';
import { inOrder, nodeById, type Plan, type PlanNode, type RepartitionPlan, type SinkPlan, type SourceReading } from './plan/nodes.ts';
import { mergeRepartitions } from './plan/passes/merge-repartitions.ts';
import { mergeSources } from './plan/passes/merge-sources.ts';
import { keepNullKeys } from './plan/passes/null-keys.ts';
import { reuseSourceTopics } from './plan/passes/reuse-source-topics.ts';
import { joinOverOneStore } from './plan/passes/self-join.ts';
import type { TopicDeclaration } from './topic.ts';

export interface CompileSettings {
  readonly optimizations: ReadonlySet<Optimization>;
  readonly naming: 'generated' | 'explicit';
  readonly watch: RecordWatcher | undefined;
}

export function compile(name: string, plan: Plan, { optimizations, naming, watch }: CompileSettings): Topology {
  const ready = applyPasses(plan, optimizations);
  if (naming === 'explicit') checkExplicitNames(ready);
  const graph = new GraphBuilder();
  for (const store of ready.stores) graph.addStore(store);
  for (const node of inOrder(ready.nodes)) addNode(graph, ready, watch === undefined ? node : watchedNode(node, watch));
  for (const group of ready.copartitioned) graph.addCopartitionGroup(group.flatMap((id) => topicsOf(nodeById(ready, id))));
  return graph.build(name);
}

export function applyPasses(plan: Plan, optimizations: ReadonlySet<Optimization>): Plan {
  let next = mergeSources(plan);
  if (optimizations.has('reuseSourceTopics')) next = reuseSourceTopics(next);
  const loose = optimizations.has('mergeRepartitionsAsKafkaStreams');
  if (loose || optimizations.has('mergeRepartitions')) next = mergeRepartitions(next, loose);
  if (optimizations.has('singleStoreSelfJoin')) next = joinOverOneStore(next);
  return keepNullKeys(next);
}

function watchedNode(node: PlanNode, watch: RecordWatcher): PlanNode {
  return 'create' in node ? { ...node, create: watched(node.create, watch) } : node;
}

function addNode(graph: GraphBuilder, plan: Plan, node: PlanNode): void {
  const parents = node.parents.map((parent) => nodeById(plan, parent).name);
  switch (node.kind) {
    case 'source':
      addSource(graph, node.name, node.reading, 'serde');
      break;
    case 'tableSource':
      addSource(graph, node.sourceName, node.reading, 'tombstone');
      graph.addProcessor({ name: node.name, parents: [node.sourceName], stores: node.stores, create: node.create });
      break;
    case 'globalStore': {
      const { store, create, onError } = node;
      const source = sourceSpec(node.sourceName, node.reading, node.nullValues);
      graph.addGlobalStore({ source, processor: { name: node.name, create, onError }, store });
      for (const topic of node.reading.topics) graph.addUserTopic(topic.creation);
      break;
    }
    case 'operator':
      graph.addProcessor({ name: node.name, parents, stores: node.stores, create: node.create, onError: node.onError });
      break;
    case 'repartition':
      addRepartition(graph, node, parents, plan.defaults);
      break;
    case 'sink':
      addSink(graph, node, parents);
  }
}

function addSource(graph: GraphBuilder, name: string, reading: SourceReading, nullValues: 'tombstone' | 'serde'): void {
  graph.addSource(sourceSpec(name, reading, nullValues));
  for (const { pattern, creation } of reading.topics) if (pattern === undefined) graph.addUserTopic(creation);
}

function sourceSpec(name: string, reading: SourceReading, nullValues: 'tombstone' | 'serde'): SourceSpec {
  const { topics, ...how } = reading;
  return { name, topics: topics.map(readTopic), nullValues, ...how };
}

function addRepartition(graph: GraphBuilder, node: RepartitionPlan, parents: readonly string[], defaults: Plan['defaults']): void {
  const topic: TopicRef = { name: node.topic, internal: true };
  const key: ErasedSerde = withNull(node.key ?? defaults.key);
  const plain: ErasedSerde = withNull(node.value ?? defaults.value);
  const value = node.carriesChanges ? changeSerde(plain) : plain;
  graph.addRepartitionTopic(node.topic, node.partitions);
  const { filterName } = node;
  if (filterName !== undefined)
    graph.addProcessor({ name: filterName, parents, stores: [], create: node.keepsNullKeys ? passThroughOperator : nullKeyFilterOperator });
  graph.addSink({ name: node.sinkName, parents: filterName === undefined ? parents : [filterName], topic, key, value, partitioner: node.partitioner });
  graph.addSource({
    name: node.name,
    topics: [topic],
    key,
    value,
    nullValues: 'serde',
    timestamp: 'record',
    onInvalidTimestamp: 'fail',
    startFrom: 'earliest',
    onError: undefined,
  });
}

function addSink(graph: GraphBuilder, node: SinkPlan, parents: readonly string[]): void {
  const { name, topic, choice, onError } = node;
  const topics = choice?.topics ?? [topic];
  graph.addSink({
    name,
    parents,
    ...targetOf(topic),
    onError,
    choice: choice && { name: choice.name, pick: choice.pick, targets: choice.topics.map(targetOf) },
  });
  for (const each of topics) graph.addUserTopic(each.creation);
}

const targetOf = ({ name, key, value, partitioner }: TopicDeclaration) => ({ topic: userTopic({ name }), key, value, partitioner });

const userTopic = (topic: { readonly name: string }): TopicRef => ({ name: topic.name, internal: false });
const readTopic = ({ name, pattern }: TopicDeclaration): TopicRef => (pattern === undefined ? userTopic({ name }) : { name, internal: false, pattern });

function topicsOf(node: PlanNode): readonly TopicRef[] {
  if (node.kind === 'repartition') return [{ name: node.topic, internal: true }];
  return node.kind === 'source' || node.kind === 'tableSource' ? node.reading.topics.map(readTopic) : [];
}
