// Cogrouped streams as users see them: several grouped streams folded into one aggregate. Interfaces only.
import type { Windowed } from '@millrace/core';
import type { Adder, AsyncNotAllowed, Present } from './callbacks.ts';
import type { KGroupedStream } from './grouped.ts';
import type { KTable } from './ktable.ts';
import type { Emit, SessionTableOptions, TableOptions, WindowTableOptions } from './operator-options.ts';
import type { SessionWindows, TimeWindows } from './windows.ts';

/** The first stream of a cogroup: the initial value comes with it, so that every later `add` is typed. */
export interface CogroupFold<K, V, A> {
  /** The value of a row before its first record, whichever stream that comes from. */
  readonly initial: () => A | AsyncNotAllowed;
  readonly add: Adder<NoInfer<A>, V, K, NoInfer<A>>;
}
/** A cogroup emits updates as they come or per commit; for one final row per window use `suppress({ until: 'windowClose' })`. */
export interface CogroupWindowOptions<K, A> extends Omit<WindowTableOptions<K, A>, 'emit'> {
  readonly emit?: Emit;
}
export interface CogroupSessionSpec<K, A> extends Omit<SessionTableOptions<K, A>, 'emit'> {
  readonly emit?: Emit;
  /** Two sessions become one. The initial value may be the first of them. */
  merge(left: A, right: A, key: K): A;
}

/**
 * Several streams that share one row per key: each has its own way of adding to it. Inputs whose key is new are repartitioned each by itself;
 * name all but one of those groups (`{ as }`), and give every input of one partition count.
 */
export interface CogroupedKStream<in out K, in out A> {
  /** One more stream that adds to the same rows. */
  cogroup<V>(grouped: KGroupedStream<K, V>, add: Adder<A, Present<V>, K, A>): CogroupedKStream<K, A>;
  /** One row per key. Records without key or value are dropped and counted. */
  aggregate(options?: TableOptions<K, A>): KTable<K, A, never>;
  /** One row per key and window. Late is what is late for its own stream: each input has a clock of its own. */
  windowedBy(windows: TimeWindows): TimeWindowedCogroupedKStream<K, A>;
  /** One row per key and session; give `merge` to the aggregate. */
  windowedBy(windows: SessionWindows): SessionWindowedCogroupedKStream<K, A>;
}
export interface TimeWindowedCogroupedKStream<in out K, in out A> {
  /** One row per key and window. */
  aggregate(options?: CogroupWindowOptions<K, A>): KTable<Windowed<K>, A, never>;
}
export interface SessionWindowedCogroupedKStream<in out K, in out A> {
  /** One row per key and session. */
  aggregate(spec: CogroupSessionSpec<K, A>): KTable<Windowed<K>, A>;
}
