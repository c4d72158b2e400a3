// Replays changelogs into stores, several at a time, beside the running tasks. It pulls: it is given jobs and fills their stores.
// Owns: a consumer of its own while there is something to restore.  Never: decides where to begin (`planRestore` has), touches running tasks.
// R1 a job is done when the consumer's *position* has reached its end, never by counting records: markers and aborted records count as passed.
// R2 rows and the checkpoint that speaks of them are one write batch; restore and settle are the only writers of a store.
import type { FetchedPartition, LogConsumer, PartitionStart } from '@millrace/client';
import { type Clock, explainError, MillraceError, type Offset, partitionKey, type Timers } from '@millrace/core';
import { type RecordBatchView, RecordReader } from '@millrace/protocol';
import { putCheckpoint, WriteBatch } from '@millrace/state';
import type { TaskStore, TaskStores } from '../task/task-stores.ts';
import type { RestoreProgress, WorkerTrace } from '../worker-ports.ts';

/** One row of a source topic, as its source would read it; undefined: passed over by its policy. */
export type SourceRow = { readonly timestamp: number } | undefined;

export interface RestoreJob {
  readonly taskId: string;
  readonly stores: TaskStores;
  readonly store: TaskStore;
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** Wall clock, ms: what the checkpoint says until the store is level (`levelAtMs` of the old one, or when the replay began). */
  readonly levelAtMs: number;
  /** Source topic as changelog: looks at each record as the source does. */
  readonly readSource: ((reader: RecordReader) => SourceRow) | undefined;
}

interface RunningJob extends RestoreJob {
  /** Next offset wanted. */
  position: number;
  restored: number;
  readonly startedAtMs: number;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export interface RestorerOptions {
  readonly createConsumer: () => LogConsumer;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly trace: WorkerTrace | undefined;
  progress(progress: RestoreProgress): void;
}

const POLL_MS = 100;
/** A write batch is written when it has grown to this. */
const WRITE_BYTES = 1024 * 1024;

export class Restorer {
  readonly #options: RestorerOptions;
  readonly #jobs = new Map<string, RunningJob>();
  readonly #reader = new RecordReader();
  #consumer: LogConsumer | undefined;
  #loop: Promise<void> | undefined;
  /** Resolves when the consumers that were let go are closed. */
  #gone: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: RestorerOptions) {
    this.#options = options;
  }

  /** Fetched and not yet written. */
  get bufferedBytes(): number {
    return this.#consumer?.bufferedBytes ?? 0;
  }
  /** Kept for the next fetches. */
  get idleBytes(): number {
    return this.#consumer?.idleBytes ?? 0;
  }

  /** Resolves when the store is level with `job.to`, with the number of records put into it. Rejects ERR_CHANGELOG_TRUNCATED when the log lost what was wanted. */
  restore(job: RestoreJob): Promise<number> {
    if (this.#closed) return Promise.reject(new MillraceError('ERR_ABORTED', 'the worker is closing', { task: job.taskId }));
    return new Promise((resolve, reject) => {
      const key = partitionKey(job.topic, job.partition);
      const running: RunningJob = {
        ...job,
        position: job.from,
        restored: 0,
        startedAtMs: this.#options.clock.monotonicMs(),
        done: () => resolve(running.restored),
        failed: reject,
      };
      this.#progress(running);
      if (job.from >= job.to) {
        this.#finish(running);
        return;
      }
      this.#jobs.set(key, running);
      this.#reassign();
      this.#loop ??= this.#run();
    });
  }

  /** The task is gone: its jobs end with ERR_ABORTED, what is written stays (the checkpoint says how far it goes). */
  cancel(taskId: string): void {
    for (const [key, job] of this.#jobs) {
      if (job.taskId !== taskId) continue;
      this.#jobs.delete(key);
      job.failed(new MillraceError('ERR_ABORTED', `restoring store ${job.store.spec.name} of task ${taskId} was given up`, { task: taskId }));
    }
    if (!this.#closed) this.#reassign();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of [...this.#jobs.values()]) this.cancel(job.taskId);
    this.#consumer?.wake();
    await this.#loop?.catch(() => undefined);
    this.#letConsumerGo();
    await this.#gone;
  }

  /** Its connections, and its memory: restoring is rare, and the next restore opens another one. */
  #letConsumerGo(): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined) this.#gone = Promise.allSettled([this.#gone, consumer.close()]);
  }

  #reassign(): void {
    const starts: PartitionStart[] = [...this.#jobs.values()].map((job) => ({ topic: job.topic, partition: job.partition, offset: job.position as Offset }));
    if (starts.length > 0) this.#consumer ??= this.#options.createConsumer();
    this.#consumer?.assign(starts);
    this.#consumer?.wake();
  }

  async #run(): Promise<void> {
    try {
      while (this.#jobs.size > 0 && !this.#closed) {
        const consumer = this.#consumer as LogConsumer;
        for (const event of await consumer.poll(POLL_MS)) {
          if (event.kind === 'data') this.#data(event.data);
          else this.#trouble(event);
        }
        this.#advance(consumer);
        await this.#options.timers.yield();
      }
    } catch (error) {
      for (const job of this.#jobs.values()) job.failed(error);
      this.#jobs.clear();
    } finally {
      this.#loop = undefined;
      this.#letConsumerGo();
    }
  }

  #data(data: FetchedPartition): void {
    const job = this.#jobs.get(partitionKey(data.topic, data.partition));
    try {
      if (job !== undefined && data.firstOffset <= job.position) this.#apply(job, data);
    } catch (error) {
      if (job === undefined) throw error;
      this.#jobs.delete(partitionKey(job.topic, job.partition));
      job.failed(isForeignRow(error) ? foreignRow(job, error) : error);
      this.#reassign();
    } finally {
      data.release();
    }
  }

