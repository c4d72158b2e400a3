// The log as the runtime sees it: three ports and the group member. The Kafka adapter in `kafka/` is the one that counts.
// Batches go through whole: a fetched partition is a run of validated record batches, a produced one a sealed BatchBuilder.
// No port is used by two threads. Errors are MillraceErrors; their `response` says what follows.
import type { Offset, TopicPartition } from '@millrace/core';
import type { BatchBuilder, RecordBatchView } from '@millrace/protocol';

// ---- consumer -------------------------------------------------------------------------------------------------------

export interface PartitionStart extends TopicPartition {
  readonly offset: Offset;
}

/** Data of one partition from one fetch: batches in offset order, CRC checked, control and (read_committed) aborted batches left out. */
export interface FetchedPartition extends TopicPartition {
  readonly batches: readonly RecordBatchView[];
  /** The first wanted offset: the position this fetch asked for. The first batch may begin before it: skip records below. */
  readonly firstOffset: Offset;
  /** Where the next fetch begins: past everything seen, what was left out included. */
  readonly nextOffset: Offset;
  readonly highWatermark: Offset;
  readonly lastStableOffset: Offset;
  readonly logStart: Offset;
  /** Epoch of the leader that appended the last batch before `nextOffset`, markers and what else was left out included; -1 unknown. */
  readonly leaderEpoch: number;
  /** The number of the assignment that was in force when `poll` handed this out. Grows with each `assign`; data of an older number is for tasks that may be gone. */
  readonly assignment: number;
  /**
   * Call when no view of these batches is needed any more: the frame goes back to the pool. Calling again does nothing. What is not released counts
   * against `bufferedBytesMax`, so forgetting it stops the fetching.
   */
  release(): void;
}

export type PollEvent =
  | { readonly kind: 'data'; readonly data: FetchedPartition }
  /** The position is outside the log: the runtime decides (reset policy, or a truncated changelog). */
  | {
      readonly kind: 'outOfRange';
      readonly topic: string;
      readonly partition: number;
      readonly position: Offset;
      readonly logStart: Offset;
      readonly logEnd: Offset;
    }
  /** The topic was deleted and made again: never go on with old offsets. */
  | { readonly kind: 'recreated'; readonly topic: string }
  /** Not retriable (no right, unsupported codec, the same batch corrupt twice), or retriable for longer than the request timeout. Fetching of it has stopped. */
  | { readonly kind: 'failed'; readonly topic: string; readonly partition: number; readonly error: Error };

export interface LogConsumer {
  /**
   * The whole set to read; returns the new assignment number. A partition kept from before goes on undisturbed (what is in flight and what was
   * prefetched included) when its `offset` equals `position()`; any other offset moves it there and drops what was fetched. A kept partition stays
   * paused if it was; a moved or new one is not paused. A partition that reported `outOfRange`, `recreated` or `failed` is fetched again only after
   * an `assign` that moves it (or leaves it out, then names it again).
   */
  assign(partitions: readonly PartitionStart[]): number;
  pause(partition: TopicPartition): void;
  resume(partition: TopicPartition): void;
  /** The next offset that `poll` will hand out (prefetched data is not handed out yet); undefined when not assigned. */
  position(partition: TopicPartition): Offset | undefined;
  /** Log end (read_committed: last stable offset) as of the last answer for this partition; undefined before the first. */
  endOffset(partition: TopicPartition): Offset | undefined;
  /** Fetched and not yet released, over all partitions. */
  readonly bufferedBytes: number;
  /** Memory kept for the next fetches while nobody uses it; at most what may be buffered. */
  readonly idleBytes: number;
  /** Resolves with what has come, at the latest after `maxWaitMs`, at once after `wake()`. Fetching goes on between polls within the byte bound. */
  poll(maxWaitMs: number): Promise<readonly PollEvent[]>;
  wake(): void;
  close(): Promise<void>;
}

// ---- producer -------------------------------------------------------------------------------------------------------

