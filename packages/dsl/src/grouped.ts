// Grouped and windowed streams as users see them: what can be counted, folded and windowed. Interfaces only.
import type { Windowed } from '@millrace/core';
import type { Adder, Fold, Present } from './callbacks.ts';
import type { CogroupedKStream, CogroupFold } from './cogrouped.ts';
import type { KTable } from './ktable.ts';
import type { SessionTableOptions, TableOptions, WindowEmit, WindowTableOptions } from './operator-options.ts';
import type { TopicSink } from './topic.ts';
import type { SessionWindows, TimeWindows } from './windows.ts';

export interface AggregateSpec<K, V, A, R extends A | null> extends TableOptions<K, A>, Fold<A, V, K, R> {}
export interface WindowAggregateSpec<K, V, A, R extends A | null> extends WindowTableOptions<K, A>, Fold<A, V, K, R> {}
export interface SessionAggregateSpec<K, V, A, R extends A | null, E extends WindowEmit> extends SessionTableOptions<K, A, E>, Fold<A, V, K, R> {
  /** Two sessions become one. The initial value may be the first of them. */
  merge(left: A, right: A, key: K): A;
}

/** `late` takes what arrives after window end + grace, each record once, as it came: `drop` (default) only counts it. */
export interface WindowedByOptions<K, V> {
  /** `drop` unless given; a topic whose value can hold what arrives. */
  readonly late?: 'drop' | TopicSink<K, V>;
}

/** Sessions delete what they merge away, unless only final results are emitted. */
export type SessionTombstone<E> = E extends 'onWindowClose' ? never : null;

export interface KGroupedStream<in out K, in out V> {
  /** Records per key. Records without key or value are dropped and counted. */
  count(options?: TableOptions<K, number>): KTable<K, number, never>;
  /** The first value of a key as it is, then `combine(previous, value)`. */
  reduce<R extends Present<V> | null>(
    combine: Adder<Present<V>, Present<V>, K, R>,
    options?: TableOptions<K, Present<V>>,
  ): KTable<K, Present<V>, Extract<R, null>>;
  /**
   * `initial()`, then `add(aggregate, value, key)` for each record; `null` deletes the row.
   *
   * @example
   * ```ts
   * const longest = clicks.groupByKey().aggregate({ initial: () => '', add: (best, click) => (click.length > best.length ? click : best) });
   * ```
   */
  aggregate<A, R extends A | null = A>(spec: AggregateSpec<K, Present<V>, A, R>): KTable<K, A, Extract<R, null>>;
  /**
   * One aggregate per key and window. Records later than window end + grace are dropped and counted; `late` also sends them to a topic.
   *
   * @example
   * ```ts
   * clicks.groupByKey().windowedBy(windows.tumbling({ size: '1 hour', grace: '5 minutes' }), { late: lateClicks }).count();
   * ```
   */
  windowedBy(windows: TimeWindows, options?: WindowedByOptions<K, V>): TimeWindowedKStream<K, V>;
  /** One aggregate per key and session; a record between two sessions makes one of them. */
  windowedBy(windows: SessionWindows, options?: WindowedByOptions<K, V>): SessionWindowedKStream<K, V>;
  /** The first of several grouped streams that share one row per key; the others follow with `cogroup` on the result. */
  cogroup<A>(first: CogroupFold<K, Present<V>, A>): CogroupedKStream<K, A>;
}

/** Values may be `null` here: windowed folds see every record that has a key. */
export interface TimeWindowedKStream<in out K, in out V> {
  /** Records per key and window. */
  count(options?: WindowTableOptions<K, number>): KTable<Windowed<K>, number, never>;
  /** The first value of a window as it is, then `combine(previous, value)`. */
  reduce<R extends V | null>(combine: Adder<V, V, K, R>, options?: WindowTableOptions<K, V>): KTable<Windowed<K>, V, Extract<R, null>>;
  /** `initial()`, then `add(aggregate, value, key)` for each record of the window; `null` deletes the row. */
  aggregate<A, R extends A | null = A>(spec: WindowAggregateSpec<K, V, A, R>): KTable<Windowed<K>, A, Extract<R, null>>;
}

/** Values may be `null` here. */
export interface SessionWindowedKStream<in out K, in out V> {
  /** Records per key and session. */
  count<E extends WindowEmit = WindowEmit>(options?: SessionTableOptions<K, number, E>): KTable<Windowed<K>, number, SessionTombstone<E>>;
  /** `combine` also makes one of two sessions. */
  reduce<E extends WindowEmit = WindowEmit>(combine: Adder<V, V, K, V>, options?: SessionTableOptions<K, V, E>): KTable<Windowed<K>, V, SessionTombstone<E>>;
  /** As over time windows; `merge` makes one of two sessions that a record has joined. */
  aggregate<A, R extends A | null = A, E extends WindowEmit = WindowEmit>(
    spec: SessionAggregateSpec<K, V, A, R, E>,
  ): KTable<Windowed<K>, A, SessionTombstone<E> | Extract<R, null>>;
}
