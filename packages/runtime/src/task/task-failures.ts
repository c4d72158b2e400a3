// What becomes of a record that fails, and of one that is passed over: the policy is asked, a dead letter written, the drop counted.
// Owns: the drops that have not been told yet.  Never: decides in place of a policy, begins or ends a life.
// F1 an error is judged once: what a policy has answered 'fail' to goes up as ERR_TASK_FAILED, which no policy above is asked about.
// F2 bytes told of a failure are those of its own record, or none.
import { type Logger, MillraceError } from '@millrace/core';
import { type DropReason, type EarlierRecord, type ErrorPolicy, type Failure, isDeadLetter, type SourcePosition } from '@millrace/topology';
import type { FailedRecord } from '../deliveries.ts';
import type { WorkerEvents } from '../worker-ports.ts';
import type { TaskCursor } from './cursor.ts';
import { type DeadLetterHost, writeDeadLetter } from './dead-letter.ts';
import { decideFailure, isForPolicy, taskFailed } from './error-policy.ts';
import type { RecordQueue } from './record-queue.ts';

/** The task whose records fail. */
export interface FailureHost extends DeadLetterHost {
  readonly id: string;
  readonly cursor: TaskCursor;
  readonly log: Logger;
  /** The queue of the record in hand; undefined between records and below a timer. */
  readonly input: RecordQueue | undefined;
  /** The innermost node at work, as far as is known. */
  readonly currentNode: string;
  /** The store is rebuilt before the next life; all of them where it is not said which. */
  distrust(store: unknown): void;
}

export class TaskFailures {
  /** By `node\nreason`. */
  readonly drops = new Map<string, number>();
  /** The record that an earlier life of the task, here or in another worker, failed at. */
  failedBefore: FailedRecord | undefined;
  readonly #task: FailureHost;
  readonly #events: Pick<WorkerEvents, 'failure'>;

  constructor(task: FailureHost, events: Pick<WorkerEvents, 'failure'>) {
    this.#task = task;
    this.#events = events;
  }

  drop(node: string, reason: DropReason, detail: string | undefined): void {
    if (!this.#count(node, reason)) return;
    const { id, log, cursor } = this.#task;
    const fields = { task: id, node, reason, detail, source: cursor.source };
    // An operator that passes something over in its daily work (a row that refers to nothing, say) is no reason to look up.
    if (reason === 'skipped') log.debug(fields, `record dropped: ${reason}`);
    else log.warn(fields, `record dropped: ${reason}`);
  }

  /** Returns when the record is passed over. Throws ERR_TASK_FAILED where it is not, and what no policy may judge. */
  judge(policy: ErrorPolicy, stage: Failure['stage'], node: string, error: unknown, queue: RecordQueue | undefined, earlier?: EarlierRecord): void {
    if (!isForPolicy(error)) throw error;
    const failure = this.#failureOf(stage, node, error, queue, earlier);
    const { decision, fault } = decideFailure(policy, failure);
    if (isDeadLetter(decision)) writeDeadLetter(decision, failure, this.#task);
    this.#events.failure(failure, decision);
    if (decision === 'fail') throw taskFailed(failure, fault);
    this.#count(node, isDeadLetter(decision) ? 'deadLetter' : stage === 'decode' ? 'decode' : 'skipped'); // the failure has been told
  }

  /** What to throw for an error that came up through the graph unjudged: the innermost node's policy is 'fail'. */
  unjudged(error: unknown, stage: 'process' | 'punctuate' | 'async'): unknown {
    const { currentNode, input } = this.#task;
    if (MillraceError.is(error) && error.response === 'rebuild-store') this.#task.distrust(error.where.store);
    if (!isForPolicy(error)) return error;
    const failure = this.#failureOf(stage, currentNode, error, input);
    this.#events.failure(failure, 'fail');
    return taskFailed(failure);
  }

  /** True the first time. */
  #count(node: string, reason: DropReason): boolean {
    const key = `${node}\n${reason}`;
    const before = this.drops.get(key);
    this.drops.set(key, (before ?? 0) + 1);
    return before === undefined;
  }

  #failureOf(stage: Failure['stage'], node: string, error: unknown, queue: RecordQueue | undefined, earlier?: EarlierRecord): Failure {
    const { id, cursor } = this.#task;
    // A record that waited in a store is not the one in hand: its bytes are not there any more, and others would be a lie.
    const { rawKey, rawValue } = earlier ?? rawOf(isAt(queue, cursor.source) ? queue : undefined);
    return {
      stage,
      error,
      node,
      taskId: id,
      timestamp: cursor.timestamp,
      headers: cursor.headers,
      source: cursor.source === undefined ? undefined : { ...cursor.source },
      rawKey,
      rawValue,
      deliveries: this.#timesFailed(cursor.source) + 1,
    };
  }

  #timesFailed(source: SourcePosition | undefined): number {
    const before = this.failedBefore;
    if (source === undefined || before === undefined) return 0;
    return before.offset === source.offset && before.partition === source.partition && before.topic === source.topic ? before.times : 0;
  }
}

/** The record in hand, to be looked at again later. */
export function earlierRecord({ cursor, input }: Pick<FailureHost, 'cursor' | 'input'>): EarlierRecord {
  const { timestamp, headers, source } = cursor;
  return { timestamp, headers, source: source === undefined ? undefined : { ...source }, ...rawOf(input) };
}

function isAt(queue: RecordQueue | undefined, source: SourcePosition | undefined): boolean {
  return queue !== undefined && source?.offset === queue.at.offset && source.partition === queue.partition && source.topic === queue.topic;
}

/** Key and value of the record in hand as they were read, copied. */
function rawOf(queue: RecordQueue | undefined): { readonly rawKey: Uint8Array | null; readonly rawValue: Uint8Array | null } {
  const reader = queue?.reader;
  const copy = (start: number, length: number): Uint8Array | null =>
    reader === undefined || length < 0 ? null : Buffer.from(reader.buffer.subarray(start, start + length));
  return reader === undefined
    ? { rawKey: null, rawValue: null }
    : { rawKey: copy(reader.keyStart, reader.keyLength), rawValue: copy(reader.valueStart, reader.valueLength) };
}
