// A key-value store whose rows go once stream time has passed their own time by `ttlMs`: hidden from that moment on, deleted soon after.
// Owns: who is due when, in memory, one place a row.  Never: reads a clock; stream time is its host's and only grows.
// E1 no row is given out at or after its time + ttl, swept or not.  E2 none goes before.
// E3 a row that goes is deleted like any other, so the changelog gets a tombstone; its time is the moment at which the row was due, whenever it
// is found. Whoever listens hears of it before anything else is written under the key.
// E4 a write that is due already changes nothing and is refused; a delete never is.
// Sweeping is bounded by its caller. After a restore or a dropped span the places are made anew from the rows, which is one pass over them.
import type { StagedEntry } from '../staged-entry.ts';
import type { StoreMemory } from '../staged-store.ts';
import type { Entry, Range, Rows, Written } from './contract.ts';
import { EarliestDue } from './earliest-due.ts';
import { RecentRowsStore, type RecentRowsStoreOptions } from './recent-rows-store.ts';

export interface ExpiringStoreOptions extends Omit<RecentRowsStoreOptions, 'entriesMax'> {
  /** At least 1. */
  readonly ttlMs: number;
  /** No bound unless given. */
  readonly entriesMax?: number | undefined;
  /** Largest event time of the task so far; -1 before any. */
  readonly streamTime: () => number;
  /** Told of a write that came too late. */
  readonly onExpired?: (() => void) | undefined;
}

/** A row has gone: `value` is what it was, `timestamp` when it was due. */
export type ExpiryListener<K, V> = (key: K, value: V, timestamp: number) => void;

export class ExpiringStore<K, V> extends RecentRowsStore<K, V> {
  readonly #ttlMs: number;
  readonly #streamTime: () => number;
  readonly #refused: (() => void) | undefined;
  /** Undefined until something asks. */
  #due: EarliestDue<K> | undefined;
  #listener: ExpiryListener<K, V> | undefined;
  /** Gone, and not yet told: what a lookup has found out must not be told in the middle of it. */
  #untold: { readonly key: K; readonly value: V; readonly timestamp: number }[] = [];

  constructor(options: ExpiringStoreOptions) {
    super({ ...options, entriesMax: options.entriesMax ?? Number.POSITIVE_INFINITY });
    this.#ttlMs = options.ttlMs;
    this.#streamTime = options.streamTime;
    this.#refused = options.onExpired;
  }

  /** For the operator whose rows these are; of several that share a store the first one is told. */
  onExpiry(listener: ExpiryListener<K, V>): void {
    this.#listener ??= listener;
  }

  /** Deletes what is due, at most `rowsMax` rows; returns how many. */
  expire(rowsMax: number): number {
    const places = this.#places();
    const streamTime = this.#streamTime();
    let gone = 0;
    while (gone < rowsMax) {
      const place = places.takeDue(streamTime);
      if (place === undefined) break;
      const entry = this.findQuietly(place.key);
      if (!entry.present) continue;
      if (this.#isDue(entry.timestamp)) {
        this.#letGo(entry);
        gone += 1;
      } else places.put(entry.text, entry.key, entry.timestamp + this.#ttlMs);
    }
    this.#tell();
    return gone;
  }

  override find(key: K): StagedEntry<V, K> {
    const entry = super.find(key);
    if (!entry.present || !this.#isDue(entry.timestamp)) return entry;
    this.#letGo(entry);
    return super.find(key);
  }

  override write(key: K, value: V | null | undefined, timestamp: number): Written {
    return this.writeEntry(this.find(key), value, timestamp);
  }

  override writeEntry(found: StagedEntry<V, K>, value: V | null | undefined, timestamp: number): Written {
    const present = value !== null && value !== undefined;
    if (present && this.#isDue(timestamp)) {
      this.#refused?.();
      return 'tooOld';
    }
    const places = this.#places(); // before the write: they are made from rows that are there
    this.#tell();
    const written = super.writeEntry(found, value, timestamp);
    if (present) places.put(found.text, found.key, timestamp + this.#ttlMs);
    return written;
  }

  /** Rows that are due are passed over; they count for no limit. */
  override range(range: Range<K> = {}): Rows<Entry<K, V>> {
    const { limit, ...bounds } = range;
    return new LivingRows(super.range(bounds), limit ?? Number.POSITIVE_INFINITY, (row) => !this.#isDue(row.timestamp));
  }

  /** For views in other threads: what they hide. */
  override memory(): StoreMemory {
    return { observedTime: this.#streamTime(), duplicates: 0 };
  }

  override drop(): void {
    this.#due = undefined;
    this.#untold = [];
    super.drop();
  }

  override applyRestored(...record: Parameters<RecentRowsStore<K, V>['applyRestored']>): void {
    this.#due = undefined;
    super.applyRestored(...record);
  }

  #isDue(timestamp: number): boolean {
    return timestamp + this.#ttlMs <= this.#streamTime();
  }

  #letGo(entry: StagedEntry<V, K>): void {
    const { key, value } = entry;
    const timestamp = entry.timestamp + this.#ttlMs;
    super.writeEntry(entry, undefined, timestamp);
    if (this.#listener !== undefined) this.#untold.push({ key, value: value as V, timestamp });
  }

  #tell(): void {
    if (this.#untold.length === 0) return;
    const untold = this.#untold;
    this.#untold = [];
    for (const { key, value, timestamp } of untold) this.#listener?.(key, value, timestamp);
  }

  #places(): EarliestDue<K> {
    if (this.#due !== undefined) return this.#due;
    const places = new EarliestDue<K>();
    this.#due = places;
    for (const { key, timestamp } of super.range()) places.put(this.textOf(key), key, timestamp + this.#ttlMs);
    return places;
  }
}

/** Rows of a read without those that are due. */
class LivingRows<T> implements Rows<T> {
  readonly #rows: Rows<T>;
  readonly #lives: (row: T) => boolean;
  #left: number;

  constructor(rows: Rows<T>, limit: number, lives: (row: T) => boolean) {
    this.#rows = rows;
    this.#left = limit;
    this.#lives = lives;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T> {
    while (this.#left > 0) {
      const next = this.#rows.next();
      if (next.done === true) return next;
      if (!this.#lives(next.value)) continue;
      this.#left -= 1;
      return next;
    }
    return this.return();
  }

  return(): IteratorResult<T> {
    this.#rows[Symbol.dispose]();
    return { done: true, value: undefined };
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]();
  }
}
