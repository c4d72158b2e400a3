// Rows of a range read: what is staged laid over what is on disk, in key order, as of the call.
// Disk cursors are opened one after another (one per segment); no settle can come between, since rows end with the callback.
import { compareBytes } from '@millrace/core';
import type { ByteRows } from '../byte-store.ts';
import type { StagedEntry } from '../staged-entry.ts';
import type { Rows } from './contract.ts';

/** A staged row as it was when the read began. */
export interface CapturedRow<V, K> {
  readonly diskKey: Buffer;
  readonly key: K;
  readonly start: number;
  readonly value: V | undefined;
  readonly timestamp: number;
  readonly present: boolean;
}

export function captureRow<V, K>(entry: StagedEntry<V, K>): CapturedRow<V, K> {
  return { diskKey: entry.diskKey, key: entry.key, start: entry.start, value: entry.value, timestamp: entry.timestamp, present: entry.present };
}

export function sortCaptured<V, K>(rows: CapturedRow<V, K>[], reverse: boolean): void {
  rows.sort((left, right) => (reverse ? compareBytes(right.diskKey, left.diskKey) : compareBytes(left.diskKey, right.diskKey)));
}

export interface MergedRowsOptions<T, V, K> {
  /** Cursors over disk rows, each wholly before the next in the order of reading. */
  readonly scans: Iterator<ByteRows>;
  /** Sorted in the order of reading. */
  readonly staged: readonly CapturedRow<V, K>[];
  readonly reverse: boolean;
  readonly limit: number;
  fromStaged(row: CapturedRow<V, K>): T;
  /** Undefined: not a row of this read. */
  fromDisk(key: Buffer, value: Buffer): T | undefined;
  onClose(rows: Rows<unknown>): void;
}

export class MergedRows<T, V, K> implements Rows<T> {
  readonly #options: MergedRowsOptions<T, V, K>;
  #scan: ByteRows | undefined;
  #diskReady = false;
  #staged = 0;
  #left: number;
  #closed = false;

  constructor(options: MergedRowsOptions<T, V, K>) {
    this.#options = options;
    this.#left = options.limit;
    this.#nextScan();
  }

  next(): IteratorResult<T> {
    while (!this.#closed && this.#left > 0) {
      const row = this.#step();
      if (row === END) break;
      if (row === undefined) continue;
      this.#left--;
      return { done: false, value: row };
    }
    this.close();
    return { done: true, value: undefined };
  }

  return(): IteratorResult<T> {
    this.close();
    return { done: true, value: undefined };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scan?.close();
    this.#scan = undefined;
    this.#options.onClose(this);
  }

  [Symbol.iterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #step(): T | undefined | typeof END {
    const { staged, reverse, fromStaged, fromDisk } = this.#options;
    const disk = this.#diskRow();
    const over = staged[this.#staged];
    if (disk === undefined && over === undefined) return END;
    const order = disk === undefined ? 1 : over === undefined ? -1 : compareBytes(disk.key, over.diskKey) * (reverse ? -1 : 1);
    if (order < 0 && disk !== undefined) {
      this.#diskReady = false;
      return fromDisk(disk.key, disk.value);
    }
    if (order === 0) this.#diskReady = false; // the staged row stands for it
    this.#staged++;
    return over?.present === true ? fromStaged(over) : undefined;
  }

  /** The disk row that is next, moving from cursor to cursor. */
  #diskRow(): ByteRows | undefined {
    while (!this.#diskReady && this.#scan !== undefined) {
      if (this.#scan.next()) this.#diskReady = true;
      else this.#nextScan();
    }
    return this.#diskReady ? this.#scan : undefined;
  }

  #nextScan(): void {
    this.#scan?.close();
    const step = this.#options.scans.next();
    this.#scan = step.done === true ? undefined : step.value;
  }
}

const END = Symbol('end');
