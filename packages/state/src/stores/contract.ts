// The stores as a user's code sees them inside a task: typed, synchronous, every value with a timestamp.
import type { Window, Windowed } from '@millrace/core';

export interface Entry<K, V> {
  readonly key: K;
  readonly value: V;
  /** Event time, ms since the epoch. */
  readonly timestamp: number;
}

/** Inclusive bounds, open where omitted, compared as unsigned bytes. `prefix` excludes `from` and `to`. */
export interface Range<K> {
  readonly from?: K | undefined;
  readonly to?: K | undefined;
  readonly prefix?: K | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

/** By window start, inclusive. */
export interface TimeRange {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

/** A snapshot; closes at its end, with `using`, and with the callback that opened it. */
export interface Rows<T> extends IterableIterator<T>, Disposable {}

export interface KeyValueStore<K, V> {
  get(key: K): V | undefined;
  entry(key: K): Entry<K, V> | undefined;
  range(range?: Range<K>): Rows<Entry<K, V>>;
  /** An estimate. */
  approximateCount(): number;
  /** `timestamp` defaults to the current record's. */
  put(key: K, value: V, timestamp?: number): void;
  /** The value that was there, or undefined if `value` was written. */
  putIfAbsent(key: K, value: V): V | undefined;
  putAll(entries: Iterable<{ readonly key: K; readonly value: V }>): void;
  /** The value that was there. */
  delete(key: K): V | undefined;
}

/** What became of a write to a versioned store. `superseded`: a newer version stands above it. `tooOld`: beyond the history, refused. */
export type Written = 'latest' | 'superseded' | 'tooOld';

/** A value from its time to the next one's. */
export interface Version<V> {
  /** Null: deleted. */
  readonly value: V | null;
  readonly validFrom: number;
  /** Exclusive; undefined for the newest. */
  readonly validTo: number | undefined;
}

/** Every value of a key within the store's history, and the newest for ever. */
export interface VersionedStore<K, V> {
  /** The newest value, or the one that held at `asOf`. Before the history only the newest is known. */
  get(key: K, asOf?: number): V | undefined;
  /** Versions that held at some time in [from, to], oldest first, tombstones included. */
  versions(key: K, range?: TimeRange): Rows<Version<V>>;
  /** `null` deletes from `timestamp` on. */
  put(key: K, value: V | null, timestamp: number): Written;
}

export interface WindowStore<K, V> {
  get(key: K, windowStart: number): V | undefined;
  /** One key, by window start. Cost: one seek per live segment. */
  fetch(key: K, range?: TimeRange): Rows<Entry<Windowed<K>, V>>;
  /** Several keys: by segment, then key bytes, then window start (Kafka's persistent order). */
  fetchAll(range?: TimeRange & { readonly fromKey?: K | undefined; readonly toKey?: K | undefined }): Rows<Entry<Windowed<K>, V>>;
  put(key: K, value: V, windowStart: number): void;
  delete(key: K, windowStart: number): void;
}

/** Sessions are [start, end], both included. Entries carry the session's end as their timestamp. */
export interface SessionStore<K, V> {
  get(key: K, window: Window): V | undefined;
  /** One key, by session end; `range` is over session starts. */
  fetch(key: K, range?: TimeRange): Rows<Entry<Windowed<K>, V>>;
  /** Sessions of a key that end at or after `earliestEnd` and begin at or before `latestStart`, by end, then start. */
  findSessions(key: K, bounds: { readonly earliestEnd: number; readonly latestStart: number }): Rows<Entry<Windowed<K>, V>>;
  put(session: Windowed<K>, value: V): void;
  delete(session: Windowed<K>): void;
}
