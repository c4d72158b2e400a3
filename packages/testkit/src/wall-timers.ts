// Timers on the test's own wall clock: they fire when the clock is moved, in order, on the caller's stack.
// Never: fire by themselves.
import type { Timer, Timers } from '@millrace/core';

interface Waiting extends Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

export class WallTimers implements Timers {
  readonly #nowMs: () => number;
  readonly #waiting = new Set<Waiting>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const timer: Waiting = { dueMs: this.#nowMs() + delayMs, run, cancel: () => void this.#waiting.delete(timer) };
    this.#waiting.add(timer);
    return timer;
  }

  every(periodMs: number, run: () => void): Timer {
    let timer: Timer;
    const again = (): void => {
      run();
      timer = this.after(periodMs, again);
    };
    timer = this.after(periodMs, again);
    return { cancel: () => timer.cancel() };
  }

  yield(): Promise<void> {
    return Promise.resolve();
  }

  /** When the next timer is due; undefined if none waits. */
  get nextMs(): number | undefined {
    let next: number | undefined;
    for (const { dueMs } of this.#waiting) if (next === undefined || dueMs < next) next = dueMs;
    return next;
  }

  /** Fires those due at the time of the call, earliest first. */
  fire(): void {
    const due = [...this.#waiting].filter(({ dueMs }) => dueMs <= this.#nowMs()).sort((left, right) => left.dueMs - right.dueMs);
    for (const timer of due) if (this.#waiting.delete(timer)) timer.run();
  }
}
