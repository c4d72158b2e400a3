// Time that stands still until it is told to move: hours pass in a test in no time, and always in the same order.
// V1 timers run in order of due time, then of creation.  V2 between two timers every promise that can settle has settled.
// V3 nothing runs outside `advance` and `runUntilIdle`: code that waits for `yield` waits until time is driven.
import { AssertionFailed, assert } from '../assert.ts';
import type { Clock } from '../clock.ts';
import type { TimestampMs } from '../ids.ts';
import type { Timer, Timers } from '../timers.ts';

export interface VirtualTime {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Runs everything due within the next `ms`, then stands at now + `ms`. Call it one at a time. */
  advance(ms: number): Promise<void>;
  /**
   * Goes from timer to timer until only periodic ones are left. Throws AssertionFailed after `stepsMax` timers (default 100,000):
   * work that makes work for ever is a defect.
   */
  runUntilIdle(stepsMax?: number): Promise<void>;
  /** Moves the wall clock, and not the monotonic one, as an operator or a time server does. */
  jumpWallClock(byMs: number): void;
}

interface Entry {
  dueMs: number;
  order: number;
  readonly run: () => void;
  readonly periodMs: number | undefined;
}

export function virtualTime(options: { readonly startMs?: number } = {}): VirtualTime {
  const startMs = options.startMs ?? 0;
  const waiting: Entry[] = []; // sorted; tests hold tens of timers, not millions
  let elapsedMs = 0;
  let wallShiftMs = 0;
  let made = 0;
  let driven = false;

  const insert = (entry: Entry): void => {
    let at = waiting.length;
    while (at > 0 && isBefore(entry, waiting[at - 1] as Entry)) at--;
    waiting.splice(at, 0, entry);
  };
  const add = (delayMs: number, run: () => void, periodMs: number | undefined): Timer => {
    assert(delayMs >= 0 && Number.isFinite(delayMs), `a delay of ${delayMs} ms`);
    const entry: Entry = { dueMs: elapsedMs + delayMs, order: made++, run, periodMs };
    insert(entry);
    return {
      cancel() {
        entry.dueMs = Number.NaN;
        const at = waiting.indexOf(entry);
        if (at >= 0) waiting.splice(at, 1);
      },
    };
  };
  const runFirst = async (): Promise<void> => {
    const entry = waiting.shift() as Entry;
    elapsedMs = entry.dueMs;
    entry.run();
    await settled();
    if (entry.periodMs === undefined || Number.isNaN(entry.dueMs)) return;
    entry.dueMs = elapsedMs + entry.periodMs;
    entry.order = made++;
    insert(entry);
  };
  const drive = async (work: () => Promise<void>): Promise<void> => {
    assert(!driven, 'virtual time is already being driven: await the call before');
    driven = true;
    try {
      await settled();
      await work();
    } finally {
      driven = false;
    }
  };

  return {
    clock: { nowMs: () => Math.floor(startMs + elapsedMs + wallShiftMs) as TimestampMs, monotonicMs: () => elapsedMs },
    timers: {
      after: (delayMs, run) => add(delayMs, run, undefined),
      every: (periodMs, run) => add(periodMs, run, periodMs),
      yield: () => new Promise((resolve) => void add(0, resolve, undefined)),
    },
    advance: (ms) =>
      drive(async () => {
        const untilMs = elapsedMs + ms;
        while (waiting.length > 0 && (waiting[0] as Entry).dueMs <= untilMs) await runFirst();
        elapsedMs = untilMs;
      }),
    runUntilIdle: (stepsMax = 100_000) =>
      drive(async () => {
        for (let steps = 0; waiting.some((entry) => entry.periodMs === undefined); steps++) {
          if (steps === stepsMax) throw new AssertionFailed(`still busy after ${stepsMax} timers at +${elapsedMs} ms`);
          await runFirst();
        }
      }),
    jumpWallClock(byMs) {
      wallShiftMs += byMs;
    },
  };
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.dueMs === right.dueMs ? left.order < right.order : left.dueMs < right.dueMs;
}

/** One turn of the real event loop: every promise chain that can run to its end has done so by then. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
