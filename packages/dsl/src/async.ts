// Asynchronous operators as users see them: calls to the outside world with a declared bound. Interfaces only.
import type { Duration } from '@millrace/core';
import type { RecordContext, StoreHandle } from '@millrace/topology';
import type { Nothing, NotPromise } from './callbacks.ts';
import type { OperatorOptions } from './operator-options.ts';
import type { ProcessorContext, StoreAccess, StreamRecord } from './processor.ts';

/** What a call knows of its record; a copy, safe to keep across awaits. */
export interface AsyncContext extends RecordContext {
  /** Aborts when the time is up, the partition goes elsewhere, or the instance stops: give it to `fetch`. */
  readonly signal: AbortSignal;
  /** 1, 2, … */
  readonly attempt: number;
  /** The same on every attempt and after every crash: send it along, so that the other side can tell a repeated call. */
  readonly idempotencyKey: string;
}
export type AsyncMapper<V, K, R> = (value: V, key: K, context: AsyncContext) => PromiseLike<R> | R;

export interface AsyncOptions extends OperatorOptions {
  /** Calls in flight per task, 1 to 10,000. A task with this many, or with four times as many records pending, takes no input. */
  readonly concurrency: number;
  /** Of one attempt; 30s. */
  readonly timeout?: Duration;
  /**
   * `key` (default): one call per key at a time, results in input order per key. `input`: calls run side by side, results in input order over all
   * keys. `none`: as they come. With `key` and `none` a slow call is overtaken: windows below need grace for it.
   */
  readonly order?: 'key' | 'input' | 'none';
  /** None. `attempts` counts the first; pauses double from `backoff` (100ms) to `backoffMax` (30s). */
  readonly retry?: {
    readonly attempts: number;
    readonly backoff?: Duration;
    readonly backoffMax?: Duration;
    readonly retryIf?: (error: unknown) => boolean;
  };
}

/** Stores are touched only in the two synchronous steps, so no record ever sees another one half done. */
export interface AsyncProcessorSpec<K, V, Q, A, KOut, VOut> {
  readonly stores?: readonly StoreHandle[];
  /** What must be known before the call; runs before each attempt. */
  readonly read: (record: StreamRecord<K, V>, stores: StoreAccess) => NotPromise<Q>;
  /** The outside world. */
  readonly call: (record: StreamRecord<K, V>, question: Q, context: AsyncContext) => PromiseLike<A> | A;
  /** Stores what came of it, and forwards. */
  readonly apply: (record: StreamRecord<K, V>, answer: A, context: ProcessorContext<KOut, VOut>) => Nothing;
}