  #apply(job: RunningJob, data: FetchedPartition): void {
    let batch = new WriteBatch();
    for (const view of data.batches) {
      if (job.position >= job.to) break;
      this.#applyBatch(job, view, batch);
      if (batch.bytes < WRITE_BYTES) continue;
      this.#write(job, batch);
      batch = new WriteBatch();
    }
    // What lies between the last record and the next fetch (markers, aborted and compacted records) counts as passed.
    if (job.position < data.nextOffset) job.position = Math.min(data.nextOffset, Math.max(job.to, job.position));
    // A marker may be of a newer leader than the last record: the position behind it is known under that one only.
    job.store.leaderEpoch = data.leaderEpoch;
    this.#write(job, batch);
    this.#progress(job);
  }

  #applyBatch(job: RunningJob, view: RecordBatchView, batch: WriteBatch): void {
    const reader = this.#reader.reset(view);
    job.store.leaderEpoch = view.leaderEpoch;
    while (reader.next()) {
      if (reader.offset < job.position) continue;
      if (reader.offset >= job.to) return; // a source topic goes on past what has been committed
      job.position = reader.offset + 1;
      if (reader.keyLength < 0) continue;
      const row = job.readSource === undefined ? reader : job.readSource(reader);
      if (row === undefined) continue;
      const { buffer } = reader; // views: the store copies what it keeps
      const key = buffer.subarray(reader.keyStart, reader.keyStart + reader.keyLength);
      const value = reader.valueLength < 0 ? null : buffer.subarray(reader.valueStart, reader.valueStart + reader.valueLength);
      job.store.store.applyRestored(batch, key, value, row.timestamp);
      job.restored += 1;
    }
    if (job.position <= view.lastOffset) job.position = Math.min(view.lastOffset + 1, job.to);
  }

  #write(job: RunningJob, batch: WriteBatch): void {
    const { store } = job;
    store.checkpointOffset = job.position;
    const level = job.position >= job.to;
    const levelAtMs = level ? this.#options.clock.nowMs() : job.levelAtMs;
    putCheckpoint(batch, store.spec.name, {
      changelogOffset: job.position,
      topicId: store.topicId,
      leaderEpoch: store.leaderEpoch,
      ...store.store.memory(),
      levelAtMs,
    });
    this.#options.trace?.onPoint?.('before-restore-write');
    job.stores.database.write(batch);
    this.#options.trace?.onPoint?.('after-restore-write');
  }

  /** Positions also move over what no batch tells of. */
  #advance(consumer: LogConsumer): void {
    let ended = false;
    for (const [key, job] of [...this.#jobs]) {
      const position = consumer.position(job);
      if (position !== undefined && position > job.position) job.position = Math.min(position, job.to);
      if (job.position < job.to) continue;
      this.#jobs.delete(key);
      ended = true;
      this.#finish(job);
    }
    if (ended) this.#reassign();
  }

  #finish(job: RunningJob): void {
    try {
      this.#write(job, new WriteBatch());
      this.#progress(job);
      job.done();
    } catch (error) {
      job.failed(error);
    }
  }

  #trouble(event: { readonly kind: 'outOfRange' | 'recreated' | 'failed'; readonly topic: string; readonly partition?: number; readonly error?: Error }): void {
    for (const [key, job] of [...this.#jobs]) {
      if (job.topic !== event.topic || (event.partition !== undefined && job.partition !== event.partition)) continue;
      this.#jobs.delete(key);
      const where = { task: job.taskId, store: job.store.spec.name, topic: job.topic, partition: job.partition };
      if (event.kind === 'failed') job.failed(event.error);
      else
        job.failed(
          new MillraceError(
            'ERR_CHANGELOG_TRUNCATED',
            `changelog ${job.topic}-${job.partition} no longer holds offset ${job.position}, which store ${job.store.spec.name} needs next`,
            where,
          ),
        );
    }
    this.#reassign();
  }

  #progress(job: RunningJob): void {
    const elapsedMs = this.#options.clock.monotonicMs() - job.startedAtMs;
    const passed = job.position - job.from;
    const remaining = Math.max(0, job.to - job.position);
    const etaMs = remaining === 0 ? 0 : passed > 0 ? Math.round((elapsedMs / passed) * remaining) : undefined;
    this.#options.progress({ taskId: job.taskId, store: job.store.spec.name, restored: job.restored, remaining, etaMs });
  }
}

/** A row of the log that the store's layout cannot be: not the database is damaged (that names its directory), and emptying the store would not help. */
function isForeignRow(error: unknown): boolean {
  return MillraceError.is(error) && error.code === 'ERR_STORE_CORRUPT' && error.where.directory === undefined;
}

function foreignRow({ topic, partition, position, store }: RunningJob, error: unknown): MillraceError {
  const { name, kind } = store.spec;
  return new MillraceError(
    'ERR_STORE_UNREADABLE',
    `changelog ${topic}-${partition} holds a row before offset ${position} that is none of a ${kind} store: ${explainError(error)}. Most likely '${name}' was a store of another kind when it was written. Give the store another name, or reset the application, so that its changelog begins anew.`,
    { store: name, topic, partition },
    error,
  );
}
