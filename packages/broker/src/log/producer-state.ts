// What a partition knows of its producers: which batches are duplicates, which transactions are open, and so the last stable offset.
// `decideProducer` looks, `applyBatch` and `applyMarker` move; recovery and restart apply the log again and arrive at the same state.
// Owns: the entries.  Never: touches files, asks the transaction coordinator.
// R1 a producer keeps its last 5 batches, of one epoch.  R2 open transactions stand in order of their first offset.
// R3 an entry with an open transaction never expires.  Source: KIP-98, protocol.md sections 6 and 7.
import { type RecordBatchView, sequenceAfter } from '@millrace/protocol';
import type { PartitionProducer } from '../internal-log.ts';

const BATCHES_KEPT = 5;
const INVALID_PRODUCER_EPOCH = 47;
const OUT_OF_ORDER_SEQUENCE = 45;
const INVALID_TXN_STATE = 48;

export interface KeptBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** Largest timestamp of the batch: with LogAppendTime when it was appended. */
  readonly timestampMs: number;
}

export interface ProducerEntry {
  epoch: number;
  /** Newest last; at most five. */
  batches: KeptBatch[];
  /** Wall clock when the producer was last heard of; the time of the recovery where that is not known. */
  lastTimestampMs: number;
  coordinatorEpoch: number;
  /** First offset of the open transaction; -1 without one. */
  transactionStart: number;
}

/** A finished transaction that wrote data here and was aborted. */
export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
  /** Offset of the marker. */
  readonly lastOffset: number;
}

export type ProducerDecision =
  | { readonly kind: 'append' }
  | { readonly kind: 'duplicate'; readonly baseOffset: number; readonly timestampMs: number }
  | { readonly kind: 'refuse'; readonly code: number; readonly message: string };

const APPEND: ProducerDecision = { kind: 'append' };

export class ProducerState {
  readonly entries = new Map<number, ProducerEntry>();
  /** Open transactions by producer id, in order of their first offset. */
  readonly #open = new Map<number, number>();

  /** First offset of the earliest open transaction; undefined when none is open. */
  get firstOpenOffset(): number | undefined {
    for (const first of this.#open.values()) return first;
    return undefined;
  }
  hasOpenTransaction(producerId: number): boolean {
    return this.#open.has(producerId);
  }

  /**
   * May this batch of a client be appended? Nothing changes. `fromZero`: a producer that is not known here must begin with sequence 0, as it
   * does where every transaction has an epoch of its own (KIP-890); else one that went ahead of a refused batch would be taken.
   */
  decide(batch: RecordBatchView, fromZero = false): ProducerDecision {
    if (batch.producerId < 0) return APPEND;
    const entry = this.entries.get(batch.producerId);
    if (entry === undefined) {
      if (!fromZero || batch.baseSequence === 0) return APPEND; // new, expired, or its log is gone: any sequence will do
      return refuse(OUT_OF_ORDER_SEQUENCE, `the first batch of a transaction here has sequence ${batch.baseSequence}, not 0`);
    }
    if (batch.producerEpoch < entry.epoch)
      return refuse(INVALID_PRODUCER_EPOCH, `producer ${batch.producerId} has epoch ${entry.epoch} here; the batch has ${batch.producerEpoch}`);
    if (batch.producerEpoch > entry.epoch) {
      if (batch.baseSequence !== 0) return refuse(OUT_OF_ORDER_SEQUENCE, `the first batch of a new epoch has sequence ${batch.baseSequence}, not 0`);
    } else {
      const lastSequence = batch.lastSequence;
      for (const kept of entry.batches)
        if (kept.firstSequence === batch.baseSequence && kept.lastSequence === lastSequence)
          return { kind: 'duplicate', baseOffset: kept.firstOffset, timestampMs: kept.timestampMs };
      const newest = entry.batches.at(-1);
      const expected = newest === undefined ? 0 : sequenceAfter(newest.lastSequence, 1); // a marker alone begins an epoch
      if (batch.baseSequence !== expected) return refuse(OUT_OF_ORDER_SEQUENCE, `expected sequence ${expected}, got ${batch.baseSequence}`);
    }
    if (!batch.transactional && entry.transactionStart >= 0)
      return refuse(INVALID_TXN_STATE, `producer ${batch.producerId} has an open transaction here; the batch is outside it`);
    return APPEND;
  }

  /** A data batch that is in the log, with its offsets assigned. */
  applyBatch(batch: RecordBatchView, nowMs: number): void {
    if (batch.producerId < 0) return;
    const entry = this.#entry(batch.producerId, batch.producerEpoch);
    if (batch.baseSequence >= 0) {
      if (entry.batches.length === BATCHES_KEPT) entry.batches.shift();
      entry.batches.push({
        firstSequence: batch.baseSequence,
        lastSequence: batch.lastSequence,
        firstOffset: batch.baseOffset,
        lastOffset: batch.lastOffset,
        timestampMs: batch.maxTimestamp,
      });
    }
    entry.lastTimestampMs = nowMs;
    if (batch.transactional && entry.transactionStart < 0) {
      entry.transactionStart = batch.baseOffset;
      this.#open.set(batch.producerId, batch.baseOffset);
    }
  }

  /** A marker that is in the log. Returns the aborted transaction that it ended, if it ended one. */
  applyMarker(
    producerId: number,
    epoch: number,
    commit: boolean,
    coordinatorEpoch: number,
    offset: number,
    timestampMs: number,
  ): AbortedTransaction | undefined {
    const entry = this.#entry(producerId, epoch);
    const firstOffset = entry.transactionStart;
    entry.coordinatorEpoch = Math.max(entry.coordinatorEpoch, coordinatorEpoch);
    entry.lastTimestampMs = timestampMs;
    entry.transactionStart = -1;
    this.#open.delete(producerId);
    return firstOffset < 0 || commit ? undefined : { producerId, firstOffset, lastOffset: offset };
  }

  /** Forgets producers that were idle since before `beforeMs`. */
  expire(beforeMs: number): void {
    for (const [producerId, entry] of this.entries) if (entry.transactionStart < 0 && entry.lastTimestampMs < beforeMs) this.entries.delete(producerId);
  }

  describe(): PartitionProducer[] {
    return [...this.entries].map(([producerId, entry]) => ({
      producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: entry.lastTimestampMs,
      coordinatorEpoch: entry.coordinatorEpoch,
      transactionStartOffset: entry.transactionStart,
    }));
  }

  /** Puts back an entry of a snapshot. Entries with open transactions must come in order of their first offset. */
  restore(producerId: number, entry: ProducerEntry): void {
    this.entries.set(producerId, entry);
    if (entry.transactionStart >= 0) this.#open.set(producerId, entry.transactionStart);
  }

  #entry(producerId: number, epoch: number): ProducerEntry {
    let entry = this.entries.get(producerId);
    if (entry === undefined) {
      entry = { epoch, batches: [], lastTimestampMs: -1, coordinatorEpoch: -1, transactionStart: -1 };
      this.entries.set(producerId, entry);
    } else if (epoch > entry.epoch) {
      entry.epoch = epoch;
      entry.batches = [];
    }
    return entry;
  }
}

function refuse(code: number, message: string): ProducerDecision {
  return { kind: 'refuse', code, message };
}