export interface ProduceAck {
  readonly baseOffset: Offset;
  /** The offset after its last record. (A batch too large for its topic is sent in parts; others may have written between them.) */
  readonly nextOffset: Offset;
  /** -1 unless the topic uses log append time. */
  readonly logAppendTime: number;
  /** The epoch under which the leader led that has it; -1 unknown. */
  readonly leaderEpoch: number;
}

/** Who commits, as the group coordinator checks it (KIP-447). */
export interface GroupMetadata {
  readonly groupId: string;
  readonly memberId: string;
  readonly generation: number;
  readonly instanceId: string | undefined;
}

export interface OffsetToCommit extends TopicPartition {
  readonly offset: Offset;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/**
 * Idempotent, and with a transactional id transactional. Sequences, epoch and CRC are set when a batch is sent, in the order
 * of `send` per partition; a batch that waits for a retry counts as in flight.
 */
export interface LogProducer {
  /** InitProducerId: settles whatever the last holder of the transactional id left open, and fences it. Also after an indefinite result. */
  initialise(): Promise<void>;
  /** From here on `send` belongs to a new transaction. Registration happens lazily. No-op without a transactional id. */
  begin(): void;
  /**
   * Takes the builder over; it is recycled after the acknowledgement. A batch that is too large for its topic is split as far as it can be. Rejects
   * with ERR_RECORD_TOO_LARGE (a single record; `where.bytes`), ERR_RECORD_REJECTED or ERR_INVALID_TIMESTAMP (a single record; `where.timestamp`,
   * `where.keyless` 0 or 1, `where.mark`, see `recordMark`), ERR_PRODUCER_FENCED, …
   */
  send(topic: string, partition: number, batch: BatchBuilder): Promise<ProduceAck>;
  /** Batches not yet acknowledged, those waiting for a retry included, and their bytes. */
  readonly inFlight: { readonly batches: number; readonly bytes: number };
  /** Resolves when everything sent so far is acknowledged; rejects with the first failure since `begin`. */
  flush(): Promise<void>;
  /** Offsets of all partitions in one request, into the transaction. ERR_GENERATION: the generation turned, the transaction is still open. */
  sendOffsets(group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void>;
  /** EndTxn. ERR_TRANSACTION_INDEFINITE: nobody knows; only `initialise` may follow. A transaction in which nothing happened ends without a request. */
  end(commit: boolean): Promise<void>;
  close(): Promise<void>;
}

// ---- admin ----------------------------------------------------------------------------------------------------------

export interface TopicDescription {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly internal: boolean;
}
export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replication: number;
  readonly config: Readonly<Record<string, string>>;
}
/** A member of a group as the broker shows it. */
export interface PresentMember {
  readonly memberId: string;
  readonly instanceId: string | undefined;
  readonly clientId: string;
  readonly host: string;
}
export interface CommittedOffset {
  readonly offset: Offset;
  readonly metadata: string;
}
export type OffsetSpec = 'earliest' | 'latest' | 'latestStable' | { readonly atMs: number };

export interface LogAdmin {
  /** Topics that exist, by name; a missing one is absent. All when `names` is undefined. */
  describeTopics(names: readonly string[] | undefined): Promise<ReadonlyMap<string, TopicDescription>>;
  /** Creates what is missing; an existing topic is left alone (the caller validates it). */
  createTopics(topics: readonly NewTopic[]): Promise<void>;
  deleteTopics(names: readonly string[]): Promise<void>;
  topicConfig(name: string): Promise<Readonly<Record<string, string>>>;
  /** `latest` is the log end (read_uncommitted), `latestStable` the last stable offset. Keys are `partitionKey`s. */
  listOffsets(partitions: readonly TopicPartition[], at: OffsetSpec): Promise<ReadonlyMap<string, Offset>>;
  /**
   * Where the log of each leader stops to be that of `leaderEpoch`: the offset after the last record of that epoch, or of the next older one it
   * knows. Whoever stands beyond has seen records that the log has lost. -1 where the leader knows of no such epoch. Keys are `partitionKey`s.
   */
  epochEnds(questions: readonly (TopicPartition & { readonly leaderEpoch: number })[]): Promise<ReadonlyMap<string, Offset>>;
  /**
   * Partitions without a commit are absent. Waits out transactions that hold offsets of these partitions, as whoever takes them over must;
   * with `asOfNow` it gives what is committed by now instead: a lower bound, which is there also while one such transaction follows the other.
   */
  committedOffsets(groupId: string, partitions: readonly TopicPartition[], asOfNow?: 'asOfNow'): Promise<ReadonlyMap<string, CommittedOffset>>;
  /**
   * Outside a transaction (at-least-once). One that was sent and got no answer is not repeated here (ERR_TIMEOUT, ERR_CONNECTION): that does no
   * harm, but the first may be carried out after the second, and after what is committed next.
   */
  commitOffsets(group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void>;
  /** Records below the offsets go. Used to purge repartition topics. */
  deleteRecords(before: readonly PartitionStart[]): Promise<void>;
  /** Who is in a group now; empty for a group that is not there. */
  groupMembers(groupId: string): Promise<readonly PresentMember[]>;
  /** LeaveGroup on behalf of a member whose process is known to be gone. An unknown member or group is fine. */
  removeMember(groupId: string, memberId: string): Promise<void>;
  /** InitProducerId for an id of somebody who vanished: ends its open transaction and fences it. */
  fenceTransactionalId(transactionalId: string): Promise<void>;
  close(): Promise<void>;
}

// ---- group member ---------------------------------------------------------------------------------------------------

/** A member as the leader's assignor sees it. */
export interface MemberSubscription {
  readonly memberId: string;
  readonly instanceId: string | undefined;
  readonly topics: readonly string[];
  readonly userData: Uint8Array;
}
/** What the leader hands to a member. */
export interface MemberAssignment {
  readonly partitions: readonly TopicPartition[];
  readonly userData: Uint8Array;
}

export interface GroupMemberHooks {
  /** Bytes for the subscription of the next join: read anew at each join. */
  userData(): Uint8Array;
  /** Topics of the subscription of the next join, in place of the options' where they change: read anew at each join. */
  topics?(): readonly string[];
  /** The id this member is about to join with, new from the coordinator: whoever keeps it can remove a member whose process was killed at once. */
  named?(memberId: string): void;
  /** The leader's assignor. A rejection fails the sync; the member rejoins after a back-off. */
  assign(members: readonly MemberSubscription[]): Promise<ReadonlyMap<string, MemberAssignment>>;
  /** A new assignment; heartbeats go on meanwhile. */
  assigned(group: GroupMetadata, assignment: MemberAssignment): void;
  /** Membership is gone ([25], [82], session expired): everything owned must be dropped without commit. Unless `fatal`, the member rejoins by itself. */
  lost(reason: Error, fatal: boolean): void;
}

/** Classic protocol, cooperative: a rebalance never stops what is kept. The runtime revokes and calls `rejoin`. */
export interface GroupMember {
  /**
   * The coordinator has not answered for a session timeout (during a join of one who still has an assignment: for as long as that may take on top), or nothing
   * is assigned, or no longer: others may have what was.
   */
  readonly outOfTouch: boolean;
  start(): void;
  /** Join again: own assignment given up in part, metadata changed, follow-up wanted. Several calls before the join are one. */
  rejoin(reason: string): void;
  /** Leaves the group (LeaveGroup) or only stops (static members on a restart), then closes. */
  close(leave: boolean): Promise<void>;
}

export interface SaslLogin {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
  /** `plain` shows the password to the network: beyond this machine it is refused without `ssl`, unless this is true. */
  readonly plainWithoutTls?: boolean | undefined;
}

/** What a process needs to open its ports. Plain data where it must travel to a worker thread. */
export interface ConnectionOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** node:tls options; true: the defaults. */
  readonly ssl?: boolean | object | undefined;
  readonly sasl?: SaslLogin | undefined;
  readonly connectionTimeoutMs: number;
  readonly requestTimeoutMs: number;
}
