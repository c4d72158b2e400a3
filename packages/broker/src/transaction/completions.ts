// Carries out what a Prepare record has decided: markers into every partition of the transaction, then the Complete record.
// Owns: the completions under way, and their repetition until they succeed.  Never: decides an outcome, answers a client.
// M1 verdict before its markers, markers before Complete: each is durable before the next, so a crash never leaves a marker missing.
// M2 a completion that fails (disk full) is tried again until it succeeds: the outcome is already promised.
import { type Logger, partitionKey, sleep, type Timers } from '@millrace/core';
import { type InternalLog, OFFSETS_TOPIC } from '../internal-log.ts';
import type { TransactionState } from './state.ts';

/** Whoever keeps offsets that wait for a marker in a partition of the offsets topic. */
export interface OffsetKeeper {
  markerWritten(partition: number, producerId: number, commit: boolean): void;
}

/** What a completion needs of the coordinator. */
export interface CompletionHost {
  /** The decided transaction; undefined when the id is not known any more. */
  prepared(transactionalId: string): TransactionState | undefined;
  /** Writes that all markers are there. */
  markersWritten(state: TransactionState): void;
}

export interface CompletionParts {
  readonly timers: Timers;
  readonly log: Logger;
  readonly internalLog: InternalLog;
  readonly offsets: OffsetKeeper;
  readonly host: CompletionHost;
  /** See TransactionOptions. */
  readonly markerDelayMs: number;
}

/** Every coordinator of this broker is the same one. */
const COORDINATOR_EPOCH = 0;
const RETRY_MS = 1_000;

export class Completions {
  readonly #parts: CompletionParts;
  readonly #running = new Set<Promise<void>>();
  readonly #stopping: AbortSignal;

  constructor(parts: CompletionParts, stopping: AbortSignal) {
    this.#parts = parts;
    this.#stopping = stopping;
  }

  /** Settles once the caller may be told; the completion itself goes on until it has succeeded. */
  begin(transactionalId: string): Promise<void> {
    let firstTry: () => void = () => {};
    const answered = new Promise<void>((resolve) => {
      firstTry = resolve;
    });
    const completion = this.#untilDone(transactionalId, firstTry).finally(() => {
      this.#running.delete(completion);
      firstTry();
    });
    this.#running.add(completion);
    return answered;
  }

  /** Resolves when none is writing any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  async #untilDone(transactionalId: string, mayAnswer: () => void): Promise<void> {
    const { timers, log, internalLog, host, markerDelayMs } = this.#parts;
    let decided = false; // an answer promises the outcome, so not before the Prepare record is durable
    const marked = new Set<string>(); // what has its marker gets no second one while another partition refuses its own
    for (;;) {
      try {
        const prepared = internalLog.durable();
        if (prepared !== undefined) await prepared;
        decided = true;
        if (markerDelayMs > 0) {
          mayAnswer();
          await sleep(timers, markerDelayMs, this.#stopping);
        }
        if (this.#stopping.aborted) return;
        this.#writeMarkers(host.prepared(transactionalId), marked);
        const markersDurable = internalLog.durable();
        if (markersDurable !== undefined) await markersDurable;
        const state = host.prepared(transactionalId);
        if (state !== undefined) host.markersWritten(state);
        return;
      } catch (error) {
        log.error({ transactionalId, error: String(error) }, 'a transaction that is decided could not be completed; trying again');
        if (decided) mayAnswer();
        await sleep(timers, RETRY_MS, this.#stopping);
        if (this.#stopping.aborted) return;
      }
    }
  }

  /** Every partition is tried, whichever refuses. Again after a restart: a second marker for a transaction that is over changes nothing. */
  #writeMarkers(state: TransactionState | undefined, marked: Set<string>): void {
    if (state === undefined) return;
    let refusal: unknown;
    const { internalLog, offsets } = this.#parts;
    const { producerId, producerEpoch } = state;
    const commit = state.status === 'PrepareCommit';
    for (const [topic, partitions] of state.partitions) {
      for (const partition of partitions) {
        const key = partitionKey(topic, partition);
        if (marked.has(key)) continue;
        try {
          const offset = internalLog.appendMarker(topic, partition, { producerId, producerEpoch, commit, coordinatorEpoch: COORDINATOR_EPOCH });
          marked.add(key);
          if (offset !== undefined && topic === OFFSETS_TOPIC) offsets.markerWritten(partition, producerId, commit);
        } catch (error) {
          refusal ??= error;
        }
      }
    }
    if (refusal !== undefined) throw refusal;
  }
}
