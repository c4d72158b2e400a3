// Hot, multicast streams of events with a bounded buffer per subscriber: what states, events and metrics are published on.
// Works with `for await`, `subscribe`, and rxjs `from()` (through Symbol.observable). Never blocks the publisher.
import { MillraceError } from '@millrace/core';

declare global {
  interface SymbolConstructor {
    readonly observable: symbol;
  }
}
// rxjs looks for the registered symbol where the language has none.
const OBSERVABLE: symbol = Symbol.observable ?? Symbol.for('observable');

/** Called in the turn in which something happens: return soon, and do not throw. */
export interface FeedObserver<T> {
  next(value: T): void;
  error?(reason: unknown): void;
  /** The feed has ended; nothing comes after it. */
  complete?(): void;
}
/** Ends with `using`, `unsubscribe()`, the signal it was made with, or the feed. */
export interface Subscription extends Disposable {
  /** Idempotent. */
  unsubscribe(): void;
  readonly closed: boolean;
}
/** For a reader that may be slower than the feed. */
export interface FeedOptions {
  /** Events kept for it: 1000. */
  readonly bufferedMax?: number;
  /** When they are more: dropOldest. `fail`: its `next` rejects with ERR_OPTION. */
  readonly overflow?: 'dropOldest' | 'dropNewest' | 'fail';
  /** Ends the reading. */
  readonly signal?: AbortSignal;
}
/**
 * What happens from now on, for any number of readers. `for await` and `iterate` buffer for each reader; `subscribe` calls at once.
 *
 * @example
 * ```ts
 * for await (const state of app.states) console.log(state);
 * ```
 */
export interface Feed<T> extends AsyncIterable<T> {
  subscribe(observer: FeedObserver<T> | ((value: T) => void), options?: Pick<FeedOptions, 'signal'>): Subscription;
  /** As `for await` reads it, with bounds of your own. Ends when the feed ends or `signal` aborts. */
  iterate(options?: FeedOptions): AsyncIterableIterator<T>;
}

/** The publishing end of a Feed. */
export class Publisher<T> implements Feed<T> {
  readonly #observers = new Set<FeedObserver<T>>();
  #ended = false;

  constructor() {
    Object.defineProperty(this, OBSERVABLE, { value: () => this });
  }

  publish(value: T): void {
    for (const observer of [...this.#observers]) observer.next(value);
  }

  end(): void {
    this.#ended = true;
    for (const observer of [...this.#observers]) observer.complete?.();
    this.#observers.clear();
  }

  subscribe(observer: FeedObserver<T> | ((value: T) => void), options: Pick<FeedOptions, 'signal'> = {}): Subscription {
    const target: FeedObserver<T> = typeof observer === 'function' ? { next: observer } : observer;
    if (this.#ended) target.complete?.();
    else this.#observers.add(target);
    const unsubscribe = (): void => {
      this.#observers.delete(target);
    };
    options.signal?.addEventListener('abort', unsubscribe, { once: true });
    const observers = this.#observers;
    return {
      unsubscribe,
      get closed() {
        return !observers.has(target);
      },
      [Symbol.dispose]: unsubscribe,
    };
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this.iterate();
  }

  iterate(options: FeedOptions = {}): AsyncIterableIterator<T> {
    const bufferedMax = options.bufferedMax ?? 1000;
    const overflow = options.overflow ?? 'dropOldest';
    const buffered: T[] = [];
    let waiting: ((result: IteratorResult<T>) => void) | undefined;
    let failure: Error | undefined;
    let done = false;
    const finish = (): void => {
      done = true;
      subscription.unsubscribe();
      waiting?.({ done: true, value: undefined });
      waiting = undefined;
    };
    const subscription = this.subscribe({
      next: (value) => {
        if (waiting !== undefined) {
          const resolve = waiting;
          waiting = undefined;
          resolve({ done: false, value });
        } else if (buffered.length < bufferedMax) buffered.push(value);
        else if (overflow === 'dropOldest') {
          buffered.shift();
          buffered.push(value);
        } else if (overflow === 'fail') {
          failure = new MillraceError('ERR_OPTION', `a feed reader fell ${bufferedMax} events behind; read faster, raise bufferedMax, or let it drop`);
          finish();
        }
      },
      complete: () => finish(),
    });
    options.signal?.addEventListener('abort', finish, { once: true });
    return {
      next: () => {
        const value = buffered.shift();
        if (value !== undefined) return Promise.resolve({ done: false, value });
        if (failure !== undefined) return Promise.reject(failure);
        if (done) return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve) => {
          waiting = resolve;
        });
      },
      return: () => {
        finish();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
