// KTable as users see it: the latest value per key. Interfaces only; `draft/table-draft.ts` stands behind them.
// Table callbacks get (value, key) only: a row may be recomputed for a lookup, outside any record.
import type { Windowed } from '@millrace/core';
import type { Joiner, KeyValue, NotPromise } from './callbacks.ts';
import type { KGroupedTable } from './grouped-table.ts';
import type { KStream } from './kstream.ts';
import type { ForeignKeyJoinOptions, GroupOptions, OperatorOptions, TableOptions } from './operator-options.ts';
import type { ValueTransformerSpec } from './processor.ts';
import type { SuppressUntilTime, SuppressUntilWindowClose } from './suppress-options.ts';

/**
 * A table. `Tombstone` says whether its update stream may carry deletes: `null` (default, may) or `never` (cannot). It is inferred.
 */
export interface KTable<in out K, in out V, in out Tombstone = null> {
  readonly kind: 'table';
  /** Rows that the predicate accepts; a row that no longer fits is deleted. A type guard narrows. */
  filter<S extends V>(predicate: (value: V, key: K) => value is S, options?: TableOptions<K, S>): KTable<K, S>;
  filter(predicate: (value: V, key: K) => boolean, options?: TableOptions<K, V>): KTable<K, V>;
  /** Rows that the predicate refuses; a row that it accepts from now on is deleted. */
  filterNot(predicate: (value: V, key: K) => boolean, options?: TableOptions<K, V>): KTable<K, V>;
  /**
   * Each row with a new value; deletes never reach the mapper. Computed again for a lookup, unless a `store` keeps the rows.
   *
   * @example
   * ```ts
   * const cities = t.table(depots).mapValues((depot) => depot.city.toUpperCase());
   * ```
   */
  mapValues<R>(mapper: (value: V, key: K) => NotPromise<R>, options?: TableOptions<K, R>): KTable<K, R, Tombstone>;
  /** `mapValues` with stores of its own; the transformer sees deletes as well. It runs again for a row that is looked up or asked for as it was, unless a `store` keeps the rows. */
  transformValues<R>(spec: ValueTransformerSpec<K, V | Tombstone, R>, options?: TableOptions<K, R>): KTable<K, R, Tombstone>;
  /**
   * The rows under another key, to be counted or folded; a row without new key or value is in no group.
   *
   * @example
   * ```ts
   * const load = t.table(shipments).groupBy((shipment, id) => ({ key: shipment.depot, value: id }), { as: 'by-depot' }).count();
   * ```
   */
  groupBy<K2, V2>(selector: (value: V, key: K) => NotPromise<KeyValue<K2, V2>>, options?: GroupOptions<K2, V2>): KGroupedTable<K2, V2>;
  /** Rows of equal keys on both sides; a change of either side brings the result up to date. Both sides need equal partitioning. */
  join<VO, R, T2>(other: KTable<K, VO, T2>, joiner: Joiner<V, VO, K, R>, options?: TableOptions<K, R>): KTable<K, R, Tombstone | T2>;
  /** Every row of this side; a missing row of the other is `undefined`. */
  leftJoin<VO, R, T2>(other: KTable<K, VO, T2>, joiner: Joiner<V, VO | undefined, K, R>, options?: TableOptions<K, R>): KTable<K, R, Tombstone>;
  /** Every row of either side; the missing one is `undefined`, never both. */
  outerJoin<VO, R, T2>(
    other: KTable<K, VO, T2>,
    joiner: Joiner<V | undefined, VO | undefined, K, R>,
    options?: TableOptions<K, R>,
  ): KTable<K, R, Tombstone & T2>;
  /**
   * Rows of this side with the row of the other side that `on` names, wherever its partition is. Either side triggers. Costs two internal
   * topics and one store; hence its own name.
   *
   * @example
   * ```ts
   * const routed = t.table(shipments).foreignKeyJoin(t.table(depots), (shipment, depot) => ({ ...shipment, city: depot.city }), {
   *   on: (shipment) => shipment.depot,
   * });
   * ```
   */
  foreignKeyJoin<F, VO, R, T>(other: KTable<F, VO, T>, joiner: Joiner<V, VO, K, R>, options: ForeignKeyJoinOptions<K, V, F, R>): KTable<K, R>;
  /** Every row of this side; `undefined` where `on` names no row, or gives `null`. */
  leftForeignKeyJoin<F, VO, R, T>(other: KTable<F, VO, T>, joiner: Joiner<V, VO | undefined, K, R>, options: ForeignKeyJoinOptions<K, V, F, R>): KTable<K, R>;
  /**
   * One final row per window, once stream time passes its end and grace. What waits is kept in memory and logged, and is invisible below.
   * Prefer `emit: 'onWindowClose'` on the aggregate when nothing lies in between.
   *
   * @example
   * ```ts
   * const finals = perHour.suppress({ until: 'windowClose' });
   * ```
   */
  suppress<W>(this: KTable<Windowed<W>, V, Tombstone>, options: SuppressUntilWindowClose): KTable<Windowed<W>, V, never>;
  /**
   * At most one update per key and `until` of stream time; what came in between is never seen. A full buffer lets the oldest go, or fails.
   *
   * @example
   * ```ts
   * const calmer = profiles.suppress({ until: '10s', recordsMax: 10_000 });
   * ```
   */
  suppress(options: SuppressUntilTime): KTable<K, V, Tombstone>;
  /** The updates as records; a delete is `null`. */
  toStream(options?: OperatorOptions): KStream<K, V | Tombstone>;
}
