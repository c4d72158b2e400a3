// Asks a worker thread now and then whether it is awake: code that never returns holds up its tasks, not the membership.
// Time is counted in looks, so that a process that slept as a whole (a suspended machine, SIGSTOP) accuses nobody.
import type { Clock, Timers } from '@millrace/core';

export interface WatchOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Resolves when the worker has had a turn of its event loop. */
  readonly ping: () => Promise<void>;
  readonly blockedAfterMs: number;
  readonly giveUpAfterMs: number;
  /** Told at `blockedAfterMs`, then each time the wait has doubled. */
  readonly blocked: (blockedMs: number) => void;
  /** Told once; nothing follows. */
  readonly stuck: (blockedMs: number) => void;
}

export interface Watch {
  stop(): void;
}

export function watchWorker(options: WatchOptions): Watch {
  const { clock, timers, ping, blockedAfterMs, giveUpAfterMs } = options;
  const lookEveryMs = Math.max(1, Math.min(blockedAfterMs, giveUpAfterMs) / 2);
  let asked = false;
  let waitedMs = 0;
  let tellAtMs = blockedAfterMs;
  let lookedAtMs = clock.monotonicMs();
  const awake = (): void => {
    asked = false;
  };
  const look = (): void => {
    const nowMs = clock.monotonicMs();
    const passedMs = Math.min(nowMs - lookedAtMs, 2 * lookEveryMs);
    lookedAtMs = nowMs;
    if (!asked) {
      asked = true;
      waitedMs = 0;
      tellAtMs = blockedAfterMs;
      ping().then(awake, () => timer.cancel()); // it has ended
      return;
    }
    waitedMs += passedMs;
    if (waitedMs >= giveUpAfterMs) {
      timer.cancel();
      options.stuck(Math.round(waitedMs));
    } else if (waitedMs >= tellAtMs) {
      tellAtMs = waitedMs * 2;
      options.blocked(Math.round(waitedMs));
    }
  };
  const timer = timers.every(lookEveryMs, look);
  return { stop: () => timer.cancel() };
}
