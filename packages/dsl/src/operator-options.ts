// The options of operators: a name, serdes where bytes are made, where state lives, what is emitted when.
import type { Duration, Serde } from '@millrace/core';
import type { Engine, ErrorPolicy, KeyValueHandle, SessionHandle, WindowHandle } from '@millrace/topology';
import type { Partitioner } from './callbacks.ts';

export interface OperatorOptions {
  /** Names the operator, and with it the internal topic it may need. */
  readonly as?: string;
  /** What happens when the callback throws; the app's policy unless given. */
  readonly onError?: ErrorPolicy;
}
export interface SourceOptions extends OperatorOptions {
  /** Where to begin when nothing is committed: `earliest` unless given. */
  readonly startFrom?: 'earliest' | 'latest' | 'fail' | { readonly ago: Duration };
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
  readonly result?: Serde<R>;
}
/** onUpdate: every change. onCommit (default): the last change per key and commit. */
export type Emit = 'onUpdate' | 'onCommit';
/** Where state lives. Give a `store` to name it, query it and keep it over refactorings; or only serdes for an anonymous one. */
export interface TableOptions<K, V> extends KeyedOptions<K, V> {
  readonly store?: KeyValueHandle<K, V>;
  readonly emit?: Emit;
}
export interface WindowTableOptions<K, V> extends KeyedOptions<K, V> {
  readonly store?: WindowHandle<K, V>;
  readonly emit?: Emit;
}
export interface SessionTableOptions<K, V> extends KeyedOptions<K, V> {
  readonly store?: SessionHandle<K, V>;
  readonly emit?: Emit;
}
export interface TableSourceOptions<K, V> extends SourceOptions {
  readonly store?: KeyValueHandle<K, V>;
  readonly emit?: Emit;
}
