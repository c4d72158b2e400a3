// What the runtime asks of every typed store, whatever its shape: the life of its staged writes.
//
//   write ──> open ──close()──> closing ──committed()──> committed ──settle()+settled()──> clean (cached) or gone
//                        drop(): everything not yet on disk is forgotten, the cache with it
//
// One entry per key holds the newest value and the mark; frozen bytes of a closing or committed value are kept beside it
// only until they are settled. Nothing but `settle` and `applyRestored` reaches the engine. At most one span is closing.
import type { RecordHeaders } from '@millrace/core';
import type { WriteBatch } from './byte-store.ts';

/** Takes the changelog records of a closing span, in order of last write. */
export interface ChangelogSink {
  /** `value` null is a tombstone. The bytes are copied before the call returns. */
  append(key: Uint8Array, value: Uint8Array | null, timestamp: number, headers?: RecordHeaders): void;
}

/** What a store keeps with its checkpoint besides the offset. */
export interface StoreMemory {
  /** Largest event time the store has seen; -1 before any. */
  readonly observedTime: number;
  /** Counter behind duplicate keys of a window store. */
  readonly duplicates: number;
}

export interface StagedStore {
  readonly name: string;
  /** Bytes of entries that are open, closing or committed and not settled (keys, values, overhead). */
  readonly stagedBytes: number;
  /** Bytes of clean entries. */
  readonly cachedBytes: number;
  /** True if the open span has writes. */
  readonly dirty: boolean;
  /**
   * Freezes the open span: encodes each dirty key once, hands it to `changelog` (undefined: not logged). Never while a span is
   * closing. Throws what the value's serde throws; then only `drop` helps.
   */
  close(changelog: ChangelogSink | undefined): void;
  /** The closing span has been committed. */
  committed(): void;
  /** Adds every committed, unsettled write (and expiry) to `batch`. */
  settle(batch: WriteBatch): void;
  /** The batch of `settle` has been written: its entries are clean; evicts down to the cache bound. */
  settled(): void;
  /**
   * Forgets everything not on disk (committed spans not settled yet included), and the cache; the memory is that of the last
   * settle. Iterators end. Restore from the checkpoint follows; a store without a changelog is settled first.
   */
  drop(): void;
  /** Ends every iterator still open: the callback that opened them has returned. Costs nothing when there is none. */
  endRows(): void;
  /**
   * One changelog record during restore: into `batch`, past the staging. `value` null deletes. Expired rows are skipped. The bytes are only lent:
   * what goes into the batch is copied.
   */
  applyRestored(batch: WriteBatch, key: Uint8Array, value: Uint8Array | null, timestamp: number): void;
  /** As of the last committed span (or restored record): what belongs into the checkpoint of the next settle. */
  memory(): StoreMemory;
  restoreMemory(memory: StoreMemory): void;
  setCacheMax(bytes: number): void;
  /** While on, a write whose value the serde refuses throws when it is made, with nothing changed: not at the close, which no longer knows the record. */
  checkWrites(on: boolean): void;
}
