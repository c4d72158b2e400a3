// What a worker is given and what it tells: everything it touches comes in here, so it runs the same in a thread, in the
// caller's thread, in a test and in a simulation.
// Never: knows worker_threads, sockets, files, the group protocol.
import type { GroupMetadata, LogAdmin, LogConsumer, LogProducer } from '@millrace/client';
import type { Chance, Clock, Logger, MetricSnapshot, Timers } from '@millrace/core';
import type { BatchPool } from '@millrace/protocol';
import type { Database } from '@millrace/state';
import type { ErrorDecision, Failure, Topology } from '@millrace/topology';
import type { FailedRecord } from './deliveries.ts';
import type { ErrorPolicies, WorkerTiming } from './options.ts';
import type { OutputRule } from './task/output-rule.ts';

export type TaskState = 'created' | 'restoring' | 'running' | 'suspended' | 'closed';

export interface WorkerOptions {
  readonly applicationId: string;
  readonly workerId: string;
  readonly transactionalId: string;
  readonly topology: Topology;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  readonly timing: WorkerTiming;
  /** Where a node or source has no policy of its own; fail. */
  readonly errors?: ErrorPolicies | undefined;
}

export interface WorkerPorts {
  /** Reads read_committed under exactly-once. The worker closes it, as it does all ports below. */
  readonly consumer: LogConsumer;
  /** A consumer for changelogs, read_committed; made when the first store is restored. */
  readonly createRestoreConsumer: () => LogConsumer;
  /** With the transactional id under exactly-once; initialised by the worker. */
  readonly producer: LogProducer;
  readonly admin: LogAdmin;
  /** Builders of output batches; the producer recycles them into it. */
  readonly batches: BatchPool;
  /** Attached to, or opened for, this worker; detached by it before the task counts as released. `stores` are the subtopology's. */
  readonly openDatabase: (taskId: string, stores: readonly string[]) => Promise<Database> | Database;
  /** Stores that every instance holds whole, for reading. */
  readonly globalStore?: ((name: string) => unknown) | undefined;
  /** A folder for files of a task's own, beside its stores. */
  readonly stateDirOf?: ((taskId: string) => string) | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly chance: Chance;
  readonly log: Logger;
  readonly events: WorkerEvents;
  readonly trace?: WorkerTrace | undefined;
}

export interface TaskAssignment {
  /** `subtopology_partition` */
  readonly id: string;
  /** The record that the task failed at before; it is likely to come again. */
  readonly failedBefore?: FailedRecord | undefined;
}

/** The whole of what a worker has, in one message. */
export interface WorkerAssignment {
  readonly group: GroupMetadata;
  readonly tasks: readonly TaskAssignment[];
  /** Transactional ids to initialise before committed offsets are fetched: of members that vanished. */
  readonly fence: readonly string[];
  /** Partitions of every topic the topology reads, writes or logs to, by name on the broker. */
  readonly partitionCounts: ReadonlyMap<string, number>;
  /** Topics that the topology's patterns stand for, as the leader has dealt them out; none unless given. */
  readonly matched?: readonly string[];
  /** Largest batch of one record by topic on the broker, bytes; none is known unless given. */
  readonly recordBytesMax?: ReadonlyMap<string, number>;
  /** What else output topics are known not to take, by topic on the broker; nothing unless given. */
  readonly outputRules?: ReadonlyMap<string, OutputRule>;
}

/** Told between two turns; must not throw, must not block. */
export interface WorkerEvents {
  taskState(taskId: string, state: TaskState): void;
  restoreProgress(progress: RestoreProgress): void;
  /** Records dropped since the last call, at most once a second per reason. */
  dropped(taskId: string, node: string, reason: string, count: number): void;
  /** A policy was asked, or a default applied. */
  failure(failure: Failure, decision: ErrorDecision): void;
  /** Every buffer of this worker, about once a second. */
  buffers(buffers: readonly BufferFact[]): void;
  /** What user code has counted in the tasks that are here, about once a second. */
  metrics?(samples: MetricSnapshot): void;
  committed(facts: CommitFacts): void;
  settled(taskIds: readonly string[]): void;
  /** The coordinator no longer knows this member: everything has been dropped; an assignment of a new membership will follow. */
  membershipLost(error: Error): void;
}

export interface RestoreProgress {
  readonly taskId: string;
  readonly store: string;
  /** Records put into the store so far. */
  readonly restored: number;
  /** Offsets still to pass. */
  readonly remaining: number;
  readonly etaMs: number | undefined;
}

/** What a buffer holds just now, and may hold. */
export interface BufferFact {
  /** `fetched`, `output`, `staged`, `cached`, `restore`, `idle-batches`; of a node: `async-calls`, `async-pending`, `async-stray`, `suppress`. */
  readonly buffer: string;
  readonly unit: 'bytes' | 'items';
  readonly held: number;
  /** Infinity: the user has set no bound. */
  readonly max: number;
  /** Where it is not the whole worker's. */
  readonly taskId?: string;
  readonly node?: string;
}

export interface CommitFacts {
  readonly span: number;
  readonly tasks: readonly string[];
  readonly records: number;
  /** From close to the answer, ms. */
  readonly durationMs: number;
}

/** Test hooks: the ten steps of `worker.ts`, and the named points at which a crash is tried. Called synchronously; may throw to crash. */
export interface WorkerTrace {
  onStep?(step: number, span: number, detail?: unknown): void;
  onPoint?(name: string): void;
}

/** A worker: one loop, one producer, some tasks. */
export interface WorkerSeat {
  /**
   * The loop. Resolves after `stop`; rejects with the MillraceError that ended it (`response` says what may follow: `stop` needs a person,
   * anything else a new worker with the same transactional id). Everything uncommitted is then dropped and the ports are closed.
   */
  run(): Promise<void>;
  /** Resolves when tasks that left are committed, closed and released; new ones start beside. Calls take effect in order. */
  assign(assignment: WorkerAssignment): Promise<void>;
  /** Membership is gone: abort, drop and close every task. */
  lost(): Promise<void>;
  /** Finishes the record in hand, commits, settles, closes tasks and ports; without the commit once `deadlineMs` has passed. */
  stop(deadlineMs: number): Promise<void>;
  /** Everything committed before the call is on disk. */
  settleNow(): Promise<void>;
  wake(): void;
  /** The database of a task that runs here: for reads where no other thread can attach (memory engine). Settled state only. */
  databaseOf(taskId: string): Database | undefined;
}
