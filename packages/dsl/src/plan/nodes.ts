// The DSL's graph between builder and compile: small immutable records linked by parent ids.
// Ids are given in order of declaration and decide the order in which nodes reach the topology. Never changed: passes make new plans.
import { assert, type ErasedSerde } from '@millrace/core';
import type { ErrorPolicy, ProcessorFactory, RecordContext, SinkPartitioner, SourceNode, StoreSpec } from '@millrace/topology';
import type { TopicDeclaration } from '../topic.ts';

interface PlanNodeBase {
  readonly id: number;
  readonly name: string;
  readonly parents: readonly number[];
}

/** How a source reads its topics. */
export interface SourceReading {
  readonly topics: readonly TopicDeclaration[];
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly timestamp: SourceNode['timestamp'];
  readonly onInvalidTimestamp: SourceNode['onInvalidTimestamp'];
  readonly startFrom: SourceNode['startFrom'];
  readonly idleAfterMs?: number | undefined;
  readonly onError: ErrorPolicy | undefined;
}

export interface SourcePlan extends PlanNodeBase {
  readonly kind: 'source';
  readonly reading: SourceReading;
}

/** A source and the table processor below it; `name` is the processor's. */
export interface TableSourcePlan extends PlanNodeBase {
  readonly kind: 'tableSource';
  readonly sourceName: string;
  readonly reading: SourceReading;
  readonly stores: readonly string[];
  readonly create: ProcessorFactory;
}

/**
 * What an operator does to keys and values, as far as moving a repartition past it is concerned.
 * `changesUnseen`: it may change them, but the optimizer of Kafka Streams takes it for one that keeps all: process(), processValues(), a join with a
 * global table. No repartition moves past it unless that is asked for.
 */
export type OperatorEffect = 'keepsAll' | 'changesValue' | 'changesKey' | 'merges' | 'changesUnseen';

/** How the result node of a stream-stream join looks when both sides turn out to be one stream. */
export interface SelfJoinPlan {
  readonly thisBuffer: number;
  readonly otherBuffer: number;
  readonly thisJoin: number;
  readonly otherJoin: number;
  readonly store: string;
  /** No longer needed. */
  readonly otherStores: readonly string[];
  readonly create: ProcessorFactory;
}

export interface OperatorPlan extends PlanNodeBase {
  readonly kind: 'operator';
  readonly effect: OperatorEffect;
  /** A join that takes records without a key: repartitions above it must let them through. */
  readonly takesNullKeys: boolean;
  readonly stores: readonly string[];
  readonly create: ProcessorFactory;
  readonly onError: ErrorPolicy | undefined;
  readonly overOneStore?: SelfJoinPlan | undefined;
}

/** An internal topic with its null-key filter, sink and source; `name` is the source's. */
export interface RepartitionPlan extends PlanNodeBase {
  readonly kind: 'repartition';
  readonly topic: string;
  /** Undefined: no filter, since no record without a key gets this far. */
  readonly filterName: string | undefined;
  readonly sinkName: string;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  /** Values are changes of a regrouped table; `value` is the serde of what is inside. */
  readonly carriesChanges: boolean;
  readonly partitions: number | undefined;
  readonly partitioner: SinkPartitioner | undefined;
  /** False for `repartition()`: the user asked for this very topic. */
  readonly mergeable: boolean;
  readonly keepsNullKeys: boolean;
}

/** A topic per record. */
export interface SinkChoicePlan {
  /** Shown by describe(). */
  readonly name: string;
  readonly topics: readonly TopicDeclaration[];
  /** Index of the topic for a record. */
  readonly pick: (value: unknown, key: unknown, context: RecordContext) => number;
}

export interface SinkPlan extends PlanNodeBase {
  readonly kind: 'sink';
  /** Of a sink that chooses: the first of its topics. */
  readonly topic: TopicDeclaration;
  readonly choice?: SinkChoicePlan | undefined;
  readonly onError: ErrorPolicy | undefined;
}

/** A source and the processor below it that keeps a store on every instance; `name` is the processor's. Nothing hangs below. */
export interface GlobalStorePlan extends PlanNodeBase {
  readonly kind: 'globalStore';
  readonly sourceName: string;
  readonly reading: SourceReading;
  readonly nullValues: SourceNode['nullValues'];
  readonly store: StoreSpec;
  readonly create: ProcessorFactory;
  readonly onError: ErrorPolicy | undefined;
}

export type PlanNode = GlobalStorePlan | SourcePlan | TableSourcePlan | OperatorPlan | RepartitionPlan | SinkPlan;

/** The whole program. `copartitioned` lists ids of sources, table sources and repartitions. */
export interface Plan {
  readonly nodes: readonly PlanNode[];
  readonly stores: readonly StoreSpec[];
  readonly copartitioned: readonly (readonly number[])[];
  readonly defaults: { readonly key: ErasedSerde; readonly value: ErasedSerde };
}

export function nodeById(plan: Plan, id: number): PlanNode {
  const node = plan.nodes.find((each) => each.id === id);
  assert(node !== undefined, `plan has node ${id}`);
  return node;
}

/** The nodes directly below, in order of their ids. */
export function childrenOf(plan: Plan, id: number): readonly PlanNode[] {
  return plan.nodes.filter((node) => node.parents.includes(id));
}

/** Parents first; among those that are ready, the one declared first. */
export function inOrder(nodes: readonly PlanNode[]): readonly PlanNode[] {
  const waiting = [...nodes].sort((a, b) => a.id - b.id);
  const written = new Set<number>();
  const ordered: PlanNode[] = [];
  while (waiting.length > 0) {
    const at = waiting.findIndex((node) => node.parents.every((parent) => written.has(parent)));
    assert(at >= 0, 'a plan has no cycle');
    const [node] = waiting.splice(at, 1) as [PlanNode];
    written.add(node.id);
    ordered.push(node);
  }
  return ordered;
}
