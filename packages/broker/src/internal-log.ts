// What the coordinators may do to the log: append to internal topics, read them back at start, write markers, ask what exists.
// Owns: the contract only; `topics/local-internal-log.ts` is the one that counts.
// Never: knows what a coordinator's records mean.
// I1 an append is in the log, and visible to `replay`, when the call returns.  I2 it is durable under the broker's fsync
// setting only when `durable()` has settled: a reply that promises something waits for that.
// I3 a transactional append to an internal topic counts once its marker is there; `replay` says so in log order.
import type { TopicPartition } from '@millrace/core';

export const OFFSETS_TOPIC = '__consumer_offsets';
export const TRANSACTIONS_TOPIC = '__transaction_state';
export type InternalTopic = typeof OFFSETS_TOPIC | typeof TRANSACTIONS_TOPIC;

/** One record of an internal topic. `value` null is a tombstone. */
export interface InternalRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

/** Marks an internal append as part of a producer's transaction (TxnOffsetCommit). */
export interface InternalTransaction {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface MarkerFacts extends InternalTransaction {
  readonly commit: boolean;
  readonly coordinatorEpoch: number;
}

/** What `replay` hands over, in log order. Views are valid only during the call: copy what is kept. */
export interface ReplaySink {
  /** `transaction` is set for a record of a transactional batch: it is pending until the marker of that producer comes. */
  record(record: InternalRecord, offset: number, timestampMs: number, transaction: InternalTransaction | undefined): void;
  /** A control marker of this partition. Left out by logs without transactional appends. */
  marker?(marker: MarkerFacts, offset: number): void;
}

/** A producer as one partition knows it (DescribeProducers). */
export interface PartitionProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  /** -1 when only markers were seen. */
  readonly lastSequence: number;
  readonly lastTimestampMs: number;
  readonly coordinatorEpoch: number;
  /** First offset of the open transaction; -1 without one. */
  readonly transactionStartOffset: number;
}

export interface InternalLog {
  /** How many partitions the internal topic has; it exists from the broker's start on. */
  partitionCount(topic: InternalTopic): number;
  /**
   * Appends the records as one batch (no records: nothing happens, returns the log end). Returns the offset of the first.
   * Throws ERR_RECORD_TOO_LARGE above the topic's max.message.bytes and the disk's error when the write fails (the log is then unchanged).
   */
  appendRecords(topic: InternalTopic, partition: number, records: readonly InternalRecord[], transaction?: InternalTransaction): number;
  /** Everything in the partition from its log start on, in order, synchronously. */
  replay(topic: InternalTopic, partition: number, sink: ReplaySink): void;
  /** Appends a control marker to any partition, internal or not, and returns its offset; undefined when the partition is gone (topic deleted). */
  appendMarker(topic: string, partition: number, marker: MarkerFacts): number | undefined;
  /** True for a partition of a topic that exists. */
  partitionExists(topic: string, partition: number): boolean;
  /** How many partitions the topic has; 0 when there is none of that name. */
  partitionsOf(topic: string): number;
  /** The partition's live producers; empty when there is no such partition. */
  producersOf(topic: string, partition: number): readonly PartitionProducer[];
  /** Undefined: everything appended so far is as durable as the setting asks (always so with fsync 'never'). Else settles when it is. */
  durable(): Promise<void> | undefined;
}

/** The transaction coordinator as produce sees it. */
export interface TransactionGate {
  /** True when the partition was added to the open transaction of exactly this producer id and epoch. Cheap: asked per transactional batch. */
  holdsPartition(producerId: number, producerEpoch: number, topic: string, partition: number): boolean;
  /** Is this the producer of that transactional id? NONE, or the code that says why not: what a batch of no known transaction is answered with. */
  checkProducer(request: JoiningProducer): number;
  /** Adds partitions to the producer's transaction on the way of its data (Produce 12). */
  join(request: JoiningProducer, partitions: readonly TopicPartition[]): JoinReply;
}

export interface JoiningProducer {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface JoinReply {
  readonly errorCode: number;
  /** Settles when data may be appended; undefined: at once. Rejects when the disk refuses. */
  readonly ready: Promise<void> | undefined;
}

/** What topic deletion tells the coordinators, after the topic is gone. */
export interface TopicWatcher {
  topicDeleted(topic: string): void;
}
