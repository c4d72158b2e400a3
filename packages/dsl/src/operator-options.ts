// The options of operators: a name, serdes where bytes are made, where state lives, what is emitted when.
import type { Duration, Serde } from '@millrace/core';
import type { Engine } from '@millrace/state';
import type { ErrorPolicy, KeyValueHandle, SessionHandle, VersionedHandle, WindowHandle } from '@millrace/topology';
import type { Partitioner, Present } from './callbacks.ts';
import type { JoinWindow } from './join-window.ts';
import type { TopicSink } from './topic.ts';

export interface OperatorOptions {
  /** Names the operator, and with it the internal topic it may need. */
  readonly as?: string;
  /** What happens when the callback throws; the app's policy unless given. */
  readonly onError?: ErrorPolicy;
}
export interface SourceOptions extends OperatorOptions {
  /** Where to begin when nothing is committed: `earliest` unless given. */
  readonly startFrom?: 'earliest' | 'latest' | 'fail' | { readonly ago: Duration };
  /**
   * Off unless given. Once all input of a task has been silent for so long, by the wall clock, stream time moves on as the wall clock does: open
   * windows close, records without a partner go on. What comes later with an older time is late. Each move is committed: after a crash or a restart
   * time stands where it stood. A partition that is silent for so long is not waited for either (`tuning.idleWait`).
   *
   * @example
   * ```ts
   * t.stream(lines, { idleAfter: '1 minute' })
   *   .groupBy((word) => word)
   *   .windowedBy(windows.tumbling({ size: '5 minutes', grace: '10s' }))
   *   .count({ emit: 'onWindowClose' });
   * ```
   */
  readonly idleAfter?: Duration;
}
export interface KeyOptions<K> extends OperatorOptions {
  readonly key?: Serde<K>;
}
export interface ValueOptions<V> extends OperatorOptions {
  readonly value?: Serde<V>;
}
export interface KeyedOptions<K, V> extends KeyOptions<K> {
  readonly value?: Serde<V>;
}
/** `onError` here: producing. */
export interface SinkOptions extends OperatorOptions {}
export interface ChoosingSinkOptions<K, V> extends SinkOptions {
  /** Every topic that may be chosen; at least one. */
  readonly topics: readonly TopicSink<K, V>[];
}
export interface SplitOptions<B extends string> extends OperatorOptions {
  /**
   * What a branch's node is called behind the split's name: the branch's own name unless given (of a split without `as`: its number, the rest 0).
   * For taking over a Java program whose branches had no names, or had names that JavaScript would reorder.
   */
  readonly suffixes?: { readonly [P in B | 'rest']?: string };
}
/** `as` names the repartition topic, should one be needed. */
export interface GroupOptions<K, V> extends KeyedOptions<K, V> {
  /** Partitions of the repartition topic; else as many as the widest input. */
  readonly partitions?: number;
}
export interface RepartitionOptions<K, V> extends GroupOptions<K, V> {
  readonly partitioner?: Partitioner<K, V>;
}
/** `result` is the serde of what the joiner returns. `as` names the join and the repartition topic it may need. */
export interface StreamTableJoinOptions<K, V, R> extends KeyedOptions<K, V> {
  /** Records wait until stream time is this far past them, and are joined in order of time; needs a versioned table with as much history. */
  readonly grace?: Duration;
  readonly result?: Serde<R>;
}
export interface GlobalJoinOptions<K, V, G, R> extends ValueOptions<R> {
  /** Key of the row to look up; `null`: there is none. */
  readonly on: (value: Present<V>, key: K) => G | null;
}
/** `otherValue` is the serde of the other side's values; `result` of what the joiner returns. `as` names the nodes and the repartition topics. */
export interface StreamJoinSettings<K, V, VO, R> extends KeyedOptions<K, V> {
  /** How late, behind stream time, a record may still find a partner. Unmatched records go on once the window and this have passed. */
  readonly grace: Duration;
  readonly otherValue?: Serde<VO>;
  readonly result?: Serde<R>;
  /** True (default): the buffers are logged. False: they are lost with their disk. */
  readonly changelog?: boolean;
  /** Where the buffers lie: the app's engine unless given. */
  readonly engine?: Engine;
  /**
   * Buffers of your own for this side and for the other, both or neither: window stores with `duplicates`, a `windowSize` of before + after and a
   * `retention` of that + grace.
   */
  readonly thisStore?: WindowHandle<K, Present<V>>;
  readonly otherStore?: WindowHandle<K, Present<VO>>;
  /** Base name of the buffers; generated unless given. */
  readonly storeName?: string;
}
/** The other record's time lies in [own - before, own + after], seen from the left; `within` sets both. */
export type StreamJoinOptions<K, V, VO, R> = JoinWindow & StreamJoinSettings<K, V, VO, R>;
/**
 * When a table hands its changes on. `onUpdate`: every change, at once. `onCommit` (default): the last change per key and commit.
 * `{ every }`: at most one change per key and interval of stream time, the last one; what waits is in a logged buffer, `<store>-emit`.
 */
export type Emit = 'onUpdate' | 'onCommit' | { readonly every: Duration };
/** onWindowClose: one final result per window, once stream time passes its end and grace; it needs further input to notice. */
export type WindowEmit = Emit | 'onWindowClose';
/** A store without a name. One with a name says where it is declared how it is kept. */
export interface UnnamedStoreOptions {
  /** True (default): every write is logged. False: the rows are lost with their disk. */
  readonly changelog?: boolean;
}
export interface UnnamedWindowStoreOptions extends UnnamedStoreOptions {
  /** How long rows are kept; default and minimum is what the windows need. */
  readonly retention?: Duration;
}
/** Where state lives. Give a `store` to name it, query it and keep it over refactorings; or only serdes for an anonymous one. */
export interface TableOptions<K, V> extends KeyedOptions<K, V>, UnnamedStoreOptions {
  readonly store?: KeyValueHandle<K, V> | VersionedHandle<K, V>;
  readonly emit?: Emit;
}
/** `partitioner` says where rows of this side lie, `otherPartitioner` where rows of the other do; needed only where their topics have one. */
export interface ForeignKeyJoinOptions<K, V, F, R> extends TableOptions<K, R> {
  /** Key of the row of the other side; `null`: there is none. */
  readonly on: (value: V, key: K) => F | null;
  readonly partitioner?: Partitioner<K, unknown>;
  readonly otherPartitioner?: Partitioner<F, unknown>;
}
export interface WindowTableOptions<K, V> extends KeyedOptions<K, V>, UnnamedWindowStoreOptions {
  readonly store?: WindowHandle<K, V>;
  readonly emit?: WindowEmit;
}
export interface SessionTableOptions<K, V, E extends WindowEmit = WindowEmit> extends KeyedOptions<K, V>, UnnamedWindowStoreOptions {
  readonly store?: SessionHandle<K, V>;
  readonly emit?: E;
}
export interface TableSourceOptions<K, V> extends SourceOptions {
  readonly store?: KeyValueHandle<K, V> | VersionedHandle<K, V>;
  readonly emit?: Emit;
}
/** `onError`: decoding. A global topic is always read from its start. */
export interface GlobalStoreOptions extends OperatorOptions {}
export interface GlobalTableOptions<K, V> extends GlobalStoreOptions {
  readonly store?: KeyValueHandle<K, V>;
}
