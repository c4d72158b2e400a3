// Timers of one task: two lists, by stream time and by wall clock. Missed firings are not made up. Source: semantics 19.
// Owns: due times.  Never: persists them; a new life of the task schedules anew.
import { MillraceError } from '@millrace/core';
import type { Punctuation } from '@millrace/topology';

interface Schedule extends Punctuation {
  readonly everyMs: number;
  readonly startAtMs: number | undefined;
  readonly run: (atMs: number) => void;
  dueMs: number;
  cancelled: boolean;
}

export class Punctuations {
  readonly #byStreamTime: Schedule[] = [];
  readonly #byWallClock: Schedule[] = [];
  /** The last that was seen of it. */
  #wallMs = Number.NEGATIVE_INFINITY;

  /** Due times by stream time are multiples of `everyMs`; by wall clock from `nowMs` on, or aligned to `startAtMs`. Throws ERR_OPTION below 1 ms. */
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', run: (atMs: number) => void, nowMs: number, startAtMs?: number): Punctuation {
    if (!(everyMs >= 1)) throw new MillraceError('ERR_OPTION', `a timer every ${everyMs} ms: the least is 1 ms`, { option: 'every' });
    const list = by === 'streamTime' ? this.#byStreamTime : this.#byWallClock;
    const schedule: Schedule = {
      everyMs,
      startAtMs,
      run,
      dueMs: firstDue(everyMs, by, nowMs, startAtMs),
      cancelled: false,
      cancel() {
        schedule.cancelled = true;
        const at = list.indexOf(schedule);
        if (at >= 0) list.splice(at, 1);
      },
      [Symbol.dispose]() {
        schedule.cancel();
      },
    };
    list.push(schedule);
    return schedule;
  }

  /** Wall clock, ms, of the next timer that runs without input; Infinity if none. */
  get nextWallClockMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const schedule of this.#byWallClock) if (schedule.dueMs < next) next = schedule.dueMs;
    return next;
  }

  /** Fires what is due, each schedule at most once, in order of due time; returns how many. Stream time -1 (unknown) fires nothing. */
  fireStreamTime(streamTime: number): number {
    return this.#byStreamTime.length === 0 || streamTime < 0 ? 0 : fire(this.#byStreamTime, streamTime);
  }
  fireWallClock(nowMs: number): number {
    return this.#byWallClock.length === 0 ? 0 : fire(this.#byWallClock, nowMs);
  }

  /** Told before `nextWallClockMs` is looked at. A clock that is set back makes no timer wait longer than its period: due times begin anew. */
  wallClockIs(nowMs: number): void {
    if (nowMs < this.#wallMs)
      for (const schedule of this.#byWallClock) {
        const { everyMs, startAtMs, dueMs } = schedule;
        if (dueMs - nowMs > everyMs && !(startAtMs !== undefined && startAtMs > nowMs)) schedule.dueMs = firstDue(everyMs, 'wallClock', nowMs, startAtMs);
      }
    this.#wallMs = nowMs;
  }

  clear(): void {
    for (const list of [this.#byStreamTime, this.#byWallClock]) {
      for (const schedule of list) schedule.cancelled = true;
      list.length = 0;
    }
  }
}

function firstDue(everyMs: number, by: 'streamTime' | 'wallClock', nowMs: number, startAtMs: number | undefined): number {
  if (startAtMs === undefined) return by === 'streamTime' ? 0 : nowMs + everyMs;
  if (by === 'streamTime' || startAtMs > nowMs) return startAtMs;
  return startAtMs + (Math.floor((nowMs - startAtMs) / everyMs) + 1) * everyMs;
}

/** Of those due at one time, the one that has waited longest goes first: what fires moves to the end. */
function fire(list: Schedule[], nowMs: number): number {
  const due = list.filter((schedule) => schedule.dueMs <= nowMs).sort((left, right) => left.dueMs - right.dueMs);
  let fired = 0;
  for (const schedule of due) {
    if (schedule.cancelled) continue;
    list.splice(list.indexOf(schedule), 1);
    list.push(schedule);
    schedule.dueMs += (Math.floor((nowMs - schedule.dueMs) / schedule.everyMs) + 1) * schedule.everyMs;
    schedule.run(nowMs);
    fired += 1;
  }
  return fired;
}
