// Timers of one task: by stream time and by wall clock. Missed firings are not made up. Source: semantics 19.
// Owns: due times.  Never: persists them; a new life of the task schedules anew.
import { MillraceError } from '@millrace/core';
import type { Punctuation } from '@millrace/topology';
import { EarliestFirst } from './earliest-first.ts';

interface Schedule extends Punctuation {
  readonly everyMs: number;
  readonly startAtMs: number | undefined;
  readonly run: (atMs: number) => void;
  dueMs: number;
  cancelled: boolean;
}

/** Cancelled timers that may lie among the others before they are thrown out. */
const CANCELLED_MAX = 64;

export class Punctuations {
  readonly #byStreamTime = new EarliestFirst<Schedule>(dueOf);
  readonly #byWallClock = new EarliestFirst<Schedule>(dueOf);
  #cancelled = 0;
  /** The last that was seen of it. */
  #wallMs = Number.NEGATIVE_INFINITY;

  /** Due times by stream time are multiples of `everyMs`; by wall clock from `nowMs` on, or aligned to `startAtMs`. Throws ERR_OPTION below 1 ms. */
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', run: (atMs: number) => void, nowMs: number, startAtMs?: number): Punctuation {
    if (!(everyMs >= 1)) throw new MillraceError('ERR_OPTION', `a timer every ${everyMs} ms: the least is 1 ms`, { option: 'every' });
    const cancel = (): void => this.#cancel(schedule);
    const schedule: Schedule = {
      everyMs,
      startAtMs,
      run,
      dueMs: firstDue(everyMs, by, nowMs, startAtMs),
      cancelled: false,
      cancel,
      [Symbol.dispose]: cancel,
    };
    (by === 'streamTime' ? this.#byStreamTime : this.#byWallClock).add(schedule);
    return schedule;
  }

  /** Wall clock, ms, of the next timer that runs without input; Infinity if none. */
  get nextWallClockMs(): number {
    this.#uncover(this.#byWallClock);
    return this.#byWallClock.first?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  /** Fires what is due, each schedule at most once, in order of due time; returns how many. Stream time -1 (unknown) fires nothing. */
  fireStreamTime(streamTime: number): number {
    return streamTime < 0 ? 0 : this.#fire(this.#byStreamTime, streamTime);
  }
  fireWallClock(nowMs: number): number {
    return this.#fire(this.#byWallClock, nowMs);
  }

  /** Told before `nextWallClockMs` is looked at. A clock that is set back makes no timer wait longer than its period: due times begin anew. */
  wallClockIs(nowMs: number): void {
    if (nowMs < this.#wallMs)
      this.#byWallClock.refill((schedule) => {
        const { everyMs, startAtMs, dueMs, cancelled } = schedule;
        if (dueMs - nowMs > everyMs && !(startAtMs !== undefined && startAtMs > nowMs)) schedule.dueMs = firstDue(everyMs, 'wallClock', nowMs, startAtMs);
        return !cancelled;
      });
    this.#wallMs = nowMs;
  }

  clear(): void {
    for (const timers of [this.#byStreamTime, this.#byWallClock]) {
      for (const schedule of timers.all) schedule.cancelled = true;
      timers.refill(() => false);
    }
    this.#cancelled = 0;
  }

  #fire(timers: EarliestFirst<Schedule>, nowMs: number): number {
    let fired = 0;
    for (let next = timers.first; next !== undefined && next.dueMs <= nowMs; next = timers.first) {
      const schedule = next;
      timers.take();
      if (schedule.cancelled) continue;
      schedule.run(nowMs);
      fired += 1;
      // It may have been cancelled, by itself or with all others, while it ran.
      if (schedule.cancelled) continue;
      schedule.dueMs += (Math.floor((nowMs - schedule.dueMs) / schedule.everyMs) + 1) * schedule.everyMs;
      timers.add(schedule);
    }
    return fired;
  }

  #cancel(schedule: Schedule): void {
    if (schedule.cancelled) return;
    schedule.cancelled = true;
    if (++this.#cancelled < CANCELLED_MAX) return;
    for (const timers of [this.#byStreamTime, this.#byWallClock]) timers.refill(({ cancelled }) => !cancelled);
    this.#cancelled = 0;
  }

  #uncover(timers: EarliestFirst<Schedule>): void {
    while (timers.first?.cancelled === true) timers.take();
  }
}

function dueOf({ dueMs }: Schedule): number {
  return dueMs;
}

function firstDue(everyMs: number, by: 'streamTime' | 'wallClock', nowMs: number, startAtMs: number | undefined): number {
  if (startAtMs === undefined) return by === 'streamTime' ? 0 : nowMs + everyMs;
  if (by === 'streamTime' || startAtMs > nowMs) return startAtMs;
  return startAtMs + (Math.floor((nowMs - startAtMs) / everyMs) + 1) * everyMs;
}
