// Timers as a port. Everything that waits does so through one of these, so virtual time can drive it.

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Calls `run` once, `delayMs` from now (0 = in a later turn of the event loop). */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs`; a slow `run` delays the next, never overlaps it. */
  every(periodMs: number, run: () => void): Timer;
  /** Gives sockets and messages a turn of the event loop, then resolves. */
  yield(): Promise<void>;
}

/** Resolves after `delayMs`, or at once when `signal` aborts (it does not reject: look at the signal). */
export function sleep(timers: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const onAbort = (): void => {
      timer.cancel();
      resolve();
    };
    const timer = timers.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
