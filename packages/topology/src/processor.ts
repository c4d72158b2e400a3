// The processor contract: how a node of the physical graph is created for a task and what it may ask of its host.
// Calls are synchronous and depth first. The record's time and headers live in one cursor per task (`RecordCursor`), so
// forwarding allocates nothing: a node that changes them restores them before it returns.
import type { Logger, MetricFactory, RecordHeaders } from '@millrace/core';
import type { OutsideHost, OutsideWork } from './outside-work.ts';

/** Where a record came from. */
export interface SourcePosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Third argument of every callback. One object per task, reused: read it during the call, do not keep it. */
export interface RecordContext {
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  readonly streamTime: number;
  /** `subtopology_partition` */
  readonly taskId: string;
  /** undefined below a punctuator */
  readonly source: SourcePosition | undefined;
}

/** The same object as its host sees it. `timestamp`, `headers` and, for a record that was kept for later, `source` may be set by a node, and restored by it. */
export interface RecordCursor extends RecordContext {
  timestamp: number;
  headers: RecordHeaders;
  source: SourcePosition | undefined;
}

export interface Punctuation extends Disposable {
  cancel(): void;
}

/** Why a record was dropped: one counter each. `expired`: refused by a store's retention; `deadLetter`: it lies in a dead-letter topic. */
export type DropReason = 'late' | 'decode' | 'nullKey' | 'skipped' | 'deadLetter' | 'expired';

/** All a node may ask of the task that hosts it. Each node has its own, made when the graph is built. */
export interface NodeContext {
  readonly node: string;
  readonly applicationId: string;
  readonly taskId: string;
  readonly partition: number;
  readonly record: RecordCursor;
  readonly log: Logger;
  /** For user code: what is counted here shows among the instance's metrics. */
  readonly metrics: MetricFactory;
  /** A folder for files of the task's own; it may not be there yet. */
  readonly stateDir: string;
  /** Wall clock, ms, as of this turn of the worker. */
  wallClockMs(): number;
  /** Least wall-clock time, ms, between two looks for results that the passing of stream time has made due; 0: look each time. */
  readonly emitIntervalMs: number;
  /** To every child, in the order in which they were connected. */
  forward(key: unknown, value: unknown): void;
  /** To every child with another timestamp; the cursor's own is restored. */
  forwardAt(key: unknown, value: unknown, timestamp: number): void;
  /** To one child by node name. Throws ERR_TOPOLOGY for a name that is no child. */
  forwardTo(child: string, key: unknown, value: unknown): void;
  /** A store that this node declared. Throws ERR_STORE_NOT_CONNECTED otherwise. The node knows the store's shape from its spec. */
  store(name: string): unknown;
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', punctuate: (atMs: number) => void, startAtMs?: number): Punctuation;
  /** Commit soon after the current record. */
  requestCommit(): void;
  drop(reason: DropReason, detail?: string): void;
  /** Announces work outside the turn: once, while the node is created. */
  workOutside(work: OutsideWork): OutsideHost;
  /** How far this task has come in something that only grows, kept beside its input offsets in the same commit; undefined: never told. */
  progress(name: string): number | undefined;
  /** `name`: unique in the topology, best that of a store. */
  setProgress(name: string, value: number): void;
}

/** A node at work in one task. */
export interface NodeProcessor {
  process(key: unknown, value: unknown): void;
  /** At each close, in topological order: forward what an emit buffer holds (`emit: 'onCommit'`). */
  drain?(): void;
  /**
   * Stream time has moved on without a record, because the input is silent (`idleAfter`): what had to wait for it is due. Parents first; the cursor
   * stands at that time. Also at the begin of a life, with the time of the one before: then nothing is due that was not handed on.
   */
  timeMoved?(streamTime: number): void;
  close?(): void;
  /** Of a node that holds rows back: how much, for metrics. Infinity: no bound; NaN: not counted. */
  readonly holding?: { readonly rows: number; readonly rowsMax: number; readonly bytes: number; readonly bytesMax: number };
}

/** Called once per task. Must return a distinct object each time. */
export type ProcessorFactory = (context: NodeContext) => NodeProcessor;
