// The batches of one partition on their way: waiting, in flight, or waiting again; always in the order of `send`.
// Owns: order and sequences of one partition.  Never: sends, waits, decides what an error means.
// Q1 a batch keeps its sequence over retries, so that the broker can recognise it.  Q2 while a failed batch waits, nothing behind it is sent.
// Q3 a batch is in exactly one of the two lists until it is acknowledged or given up.
import { assert } from '@millrace/core';
import { type BatchBuilder, sequenceAfter } from '@millrace/protocol';
import type { ProduceAck } from '../port.ts';
import type { Latch } from './latch.ts';

export interface PendingBatch {
  readonly queue: PartitionQueue;
  readonly builder: BatchBuilder;
  readonly bytes: number;
  /** Grows with each `send`; the parts of a batch that had to be split share the room between it and the next. */
  readonly order: number;
  readonly orders: number;
  readonly queuedAtMs: number;
  readonly latch: Latch<ProduceAck>;
  /** -1 until it is first sent. */
  baseSequence: number;
  /** Count of batches first sent before it in its partition, parts counted one by one. */
  ordinal: number;
  /** Of the leader as it was known when the batch was last sent. */
  leaderEpoch: number;
  /** Sealed bytes, kept for a retry. */
  sealed: Buffer | undefined;
  failures: number;
  /** It may be in the log without our knowing: its sequence must stay. */
  doubtful: boolean;
}

/** The broker remembers the last five batches of a producer in a partition: more in flight could not be told from new ones. */
export const BATCHES_IN_FLIGHT_MAX = 5;

/** It is not in the log, and takes another sequence when it is sent. */
export function renumber(batch: PendingBatch): void {
  batch.baseSequence = -1;
  batch.sealed = undefined;
}

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  /** To be sent, in order. */
  readonly waiting: PendingBatch[] = [];
  /** Sent and unanswered, in order. */
  readonly inFlight: PendingBatch[] = [];
  nextSequence = 0;
  #nextOrdinal = 0;
  /** Part of the open transaction, as far as the coordinator knows. */
  registered = false;
  registering = false;
  /**
   * A batch of the open transaction, or of this producer id, was acknowledged: more may be pipelined. Before that the broker knows nothing of us
   * here: it may refuse the first batch for a moment, and would then take the second one, whatever its sequence.
   */
  proven = false;
  /** Something failed: nothing is sent until all in flight is answered. */
  draining = false;
  /** Set while a rejected batch has left a hole in the sequences: where to go on once all is answered. */
  resumeSequence: number | undefined;
  /** Monotonic ms. */
  retryAtMs = 0;
  /** A batch of this size, and whatever is larger, the broker does not take. */
  refusedBytes = Number.POSITIVE_INFINITY;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** A new transaction: registration and proof start again; sequences go on. */
  newTransaction(): void {
    assert(this.waiting.length === 0 && this.inFlight.length === 0, 'a transaction began before the last one was settled');
    this.registered = false;
    this.registering = false;
    this.proven = false;
  }

  /** True when the head of `waiting` may be sent now. */
  isSendable(nowMs: number): boolean {
    if (this.waiting.length === 0 || this.draining || this.retryAtMs > nowMs) return false;
    const oldest = this.inFlight[0];
    if (oldest === undefined) return true;
    // By distance, not by number: were answers to come out of order, the oldest could else fall out of what the broker remembers.
    const head = this.waiting[0] as PendingBatch;
    return this.proven && (head.baseSequence < 0 ? this.#nextOrdinal : head.ordinal) - oldest.ordinal < BATCHES_IN_FLIGHT_MAX;
  }

  /** Moves the head of `waiting` into flight and fixes its sequence. */
  takeHead(): PendingBatch {
    const batch = this.waiting.shift();
    assert(batch !== undefined, 'nothing waits');
    if (batch.baseSequence < 0) {
      batch.baseSequence = this.nextSequence;
      batch.ordinal = this.#nextOrdinal++;
      this.nextSequence = sequenceAfter(this.nextSequence, batch.builder.count);
    }
    this.inFlight.push(batch);
    return batch;
  }

  /** An answer came: the batch is no longer in flight. */
  leaveFlight(batch: PendingBatch): void {
    const at = this.inFlight.indexOf(batch);
    assert(at >= 0, 'answer for a batch that is not in flight');
    this.inFlight.splice(at, 1);
  }

  /** The parts of a refused batch take its place; nothing behind it has been appended, so the broker will remember each of them one later. */
  replace(whole: PendingBatch, [first, second]: readonly [PendingBatch, PendingBatch]): void {
    if (first.baseSequence >= 0) {
      for (const batch of [...this.waiting, ...this.inFlight]) if (batch.baseSequence >= 0 && batch.order > whole.order) batch.ordinal++;
      this.#nextOrdinal++;
      second.ordinal = first.ordinal + 1;
    }
    this.#insert(first);
    this.#insert(second);
  }

  #insert(batch: PendingBatch): void {
    let at = 0;
    while (at < this.waiting.length && (this.waiting[at] as PendingBatch).order < batch.order) at++;
    this.waiting.splice(at, 0, batch);
  }

  /** Back among the waiting ones, at its place; what is in flight behind it is answered first. */
  putBack(batch: PendingBatch, retryAtMs: number): void {
    this.#insert(batch);
    this.retryAtMs = Math.max(this.retryAtMs, retryAtMs);
    this.drain();
  }

  /** What is in flight is answered before anything else is sent. */
  drain(): void {
    this.draining = this.inFlight.length > 0;
  }

  /** True when a batch sent before `batch` is not acknowledged yet: `batch` was out of order only because of it. */
  hasEarlier(batch: PendingBatch): boolean {
    const waits = this.waiting[0];
    const flies = this.inFlight[0];
    return (waits !== undefined && waits.order < batch.order) || (flies !== undefined && flies.order < batch.order);
  }

  /** A batch was refused for good without using up its sequence: what follows takes its place. */
  leaveHole(batch: PendingBatch): void {
    this.resumeSequence ??= batch.baseSequence;
    for (const behind of this.waiting) if (behind.order > batch.order && !behind.doubtful) renumber(behind);
    if (this.inFlight.length > 0) this.draining = true;
    else this.#closeHole();
  }

  /** To call after each answer: when nothing is in flight, draining ends and a hole is closed. */
  settle(): void {
    if (this.inFlight.length > 0) return;
    this.draining = false;
    this.#closeHole();
  }

  #closeHole(): void {
    if (this.resumeSequence === undefined) return;
    this.nextSequence = this.resumeSequence;
    this.resumeSequence = undefined;
  }
}
