// The physical graph: sources, processors, sinks, stores, cut into sub-topologies. Immutable, plain data plus factories.
// This is where dsl and runtime meet. Names of internal topics carry no application prefix here; `topicName` adds it.
import type { ErasedSerde } from '@millrace/core';
import type { ErrorPolicy } from './error-policy.ts';
import type { ProcessorFactory, RecordContext } from './processor.ts';
import type { StoreSpec } from './store-spec.ts';

/** A topic as the topology names it. `internal`: `<applicationId>-<name>` on the broker. */
export interface TopicRef {
  readonly name: string;
  readonly internal: boolean;
  /** Set: every topic whose name it tests true for; `name` is then the expression as written. Only in what is read; see patterns.ts. */
  readonly pattern?: RegExp;
}

/** The name of a topic on the broker. */
export function topicName(applicationId: string, topic: TopicRef): string {
  return topic.internal ? `${applicationId}-${topic.name}` : topic.name;
}

/** Event time of a record: its own, arrival, or from the payload. `context.streamTime` is the partition's so far. */
export type TimestampSource = 'record' | 'wallClock' | ((value: unknown, key: unknown, context: RecordContext) => number);

export interface SourceNode {
  readonly kind: 'source';
  readonly name: string;
  readonly topics: readonly TopicRef[];
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  /** 'tombstone': null value bytes reach the graph as `null` (table sources); 'serde': the serde decides. */
  readonly nullValues: 'tombstone' | 'serde';
  readonly timestamp: TimestampSource;
  readonly onInvalidTimestamp: 'fail' | 'skip' | 'partitionTime';
  readonly startFrom: 'earliest' | 'latest' | 'fail' | { readonly agoMs: number };
  /** A partition that brings nothing for so long, wall clock, no longer holds stream time back; undefined: it does for ever. See `idleAfterOf`. */
  readonly idleAfterMs?: number | undefined;
  readonly onError: ErrorPolicy | undefined;
  readonly children: readonly string[];
}

export interface ProcessorNode {
  readonly kind: 'processor';
  readonly name: string;
  readonly stores: readonly string[];
  readonly create: ProcessorFactory;
  readonly onError: ErrorPolicy | undefined;
  readonly children: readonly string[];
}

/** Partition for a record; undefined = default (murmur2 of the key bytes); a list = multicast, [] = drop. */
export type SinkPartitioner = (key: unknown, value: unknown, partitions: number) => number | readonly number[] | undefined;

/** Where a sink writes, and how. */
export interface SinkTarget {
  readonly topic: TopicRef;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly partitioner: SinkPartitioner | undefined;
  /**
   * Bytes at the end of a serialized key that do not count for the default partitioner: the window of a windowed key (8, sessions 16),
   * so that windowed results lie in the partition of their plain key. 0 for plain keys.
   */
  readonly keySuffixBytes: number;
}

/** A topic per record. */
export interface SinkChoice {
  /** Shown by describe(). */
  readonly name: string;
  readonly targets: readonly SinkTarget[];
  /** Index of the target for a record. */
  readonly pick: (value: unknown, key: unknown, context: RecordContext) => number;
}

/** Of a sink that chooses, its own target is the first that it may choose. */
export interface SinkNode extends SinkTarget {
  readonly kind: 'sink';
  readonly name: string;
  readonly choice?: SinkChoice | undefined;
  readonly onError: ErrorPolicy | undefined;
}

export type TopologyNode = SourceNode | ProcessorNode | SinkNode;

/** A topic the application makes for itself. */
export interface InternalTopic {
  readonly name: string;
  readonly kind: 'repartition' | 'changelog';
  /** Fixed by the program, or undefined: derived from the sources that feed it (repartition), or the task count (changelog). */
  readonly partitions: number | undefined;
  /** Kafka topic settings, before the user's overrides. */
  readonly config: Readonly<Record<string, string>>;
  /** Changelogs: the store behind it. */
  readonly store: string | undefined;
}

/** A topic of the user, with what dev mode needs to create it. */
export interface UserTopic {
  readonly name: string;
  readonly partitions: number | undefined;
  readonly config: Readonly<Record<string, string>>;
}

export interface Subtopology {
  readonly id: number;
  /** Node names in topological order (parents first). */
  readonly nodes: readonly string[];
  readonly stores: readonly string[];
  /** What it reads. */
  readonly sources: readonly TopicRef[];
  /** What it writes by sinks (changelogs not included). */
  readonly sinks: readonly TopicRef[];
}

/** What `describe` can write. */
export type DescribeFormat = 'kafka' | 'json' | 'mermaid' | 'dot';

/**
 * A store that every instance holds whole: fed by all partitions of one topic through one processor, read by every task, written by none.
 * It takes a sub-topology's id, but makes no tasks.
 */
export interface GlobalStore {
  readonly id: number;
  /** Names of its two nodes. */
  readonly source: string;
  readonly processor: string;
  /** Its store; the spec is among the topology's. */
  readonly store: string;
  /** As read; never an internal one. */
  readonly topic: string;
}

/** Everything a runtime needs to run a program. Equal programs give equal plans in every thread. */
export interface Topology {
  readonly name: string;
  readonly nodes: ReadonlyMap<string, TopologyNode>;
  readonly stores: ReadonlyMap<string, StoreSpec>;
  readonly subtopologies: readonly Subtopology[];
  readonly globals: readonly GlobalStore[];
  readonly internalTopics: readonly InternalTopic[];
  /** Sets of topics that must have equal partition counts. */
  readonly copartitionGroups: readonly (readonly TopicRef[])[];
  /** User topics with their creation wishes, for dev mode. */
  readonly userTopics: readonly UserTopic[];
  /**
   * `kafka` (default): the text of Kafka Streams' Topology.describe(), character for character. `json`: `toJSON` as text.
   * `mermaid`, `dot`: a drawing, for what renders these. Throws ERR_OPTION for another format.
   */
  describe(format?: DescribeFormat): string;
  /** The plan as data; equal text means an equal topology (workers compare it). */
  toJSON(): object;
}
