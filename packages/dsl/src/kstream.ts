// KStream as users see it: a sequence of independent facts. Interfaces only; `draft/stream-draft.ts` stands behind them.
import type { RecordContext } from '@millrace/topology';
import type { AsyncMapper, AsyncOptions, AsyncProcessorSpec } from './async.ts';
import type { Branches } from './branches.ts';
import type { Joiner, KeyValue, Mapper, Predicate, Present } from './callbacks.ts';
import type { GlobalTable } from './global-table.ts';
import type { KGroupedStream } from './grouped.ts';
import type { KTable } from './ktable.ts';
import type {
  ChoosingSinkOptions,
  GlobalJoinOptions,
  GroupOptions,
  KeyedOptions,
  KeyOptions,
  OperatorOptions,
  RepartitionOptions,
  SinkOptions,
  SplitOptions,
  StreamJoinOptions,
  StreamTableJoinOptions,
  TableOptions,
  ValueOptions,
} from './operator-options.ts';
import type { FixedKeyProcessorSpec, ProcessorSpec } from './processor.ts';
import type { TopicSink } from './topic.ts';

/** A stream of records. Every operator returns a new description; nothing runs until the topology does. */
export interface KStream<in out K, in out V> {
  readonly kind: 'stream';
  /**
   * Keeps what the predicate accepts; a type guard narrows the values. What the predicate throws, and an answer that is no boolean, goes to `onError`.
   *
   * @example
   * ```ts
   * const large = orders.filter((order) => order.cents > 100_000);
   * ```
   */
  filter<S extends V>(predicate: (value: V, key: K, context: RecordContext) => value is S, options?: OperatorOptions): KStream<K, S>;
  filter(predicate: Predicate<V, K>, options?: OperatorOptions): KStream<K, V>;
  /** Keeps what the predicate refuses. */
  filterNot<S extends V>(predicate: (value: V, key: K, context: RecordContext) => value is S, options?: OperatorOptions): KStream<K, Exclude<V, S>>;
  filterNot(predicate: Predicate<V, K>, options?: OperatorOptions): KStream<K, V>;
  /**
   * One record to one record, key included: what follows by key is repartitioned first. Time and headers stay.
   *
   * @example
   * ```ts
   * const sizes = orders.map((order, id) => ({ key: order.cents > 100 ? 'large' : 'small', value: id }));
   * ```
   */
  map<K2, V2>(mapper: Mapper<V, K, KeyValue<K2, V2>>, options?: KeyedOptions<K2, V2>): KStream<K2, V2>;
  /**
   * A new value under the same key: nothing is repartitioned. `value` is its serde, where bytes are made below; else JSON.
   *
   * @example
   * ```ts
   * const cents = orders.mapValues((order) => order.cents);
   * ```
   */
  mapValues<R>(mapper: Mapper<V, K, R>, options?: ValueOptions<R>): KStream<K, R>;
  /**
   * One record to any number of records, in the order of the list; `[]` leaves it out.
   *
   * @example
   * ```ts
   * const alarms = orders.flatMap((order, id) => (order.cents < 0 ? [{ key: 'negative', value: id }] : []));
   * ```
   */
  flatMap<K2, V2>(mapper: Mapper<V, K, Iterable<KeyValue<K2, V2>>>, options?: KeyedOptions<K2, V2>): KStream<K2, V2>;
  /** One value to any number of values under the same key. `& object`: a string is not a list. */
  flatMapValues<R>(mapper: Mapper<V, K, Iterable<R> & object>, options?: ValueOptions<R>): KStream<K, R>;
  /**
   * A new key; what follows by key is repartitioned first. `key` is its serde, where bytes are made below; else JSON.
   *
   * @example
   * ```ts
   * const byPrice = orders.selectKey((order) => order.cents, { key: serde.safeInt() });
   * ```
   */
  selectKey<K2>(selector: Mapper<V, K, K2>, options?: KeyOptions<K2>): KStream<K2, V>;
  /** Looks at each record before it goes on. */
  peek<R>(action: Mapper<V, K, R>, options?: OperatorOptions): KStream<K, V>;
  /** Looks at each record; nothing follows. */
  forEach<R>(action: Mapper<V, K, R>, options?: OperatorOptions): void;
  /**
   * All records of both; no order between the two beyond event time.
   *
   * @example
   * ```ts
   * const both = orders.merge(t.stream(shipping));
   * ```
   */
  merge<V2>(other: KStream<K, V2>, options?: OperatorOptions): KStream<K, V | V2>;
  /**
   * Each record to the first branch that accepts it, in the order written; `rest` is what no branch takes, and costs nothing unused.
   * Type guards narrow. Names that look like integers are refused, since JavaScript would reorder them.
   *
   * @example
   * ```ts
   * const { large, rest } = orders.split({ large: (order) => order.cents > 100_000 });
   * large.to(review);
   * rest.to(shipping);
   * ```
   */
  split<B extends Readonly<Record<string, Predicate<V, K>>>>(branches: B, options?: SplitOptions<keyof B & string>): Branches<K, V, B>;
  /**
   * Through an internal topic, so that records of one key meet in one task. `partitions` is its count; else that of the widest input.
   *
   * @example
   * ```ts
   * orders.repartition({ as: 'wide', partitions: 48 }).to(shipping);
   * ```
   */
  repartition(options?: RepartitionOptions<K, V>): KStream<K, V>;
  /** Records by the key they have, to be counted, folded or windowed. Repartitioned only if the key is new; `as` then names the topic. */
  groupByKey(options?: GroupOptions<K, V>): KGroupedStream<K, V>;
  /**
   * Records by a key of their own choice, through a repartition topic that `as` names. `key` and `value` are its serdes.
   *
   * @example
   * ```ts
   * const perSize = orders.groupBy((order) => (order.cents > 100 ? 'large' : 'small'), { as: 'by-size' }).count();
   * ```
   */
  groupBy<K2>(selector: Mapper<V, K, K2>, options?: GroupOptions<K2, V>): KGroupedStream<K2, V>;
  /**
   * The latest value per key; `null` deletes. Records without key are dropped and counted.
   *
   * @example
   * ```ts
   * const latest = orders.toTable();
   * ```
   */
  toTable(options?: TableOptions<K, Present<V>>): KTable<K, Present<V>, Extract<V, null>>;
  /**
   * Looks up the table's row of the same key; without a row nothing comes out. Only the stream triggers. Throws ERR_TOPOLOGY at build for unequal key serdes.
   *
   * @example
   * ```ts
   * const sent = orders.join(t.table(depots), (order, depot, id) => `${id}: ${order.cents} to ${depot.city}`);
   * ```
   */
  join<VT, R, T>(table: KTable<K, VT, T>, joiner: Joiner<Present<V>, VT, K, R>, options?: StreamTableJoinOptions<K, V, R>): KStream<K, R>;
  /** Looks up the row that `on` names in a global table, as it is now on this instance: nothing is repartitioned. */
  join<G, VG, R>(table: GlobalTable<G, VG>, joiner: Joiner<Present<V>, VG, K, R>, options: GlobalJoinOptions<K, V, G, R>): KStream<K, R>;
  /**
   * Pairs records of equal keys whose times are near enough; either side triggers, and each pair comes once.
   *
   * @example
   * ```ts
   * const gaps = orders.join(t.stream(shipping), (order, sent) => order.cents - sent.cents, { within: '1 hour', grace: '5 minutes' });
   * ```
   */
  join<VO, R>(other: KStream<K, VO>, joiner: Joiner<Present<V>, Present<VO>, K, R>, options: StreamJoinOptions<K, V, VO, R>): KStream<K, R>;
  /** Like `join`, but a missing row is `undefined`. */
  leftJoin<VT, R, T>(table: KTable<K, VT, T>, joiner: Joiner<Present<V>, VT | undefined, K, R>, options?: StreamTableJoinOptions<K, V, R>): KStream<K, R>;
  /** Like `join`; a missing row, or a record without a key for one, gives `undefined`. */
  leftJoin<G, VG, R>(table: GlobalTable<G, VG>, joiner: Joiner<Present<V>, VG | undefined, K, R>, options: GlobalJoinOptions<K, V, G, R>): KStream<K, R>;
  /** Also each record of this side that found no partner, once its window has closed; the right side is `undefined` then. */
  leftJoin<VO, R>(other: KStream<K, VO>, joiner: Joiner<Present<V>, Present<VO> | undefined, K, R>, options: StreamJoinOptions<K, V, VO, R>): KStream<K, R>;
  /** Also each record of either side that found no partner; the other side is `undefined` then. */
  outerJoin<VO, R>(
    other: KStream<K, VO>,
    joiner: Joiner<Present<V> | undefined, Present<VO> | undefined, K, R>,
    options: StreamJoinOptions<K, V, VO, R>,
  ): KStream<K, R>;
  /**
   * One call to the outside world per record, key included. What is in flight is a store of its own: a commit never waits for it, and after a
   * crash the calls whose result was not committed are made again, with the same `idempotencyKey`.
   */
  mapAsync<K2, V2>(mapper: AsyncMapper<V, K, KeyValue<K2, V2>>, options: AsyncOptions & KeyedOptions<K2, V2>): KStream<K2, V2>;
  /**
   * As `mapAsync`; the key stays.
   *
   * @example
   * ```ts
   * const rated = orders.mapValuesAsync(async (order, id, { signal }) => (await fetch(`https://rates.example/${id}`, { signal })).text(), { concurrency: 32 });
   * ```
   */
  mapValuesAsync<R>(mapper: AsyncMapper<V, K, R>, options: AsyncOptions & ValueOptions<R>): KStream<K, R>;
  /** As `mapAsync`, with stores: read before each attempt, written with the answer. */
  processAsync<Q, A, KOut = K, VOut = V>(
    spec: AsyncProcessorSpec<K, V, Q, A, KOut, VOut>,
    options: AsyncOptions & KeyedOptions<KOut, VOut>,
  ): KStream<KOut, VOut>;
  /** Code of your own, with stores, timers and any number of records out. What follows by key is repartitioned first. */
  process<KOut = K, VOut = V>(spec: ProcessorSpec<K, V, KOut, VOut>, options?: KeyedOptions<KOut, VOut>): KStream<KOut, VOut>;
  /** The same for records that keep their key: nothing is repartitioned. */
  processValues<VOut = V>(spec: FixedKeyProcessorSpec<K, V, VOut>, options?: ValueOptions<VOut>): KStream<K, VOut>;
  /** Writes to a topic, with its serdes and its partitioner. `onError` here is about writing. */
  to(sink: TopicSink<K, V>, options?: SinkOptions): void;
  /**
   * Writes each record to the topic that `choose` returns, one of `topics`. These are checked at start like any other.
   *
   * @example
   * ```ts
   * orders.to((order) => (order.cents > 100_000 ? review : shipping), { topics: [review, shipping] });
   * ```
   */
  to(choose: (value: V, key: K, context: RecordContext) => TopicSink<K, V>, options: ChoosingSinkOptions<K, V>): void;
}
