// What the main thread and a worker say to each other: plain data, in order, both ways.
// A request carries a number and gets exactly one answer with that number; events come unasked.
import type { ConnectionOptions, GroupMetadata } from '@millrace/client';
import type { ErrorWire, MetricSnapshot } from '@millrace/core';
import type { DatabaseTicket } from '@millrace/state';
import type { ErrorDecision } from '@millrace/topology';
import type { FailedRecord } from './deliveries.ts';
import type { FailureWire } from './failure-wire.ts';
import type { WorkerTiming } from './options.ts';
import type { OutputRule } from './task/output-rule.ts';
import type { BufferFact } from './worker-ports.ts';

/** Where an engine is loaded from: a module that exports `engine`. Absent for the memory engine. */
export interface EngineSource {
  readonly name: string;
  readonly module: string | undefined;
}

/** Everything a worker is made from. */
export interface WorkerBlueprint {
  readonly workerId: string;
  readonly applicationId: string;
  readonly transactionalId: string;
  readonly stateDir: string;
  /** The user's module; its default export is the topology. */
  readonly module: string | undefined;
  /** JSON text of the main thread's topology: the worker's must be equal. */
  readonly topologyText: string;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  readonly connection: ConnectionOptions;
  readonly engine: EngineSource;
  /** Engines that stores ask for by name, where they are not the app's. */
  readonly storeEngines: readonly (EngineSource & { readonly wanted: string })[];
  readonly timing: WorkerTiming;
  /** The database of global stores, kept by the main thread; undefined: there are none, or the worker keeps its own (memory engine). */
  readonly globals: DatabaseTicket | undefined;
  /** Decisions by name; a policy that is a function cannot travel and belongs on the operator. */
  readonly errors: Readonly<Partial<Record<'decode' | 'process' | 'produce', ErrorDecision>>>;
}

export interface TaskSeat {
  readonly id: string;
  /** Undefined: the worker opens the database itself (memory engine), or the task has no stores. */
  readonly ticket: DatabaseTicket | undefined;
  /** The record that the task failed at before. */
  readonly failedBefore: FailedRecord | undefined;
}

/** An assignment in one message: who we are in the group, and all tasks of this worker. */
export interface SeatPlan {
  readonly group: GroupMetadata;
  readonly tasks: readonly TaskSeat[];
  /** Transactional ids of members that are gone, to be initialised before offsets are fetched. */
  readonly fence: readonly string[];
  /** Partition counts by topic name on the broker. */
  readonly partitionCounts: Readonly<Record<string, number>>;
  /** Topics that the topology's patterns stand for. */
  readonly matched: readonly string[];
  /** Largest record by topic, where a broker has refused one. */
  readonly recordBytesMax: Readonly<Record<string, number>>;
  /** What else output topics have refused, by topic. */
  readonly outputRules: Readonly<Record<string, OutputRule>>;
}

/** A read of committed state in the worker that owns it (memory engine). `bytesMax`: the row with which the rows as stored pass it is the last. */
export interface ReadRequest {
  readonly taskId: string;
  readonly store: string;
  readonly query: /** `asOfMs`: of a versioned store, the value that held then. */
    | { readonly kind: 'entry'; readonly key: unknown; readonly asOfMs?: number | undefined }
    | {
        readonly kind: 'range';
        readonly from: unknown;
        readonly to: unknown;
        readonly prefix: unknown;
        readonly reverse: boolean;
        readonly limit: number;
        readonly bytesMax?: number;
      }
    | {
        readonly kind: 'windows';
        readonly key: unknown;
        readonly fromMs: number | undefined;
        readonly toMs: number | undefined;
        readonly reverse: boolean;
        readonly limit: number;
        readonly bytesMax?: number;
      }
    | { readonly kind: 'allWindows'; readonly fromMs: number | undefined; readonly toMs: number | undefined; readonly limit: number };
}

export interface ReadRow {
  readonly key: unknown;
  readonly value: unknown;
  readonly timestamp: number;
  readonly window: { readonly start: number; readonly end: number } | undefined;
  /** As stored, where the question has a bound in bytes. */
  readonly bytes?: number;
}

export type WorkerRequest =
  | { readonly kind: 'assign'; readonly plan: SeatPlan }
  | { readonly kind: 'lost' }
  /** Are you awake? */
  | { readonly kind: 'ping' }
  | { readonly kind: 'settle' }
  | { readonly kind: 'read'; readonly read: ReadRequest }
  | { readonly kind: 'stop'; readonly deadlineMs: number };

export type ToWorker = { readonly number: number; readonly request: WorkerRequest };

/** What happens in a worker, as the instance wants to know it. */
export type WorkerNews =
  | { readonly kind: 'taskState'; readonly taskId: string; readonly state: 'created' | 'restoring' | 'running' | 'suspended' | 'closed' }
  | {
      readonly kind: 'restoreProgress';
      readonly taskId: string;
      readonly store: string;
      readonly restored: number;
      readonly remaining: number;
      readonly etaMs: number | undefined;
    }
  | { readonly kind: 'dropped'; readonly taskId: string; readonly node: string; readonly reason: string; readonly count: number }
  | { readonly kind: 'failure'; readonly failure: FailureWire; readonly decision: ErrorDecision }
  | { readonly kind: 'committed'; readonly records: number }
  | { readonly kind: 'buffers'; readonly buffers: readonly BufferFact[] }
  /** Everything that user code counts in this worker just now. */
  | { readonly kind: 'metrics'; readonly samples: MetricSnapshot }
  | { readonly kind: 'failed'; readonly error: ErrorWire }
  /** A commit was refused because the coordinator does not know the member: the worker has dropped its tasks and waits for an assignment. */
  | { readonly kind: 'membershipLost' }
  | { readonly kind: 'log'; readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly fields: object; readonly text: string };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly error: ErrorWire }
  | { readonly kind: 'answer'; readonly number: number; readonly result: unknown }
  | { readonly kind: 'fault'; readonly number: number; readonly error: ErrorWire }
  | { readonly kind: 'news'; readonly news: WorkerNews };
