// What a task asks of the worker, or the test, that it runs in, and how much it may do at a time.
// Never: code.
import type { Logger } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import type { ErrorPolicies } from '../options.ts';
import type { OutputLane } from '../outbox.ts';
import type { UserMetrics } from '../user-metrics.ts';
import type { WorkerEvents } from '../worker-ports.ts';
import type { OutputRule } from './output-rule.ts';
import type { OutsidePorts } from './outside.ts';
import type { LogEnds } from './partition-group.ts';

/** What all tasks of a worker share. */
export interface TaskHost {
  readonly applicationId: string;
  readonly topology: Topology;
  readonly errors: ErrorPolicies;
  readonly idleWaitMs: number;
  /** See Tuning; any unless given. */
  readonly timestampAheadMaxMs?: number;
  readonly log: Logger;
  readonly events: Pick<WorkerEvents, 'taskState' | 'failure'>;
  readonly ends: LogEnds;
  /** Wall clock as of this turn. */
  readonly turnMs: number;
  monotonicMs(): number;
  /** See NodeContext; a second unless given. */
  readonly emitIntervalMs?: number;
  /** Does this store log every write, as Kafka Streams without its cache? None does unless given. */
  logsEveryWrite?(store: string): boolean;
  lane(topic: string, partition: number, isChangelog?: boolean): OutputLane;
  partitionsOf(topic: string): number;
  /** Largest batch of one record that is sent to a topic, bytes; what is usual unless given. */
  readonly recordBytesMax?: (topic: string) => number;
  /** What else an output topic is known not to take. */
  readonly outputRule?: (topic: string) => OutputRule | undefined;
  requestCommit(): void;
  /** Stores that every instance holds whole, for reading; undefined for a name that is not one. */
  readonly globalStore?: (name: string) => unknown;
  /** For user code; unless given, nobody sees what it counts. */
  readonly userMetrics?: Pick<UserMetrics, 'of' | 'forget'>;
  /** A folder for files of a task's own. */
  readonly stateDirOf?: (taskId: string) => string;
  /** For nodes that work outside the turn; a host without it cannot run them. */
  readonly outside?: OutsidePorts;
}

/** How much a task may do before others, and sockets, get their turn. */
export interface StepBudget {
  readonly records: number;
  /** Monotonic ms. */
  readonly deadlineMs: number;
}
