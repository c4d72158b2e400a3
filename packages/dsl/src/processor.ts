// The Processor API as users see it: records with their time and headers, a context to forward, schedule and reach stores. Interfaces only.
import type { Duration, Logger, MetricFactory, RecordHeaders } from '@millrace/core';
import type { KeyValueStore, SessionStore, VersionedStore, WindowStore } from '@millrace/state';
import type { KeyValueHandle, Punctuation, SessionHandle, SourcePosition, StoreHandle, VersionedHandle, WindowHandle } from '@millrace/topology';
import type { Nothing, NotPromise } from './callbacks.ts';
import type { GlobalTable } from './global-table.ts';

/** One record, immutable: each `with` returns another. */
export interface StreamRecord<out K, out V> {
  readonly key: K;
  readonly value: V;
  /** Event time, ms since the epoch; never negative. */
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  /** Each `with…` makes a new record; this one never changes. */
  withKey<K2>(key: K2): StreamRecord<K2, V>;
  withValue<V2>(value: V2): StreamRecord<K, V2>;
  /** Throws ERR_INVALID_TIMESTAMP for a negative one. */
  withTimestamp(timestamp: number): StreamRecord<K, V>;
  withHeaders(headers: RecordHeaders): StreamRecord<K, V>;
}
/** A record whose key cannot change: there is no withKey, and forward takes no other. */
export interface FixedKeyRecord<out K, out V> extends Omit<StreamRecord<K, V>, 'withKey' | 'withValue' | 'withTimestamp' | 'withHeaders'> {
  readonly '~fixedKey': true;
  withValue<V2>(value: V2): FixedKeyRecord<K, V2>;
  withTimestamp(timestamp: number): FixedKeyRecord<K, V>;
  withHeaders(headers: RecordHeaders): FixedKeyRecord<K, V>;
}

export type ReadOnlyKeyValueStore<K, V> = Pick<KeyValueStore<K, V>, 'get' | 'entry' | 'range' | 'approximateCount'>;
/** From a handle to a store, synchronously, inside a task. A handle that was not connected throws ERR_STORE_NOT_CONNECTED, but that of a global store is for all to read. */
export interface StoreAccess {
  /** Throws ERR_STORE_NOT_CONNECTED for a handle that is not in `stores`. */
  store<K, V>(handle: KeyValueHandle<K, V>): KeyValueStore<K, V>;
  store<K, V>(handle: WindowHandle<K, V>): WindowStore<K, V>;
  store<K, V>(handle: SessionHandle<K, V>): SessionStore<K, V>;
  store<K, V>(handle: VersionedHandle<K, V>): VersionedStore<K, V>;
}
/** What a processor may ask of its task. One object per processor; valid as long as the processor. */
export interface TaskContext extends StoreAccess {
  readonly applicationId: string;
  /** `subtopology_partition` */
  readonly taskId: string;
  readonly partition: number;
  /** Of the current record; undefined in create and in punctuators. */
  readonly source: SourcePosition | undefined;
  /** Event time of the current record; in a punctuator the time it runs at. -1 in create. */
  readonly timestamp: number;
  /** Largest event time of the task so far, the current record included; -1 before the first. */
  readonly streamTime: number;
  /** Wall clock, ms, as of this turn of the worker. */
  readonly wallClock: number;
  readonly log: Logger;
  /**
   * For counters, gauges and histograms of your own: they show in `/metrics` with the labels given and `thread_id`, `task_id`, `processor_node_id`. Make
   * them once, in create. At most 200 series a task are listed. They count what is processed, so also what is processed again after a crash.
   *
   * @example
   * ```ts
   * t.stream(lines).process({
   *   create(context) {
   *     const long = context.metrics.counter('long_lines');
   *     return {
   *       process(record) {
   *         if (record.value.length > 80) long.add();
   *         context.forward(record);
   *       },
   *     };
   *   },
   * });
   * ```
   */
  readonly metrics: MetricFactory;
  /**
   * A folder for files of this task on this machine, beside its stores; make it before use. What is in there is not in the log: it stays behind when
   * the task moves, and is removed with the task's state. In the test driver `./.millrace/test/…`, which the driver does not touch.
   */
  readonly stateDir: string;
  /** Rows of a global table, as they are now on this instance. */
  lookup<K, V>(table: GlobalTable<K, V>): ReadOnlyKeyValueStore<K, V>;
  /** Stream time: due times are multiples of `every`. Wall clock: from now, or aligned to `startAt`. Missed firings are not made up. */
  schedule(every: Duration, by: 'streamTime' | 'wallClock', punctuate: (at: number) => Nothing, options?: { readonly startAt?: number }): Punctuation;
  /** Commit soon after the current record. */
  commit(): void;
}

/** `to`: one child, by its `as`; else all. */
export interface ForwardOptions {
  readonly to: string;
}
export interface ProcessorContext<in KOut, in VOut> extends TaskContext {
  /** A new record without headers. Throws ERR_INVALID_TIMESTAMP for a negative time. */
  record<K, V>(key: K, value: V, timestamp: number): StreamRecord<K, V>;
  /** Hands a record on; returns when everything below has processed it. Only while processing or punctuating. */
  forward(record: StreamRecord<KOut, VOut>, options?: ForwardOptions): void;
}
export interface FixedKeyProcessorContext<in K, in VOut> extends TaskContext {
  /** Hands on the record that came, or what its `with…` returned; throws ERR_PROCESS for another. */
  forward(record: FixedKeyRecord<K, VOut>, options?: ForwardOptions): void;
}

export interface Processor<in K, in V> {
  process(record: StreamRecord<K, V>): Nothing;
  close?(): Nothing;
}
export interface FixedKeyProcessor<in K, in V> {
  process(record: FixedKeyRecord<K, V>): Nothing;
  close?(): Nothing;
}
/** `create` runs once per task. Output types: none to write if they equal the input; else `process<KOut, VOut>(…)` or an annotated `context`. */
export interface ProcessorSpec<in K, in V, KOut, VOut> {
  /** Connects them; nodes that share a store are one sub-topology. A store that no operator keeps is made for the processors that connect it. */
  readonly stores?: readonly StoreHandle[];
  readonly create: (context: ProcessorContext<KOut, VOut>) => Processor<K, V>;
}
export interface FixedKeyProcessorSpec<K, in V, VOut> {
  readonly stores?: readonly StoreHandle[];
  readonly create: (context: FixedKeyProcessorContext<K, VOut>) => FixedKeyProcessor<K, V>;
}
/** A value of a table to another, with stores of its own. */
export interface ValueTransformerSpec<in K, in V, R> {
  readonly stores?: readonly StoreHandle[];
  readonly create: (context: TaskContext) => (value: V, key: K) => NotPromise<R>;
}
