// Calls that were given up for their time and go on all the same, because they do not listen to their signal. Each holds a place of
// `concurrency` until it ends, or for ten times the time a call has: so they are bounded, and none holds up the operator for ever.
// Owns: their number, a timer for each, one warning a minute.  Never: ends a call; nobody can.
import type { Logger, Timer, Timers } from '@millrace/core';

/** One that listens to its signal ends within a moment and is not worth a word. */
const WARN_AFTER_MS = 1_000;
const WARN_EVERY_MS = 60_000;
const PATIENCE = 10;

export interface StraysOptions {
  readonly node: string;
  readonly timeoutMs: number;
  readonly timers: Timers;
  readonly log: Logger;
  /** A place has become free. */
  readonly freed: () => void;
}

export class Strays {
  readonly #options: StraysOptions;
  readonly #places = new Set<Timer>();
  #warning: Timer | undefined;
  #quiet: Timer | undefined;

  constructor(options: StraysOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#places.size;
  }

  /** Call what it returns when the call has ended. */
  add(): () => void {
    const { timers, timeoutMs, freed } = this.#options;
    const free = (): void => {
      place.cancel();
      if (this.#places.delete(place)) freed();
    };
    const place = timers.after(timeoutMs * PATIENCE, free);
    this.#places.add(place);
    if (this.#quiet === undefined) this.#warning ??= timers.after(WARN_AFTER_MS, () => this.#warn());
    return free;
  }

  clear(): void {
    for (const place of this.#places) place.cancel();
    this.#places.clear();
    this.#warning?.cancel();
    this.#quiet?.cancel();
  }

  #warn(): void {
    const { timers, log, node, timeoutMs } = this.#options;
    this.#warning = undefined;
    if (this.#places.size === 0) return;
    log.warn(
      { node, calls: this.#places.size },
      `${this.#places.size} calls of ${node} go on although their time (${timeoutMs} ms) is up: hand context.signal to what you call. Each holds a place of concurrency until it ends, for ${PATIENCE} times its timeout at most.`,
    );
    this.#quiet = timers.after(WARN_EVERY_MS, () => {
      this.#quiet = undefined;
    });
  }
}
