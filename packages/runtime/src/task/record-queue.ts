// What has been fetched of one input partition and not yet been processed: batches, and one reader over the first of them.
// Only the head is decoded, when it is asked for. A record that cannot be decoded is judged here, where its bytes are.
// Owns: the fetched frames until their records are used up; position and partition time.  Never: calls the client.
// Q1 `position` is what may be committed: everything below has been processed or passed over.  Q2 partition time never goes back.
// Q3 a frame is released only after its last record has been processed.  Source: semantics 5.1-5.4, 5.9.
import type { FetchedPartition } from '@millrace/client';
import { MillraceError, noHeaders, type RecordHeaders } from '@millrace/core';
import { type RecordBatchView, RecordReader } from '@millrace/protocol';
import type { RecordContext, SourceNode } from '@millrace/topology';
import type { Decoder } from './decode.ts';

/** All a queue may ask of the task that hosts it. */
export interface QueueHost {
  readonly taskId: string;
  wallClockMs(): number;
  /** How far ahead of the wall clock a record may be dated, ms; any unless given. */
  readonly timestampAheadMaxMs?: number;
  /** About the record under `queue.reader`: returns to skip it (counted by the host), throws ERR_TASK_FAILED otherwise. */
  judgeDecode(queue: RecordQueue, error: unknown): void;
  /** A record without a usable time, dropped by the source's own setting. */
  dropUntimed(queue: RecordQueue, timestamp: number): void;
}

export interface RecordQueueOptions {
  /** Name on the broker. */
  readonly topic: string;
  readonly partition: number;
  readonly source: SourceNode;
  readonly decoder: Decoder;
  readonly host: QueueHost;
}

/** Mutable twin of SourcePosition: one per partition, read by contexts during a call. */
interface Position {
  readonly topic: string;
  readonly partition: number;
  offset: number;
}

interface Pending {
  readonly view: RecordBatchView;
  /** Where its fetch began: what the batch holds before that was not asked for. */
  readonly from: number;
  /** Set on the last batch of a fetch: what to release after it, and where the next fetch begins. */
  readonly fetched: FetchedPartition | undefined;
}

export class RecordQueue {
  readonly topic: string;
  readonly partition: number;
  readonly source: SourceNode;
  readonly reader = new RecordReader();
  readonly at: Position;
  /** The head, decoded; meaningful while `hasHead`. */
  hasHead = false;
  key: unknown = undefined;
  value: unknown = undefined;
  timestamp = -1;
  /** Largest event time taken; -1 before any. */
  partitionTime = -1;
  /** Assignments of the consumer older than this number do not concern us. */
  assignment = 0;
  /** Bytes of batches not yet used up. */
  bytes = 0;
  /** The consumer was told to stop fetching this partition. */
  paused = false;
  /** Wall clock of the first check that found this queue empty and caught up; -1 while it is not. */
  emptySinceMs = -1;

  readonly #decoder: Decoder;
  readonly #host: QueueHost;
  readonly #aheadMax: number;
  readonly #extract: SourceNode['timestamp'];
  readonly #context: { timestamp: number; headers: RecordHeaders; streamTime: number; readonly taskId: string; readonly source: Position };
  #pending: Pending[] = [];
  #first = 0;
  #current: Pending | undefined;
  #left = 0;
  #position = 0;
  #fetchedTo = 0;
  /** Leader epochs: of the batch in hand, and of the last one before `fetchedTo`. */
  #batchEpoch = -1;
  #fetchedEpoch = -1;

