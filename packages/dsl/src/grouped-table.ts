// Regrouped tables as users see them. Interfaces only.
import type { Adder } from './callbacks.ts';
import type { AggregateSpec } from './grouped.ts';
import type { KTable } from './ktable.ts';
import type { TableOptions } from './operator-options.ts';

/**
 * `subtract` takes out what `add` put in for a row that has changed, moved to another group or gone; it runs before `add`.
 * Returning `null` deletes the group's row.
 */
export interface TableReduceSpec<K, V> extends TableOptions<K, V> {
  readonly add: Adder<V, V, K, V>;
  /** Takes a value out; `null` deletes the group. */
  readonly subtract: Adder<V, V, K, V | null>;
}
export interface TableAggregateSpec<K, V, A, R extends A | null> extends AggregateSpec<K, V, A, R> {
  /** Takes a value out; `null` deletes the group. */
  readonly subtract: Adder<A, V, K, A | null>;
}

/** The rows of a table under another key. A row that moves is seen to leave one group before it enters the other. */
export interface KGroupedTable<in out K, in out V> {
  /** Rows per group. A count that reaches 0 stays as 0. */
  count(options?: TableOptions<K, number>): KTable<K, number, never>;
  /** The first value of a group as it is, then `add(aggregate, value)`. */
  reduce(spec: TableReduceSpec<K, V>): KTable<K, V>;
  /** `initial()`, then `add` for a row that enters the group and `subtract` for one that leaves; `null` deletes the group. */
  aggregate<A, R extends A | null = A>(spec: TableAggregateSpec<K, V, A, R>): KTable<K, A>;
}
