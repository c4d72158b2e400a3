// Whole segments of time below the retention leave the disk, each once.
// Owns how far that has come.  Never: decides which single row is hidden.
// E1 expiry goes by the committed observed time, so that a dropped span has expired nothing.
import type { WriteBatch } from '../byte-store.ts';
import { segmentOf, segmentStart } from '../layouts/window.ts';

export class SegmentExpiry {
  readonly #store: string;
  readonly #intervalMs: number;
  readonly #retentionMs: number;
  /** Segments below this number have left; 0 too before anything is known. */
  #below = 0;
  #leaving = 0;

  constructor(store: string, intervalMs: number, retentionMs: number) {
    this.#store = store;
    this.#intervalMs = intervalMs;
    this.#retentionMs = retentionMs;
  }

  /** Adds what may leave to `batch`; rows from `heldFrom` on stay, whatever the retention. */
  into(batch: WriteBatch, observedTime: number, heldFrom: number): void {
    const live = segmentOf(Math.min(heldFrom, Math.max(0, observedTime - this.#retentionMs + 1)), this.#intervalMs);
    this.#leaving = live;
    if (live > this.#below) batch.expireRange(this.#store, segmentStart(this.#below), segmentStart(live));
  }

  /** The batch has been written. */
  settled(): void {
    this.#below = this.#leaving;
  }
}