  constructor(options: RecordQueueOptions) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.source = options.source;
    this.at = { topic: options.topic, partition: options.partition, offset: -1 };
    this.#decoder = options.decoder;
    this.#host = options.host;
    this.#aheadMax = options.host.timestampAheadMaxMs ?? Number.POSITIVE_INFINITY;
    this.#extract = options.source.timestamp;
    this.#context = { timestamp: -1, headers: noHeaders, streamTime: -1, taskId: options.host.taskId, source: this.at };
  }

  /** Next offset to commit. */
  get position(): number {
    return this.hasMore ? this.#position : this.#fetchedTo;
  }
  /** Under which leader the log was appended up to `position`, markers included; -1 before anything was read. */
  get leaderEpoch(): number {
    return this.hasMore ? this.#batchEpoch : this.#fetchedEpoch;
  }
  /** Where the next fetch begins. */
  get fetchedTo(): number {
    return this.#fetchedTo;
  }
  /** True if something fetched has not been looked at to its end. */
  get hasMore(): boolean {
    return this.hasHead || this.#left > 0 || this.#first < this.#pending.length;
  }

  /** Starts over at `position`, empty. Data fetched under an older `assignment` is refused from now on. */
  start(position: number, partitionTime: number): void {
    this.clear();
    this.#position = position;
    this.#fetchedTo = position;
    this.partitionTime = partitionTime;
  }

  /** The log has moved on: what has been fetched is processed, and the next fetch begins at `offset`. Going back starts over. */
  goOnAt(offset: number): void {
    if (!this.hasMore || offset < this.#fetchedTo) this.start(offset, this.partitionTime);
    else this.#fetchedTo = offset;
  }

  /** Takes a fetch over; false (and released) if it belongs to an older life of this queue. */
  append(fetched: FetchedPartition): boolean {
    if (fetched.assignment < this.assignment) {
      fetched.release();
      return false;
    }
    const { batches } = fetched;
    // What was passed over while nothing waited stays passed over: a position never goes back.
    if (!this.hasMore) {
      if (this.#position < this.#fetchedTo) this.#position = this.#fetchedTo;
      this.#batchEpoch = this.#fetchedEpoch;
    }
    this.#fetchedTo = fetched.nextOffset;
    this.#fetchedEpoch = fetched.leaderEpoch;
    const last = batches.length - 1;
    if (last < 0) fetched.release();
    for (let index = 0; index <= last; index++) {
      const view = batches[index] as RecordBatchView;
      this.bytes += view.sizeBytes;
      this.#pending.push({ view, from: fetched.firstOffset, fetched: index === last ? fetched : undefined });
    }
    this.emptySinceMs = -1;
    return true;
  }

  /** Decodes the next record, passing over what a policy skips; false when nothing is left. Throws ERR_TASK_FAILED with the record still ahead. */
  readHead(): boolean {
    if (this.hasHead) return true;
    for (;;) {
      if (this.#left === 0 && !this.#nextBatch()) return false;
      const { reader } = this;
      reader.next();
      if (reader.offset < this.#position) {
        this.#left -= 1;
        continue;
      }
      this.at.offset = reader.offset;
      if (this.#decode(reader)) {
        this.hasHead = true;
        this.#position = reader.offset;
        return true;
      }
      this.#left -= 1;
      this.#position = reader.offset + 1;
    }
  }

  /** The head has been taken for processing: it counts as processed once the caller returns. */
  take(): void {
    this.hasHead = false;
    this.#left -= 1;
    this.#position = this.reader.offset + 1;
    if (this.timestamp > this.partitionTime) this.partitionTime = this.timestamp;
  }

  /** Headers of the record under the reader. */
  headers(): RecordHeaders {
    return this.reader.headerCount === 0 ? noHeaders : this.reader.headers();
  }

  /** Forgets everything fetched. */
  clear(): void {
    this.#current?.fetched?.release();
    for (let index = this.#first; index < this.#pending.length; index++) this.#pending[index]?.fetched?.release();
    this.#pending = [];
    this.#first = 0;
    this.#current = undefined;
    this.#left = 0;
    this.bytes = 0;
    this.hasHead = false;
    this.key = undefined;
    this.value = undefined;
    this.emptySinceMs = -1;
  }

  /** False if the record is to be passed over. */
  #decode(reader: RecordReader): boolean {
    try {
      this.key = this.#decoder.key(reader);
      this.value = this.#decoder.value(reader);
      this.timestamp = this.#extract === 'record' ? reader.timestamp : this.#extractTime(reader);
    } catch (error) {
      this.#retreat(error);
      return false;
    }
    if (this.timestamp > this.#aheadMax && this.timestamp - this.#host.wallClockMs() > this.#aheadMax) {
      this.#retreat(this.#tooFarAhead());
      return false;
    }
    if (this.timestamp >= 0) return true;
    return this.#untimed();
  }

  /** Asks the host; when that throws, the record stays ahead: the batch is read again up to it. */
  #retreat(error: unknown): void {
    try {
      this.#host.judgeDecode(this, error);
    } catch (failed) {
      this.#position = this.reader.offset;
      throw failed;
    }
  }

  #extractTime(reader: RecordReader): number {
    if (this.#extract === 'wallClock') return this.#host.wallClockMs();
    const context = this.#context;
    context.timestamp = reader.timestamp;
    context.headers = this.headers();
    context.streamTime = this.partitionTime;
    const timestamp = (this.#extract as (value: unknown, key: unknown, context: RecordContext) => number)(this.value, this.key, context);
    if (Number.isSafeInteger(timestamp)) return timestamp;
    throw new MillraceError(
      'ERR_INVALID_TIMESTAMP',
      `the timestamp function of source ${this.source.name} gave ${String(timestamp)}; it must give whole milliseconds since 1970`,
    );
  }

  #tooFarAhead(): MillraceError {
    const ahead = this.timestamp - this.#host.wallClockMs();
    return new MillraceError(
      'ERR_INVALID_TIMESTAMP',
      `the record is dated ${new Date(this.timestamp).toISOString()}, ${Math.round(ahead / 1000)} s ahead of the clock; tuning.timestampAheadMax allows ${this.#aheadMax / 1000} s. Mend the producer's clock, or let onError skip such records`,
    );
  }

  #untimed(): boolean {
    switch (this.source.onInvalidTimestamp) {
      case 'skip':
        this.#host.dropUntimed(this, this.timestamp);
        return false;
      case 'partitionTime':
        if (this.partitionTime >= 0) {
          this.timestamp = this.partitionTime;
          return true;
        }
        this.#host.dropUntimed(this, this.timestamp);
        return false;
      case 'fail':
        this.#retreat(
          new MillraceError('ERR_INVALID_TIMESTAMP', `the record's time is ${this.timestamp}; write records with a time, or choose onInvalidTimestamp`),
        );
        return false;
    }
  }

  #nextBatch(): boolean {
    for (;;) {
      const done = this.#current;
      if (done !== undefined) {
        this.bytes -= done.view.sizeBytes;
        if (this.#position <= done.view.lastOffset) this.#position = done.view.lastOffset + 1;
        if (done.fetched !== undefined) {
          if (this.#position < done.fetched.nextOffset) this.#position = done.fetched.nextOffset;
          done.fetched.release();
        }
        this.#current = undefined;
      }
      const next = this.#pending[this.#first];
      if (next === undefined) {
        this.#pending.length = 0;
        this.#first = 0;
        return false;
      }
      this.#first += 1;
      if (this.#first === 64) {
        this.#pending.splice(0, 64);
        this.#first = 0;
      }
      this.#current = next;
      if (this.#position < next.from) this.#position = next.from;
      this.#batchEpoch = next.view.leaderEpoch;
      this.#left = next.view.count;
      if (this.#left > 0) {
        this.reader.reset(next.view);
        return true;
      }
    }
  }
}
