// The shapes of user functions: (value, key, context) for operators, folds and joiners as data needs them.
// All are synchronous, and the types say so: a promise where a value belongs turns into a message.
import type { RecordContext } from '@millrace/topology';

/** What a promise turns into where a callback must be synchronous; the property is the compiler's message to you. */
export interface AsyncNotAllowed {
  readonly 'this callback is synchronous: use the operator ending in Async': never;
}
export type NotPromise<T> = T extends PromiseLike<unknown> ? AsyncNotAllowed : T;
/** What callbacks that return nothing return; unlike `void` it refuses a promise. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without return statement must fit
export type Nothing = void | undefined;
export type Present<T> = Exclude<T, null>;
export interface KeyValue<K, V> {
  readonly key: K;
  readonly value: V;
}
export type Mapper<V, K, R> = (value: V, key: K, context: RecordContext) => NotPromise<R>;
export type Predicate<V, K> = (value: V, key: K, context: RecordContext) => boolean;
/** Partition for a record; `undefined` = default (murmur2 of the key bytes, as in Java); a list = multicast, `[]` = drop. */
export type Partitioner<K, V> = (key: K, value: V, partitions: number) => number | readonly number[] | undefined;
export type Joiner<L, R, K, Out> = (left: L, right: R, key: K) => NotPromise<Out>;
/** `add` folds one record in. Returning `null` deletes the row; only then does the result type show tombstones. */
export type Adder<A, V, K, R> = (aggregate: A, value: V, key: K, context: RecordContext) => NotPromise<R>;
export interface Fold<A, V, K, R extends A | null> {
  /** The value of a row before its first record. The union lets a store's type win over the literal's. */
  readonly initial: () => A | AsyncNotAllowed;
  readonly add: Adder<A, V, K, R>;
}
