// Time that stands still until it is told to move: hours pass in a test in no time, and always in the same order.
// V1 timers run in order of due time, then of creation.  V2 between two timers every promise that can settle has settled.
// V3 nothing runs outside `advance`, `step` and `runUntilIdle`: code that waits for `yield` waits until time is driven.
// V4 a share that has ended runs nothing any more; one that is frozen runs what was due in the meantime when it thaws, in order.
import { AssertionFailed, assert } from '../assert.ts';
import type { Clock } from '../clock.ts';
import type { TimestampMs } from '../ids.ts';
import type { Timer, Timers } from '../timers.ts';

const STEPS_PER_TURN = 256;

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
  /** Goes to the next timer and runs it, and all that follows from it before any other. False when there is none. */
  step(): Promise<boolean>;
  /**
   * `step` again and again, at a third of its price: until `over` says so ('over'), nothing is left ('idle'), or `stepsMax` steps are done ('busy').
   * For code whose every wait is one of these timers: a chain that waits for the machine itself is passed by.
   */
  runUntil(over: () => boolean, stepsMax: number): Promise<'over' | 'idle' | 'busy'>;
  /** Moves the wall clock, and not the monotonic one, as an operator or a time server does. */
  jumpWallClock(byMs: number): void;
  /** The same time for one process of many: it can be frozen, ended, and have a wall clock of its own. */
  share(): TimeShare;
}

/** One process's view of a virtual time. */
export interface TimeShare {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Timers that wait. */
  readonly waiting: number;
  readonly ended: boolean;
  /** As SIGSTOP: nothing of it runs until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** As SIGKILL: nothing of it runs ever again. */
  end(): void;
  jumpWallClock(byMs: number): void;
  /** The wall clock stands still, while timers and the monotonic clock go on. */
  holdWallClock(): void;
  /** It shows the right time again, past what it missed. */
  releaseWallClock(): void;
}

interface Entry {
  dueMs: number;
  order: number;
  readonly run: () => void;
  readonly periodMs: number | undefined;
  readonly owner: Owner;
  /** Where it lies in the heap; -1: not in it. */
  at: number;
  cancelled: boolean;
}

interface Owner {
  ended: boolean;
  frozen: boolean;
  waiting: number;
  wallShiftMs: number;
  /** What its wall clock shows while it stands still. */
  heldWallMs: TimestampMs | undefined;
  /** Due while it was frozen. */
  held: Entry[];
}

export function virtualTime(options: { readonly startMs?: number } = {}): VirtualTime {
  const startMs = options.startMs ?? 0;
  const heap = new EntryHeap();
  const everybody: Owner = newOwner();
  let elapsedMs = 0;
  let wallShiftMs = 0;
  let made = 0;
  let driven = false;

  const put = (entry: Entry): void => {
    entry.owner.waiting++;
    heap.push(entry);
  };
  const add = (owner: Owner, delayMs: number, run: () => void, periodMs: number | undefined): Timer => {
    assert(delayMs >= 0 && Number.isFinite(delayMs), `a delay of ${delayMs} ms`);
    const entry: Entry = { dueMs: elapsedMs + delayMs, order: made++, run, periodMs, owner, at: -1, cancelled: owner.ended };
    if (!owner.ended) put(entry);
    return {
      cancel() {
        if (entry.cancelled) return;
        entry.cancelled = true;
        if (entry.at < 0) return;
        heap.remove(entry);
        owner.waiting--;
      },
    };
  };
  /** Takes the first timer; undefined when its owner cannot run now. */
  const takeFirst = (): Entry | undefined => {
    const entry = heap.shift() as Entry;
    const { owner } = entry;
    owner.waiting--;
    elapsedMs = Math.max(elapsedMs, entry.dueMs);
    if (owner.ended || entry.cancelled) return undefined;
    if (!owner.frozen) return entry;
    owner.held.push(entry);
    return undefined;
  };
  const putAgain = (entry: Entry): void => {
    if (entry.periodMs === undefined || entry.cancelled || entry.owner.ended) return;
    entry.dueMs = elapsedMs + entry.periodMs;
    entry.order = made++;
    put(entry);
  };
  const runFirst = async (): Promise<void> => {
    const entry = takeFirst();
    if (entry === undefined) return;
    entry.run();
    await settled();
    putAgain(entry);
  };
  const drive = async <T>(work: () => Promise<T>): Promise<T> => {
    assert(!driven, 'virtual time is already being driven: await the call before');
    driven = true;
    try {
      await settled();
      return await work();
    } finally {
      driven = false;
    }
  };
  const timersOf = (owner: Owner): Timers => ({
    after: (delayMs, run) => add(owner, delayMs, run, undefined),
    every: (periodMs, run) => add(owner, periodMs, run, periodMs),
    yield: () => new Promise((resolve) => void add(owner, 0, resolve, undefined)),
  });
  const wallMsOf = (owner: Owner): TimestampMs => Math.floor(startMs + elapsedMs + wallShiftMs + owner.wallShiftMs) as TimestampMs;
  const clockOf = (owner: Owner): Clock => ({
    nowMs: () => owner.heldWallMs ?? wallMsOf(owner),
    monotonicMs: () => elapsedMs,
  });

  return {
    clock: clockOf(everybody),
    timers: timersOf(everybody),
    advance: (ms) =>
      drive(async () => {
        const untilMs = elapsedMs + ms;
        for (let first = heap.first; first !== undefined && first.dueMs <= untilMs; first = heap.first) await runFirst();
        elapsedMs = untilMs;
      }),
    runUntilIdle: (stepsMax = 100_000) =>
      drive(async () => {
        for (let steps = 0; heap.some((entry) => entry.periodMs === undefined); steps++) {
          if (steps === stepsMax) throw new AssertionFailed(`still busy after ${stepsMax} timers at +${elapsedMs} ms`);
          await runFirst();
        }
      }),
    step: () =>
      drive(async () => {
        if (heap.first === undefined) return false;
        await runFirst();
        return true;
      }),
    runUntil: (over, stepsMax) =>
      drive(async () => {
        for (let steps = 0; !over(); steps++) {
          if (heap.first === undefined) return 'idle';
          if (steps === stepsMax) return 'busy';
          const entry = takeFirst();
          if (entry === undefined) continue;
          entry.run();
          // A turn of the real loop now and then, so that the process can still be spoken to.
          await (steps % STEPS_PER_TURN === 0 ? settled() : chainsEnded());
          putAgain(entry);
        }
        return 'over';
      }),
    jumpWallClock(byMs) {
      wallShiftMs += byMs;
    },
    share() {
      const owner = newOwner();
      return {
        clock: clockOf(owner),
        timers: timersOf(owner),
        get waiting() {
          return owner.waiting + owner.held.length;
        },
        get ended() {
          return owner.ended;
        },
        freeze() {
          owner.frozen = true;
        },
        thaw() {
          owner.frozen = false;
          for (const entry of owner.held.splice(0)) {
            if (entry.cancelled) continue;
            entry.dueMs = elapsedMs;
            put(entry); // they keep their order among each other: it was given when they were made
          }
        },
        end() {
          owner.ended = true;
          owner.held = [];
          heap.removeOf(owner);
          owner.waiting = 0;
        },
        jumpWallClock(byMs) {
          owner.wallShiftMs += byMs;
        },
        holdWallClock() {
          owner.heldWallMs ??= wallMsOf(owner);
        },
        releaseWallClock() {
          owner.heldWallMs = undefined;
        },
      };
    },
  };
}

function newOwner(): Owner {
  return { ended: false, frozen: false, waiting: 0, wallShiftMs: 0, heldWallMs: undefined, held: [] };
}

function isBefore(left: Entry, right: Entry): boolean {
  return left.dueMs === right.dueMs ? left.order < right.order : left.dueMs < right.dueMs;
}

/** A binary heap whose entries know their place, so that one can be taken out of the middle. */
class EntryHeap {
  #entries: Entry[] = [];

  get first(): Entry | undefined {
    return this.#entries[0];
  }
  some(test: (entry: Entry) => boolean): boolean {
    return this.#entries.some(test);
  }
  push(entry: Entry): void {
    this.#place(this.#entries.length, entry);
    this.#up(entry);
  }
  shift(): Entry | undefined {
    const first = this.#entries[0];
    if (first !== undefined) this.remove(first);
    return first;
  }
  remove(entry: Entry): void {
    const { at } = entry;
    const last = this.#entries.pop() as Entry;
    entry.at = -1;
    if (last === entry) return;
    this.#place(at, last);
    this.#up(last);
    this.#down(last);
  }
  removeOf(owner: Owner): void {
    const left = this.#entries.filter((entry) => entry.owner !== owner);
    for (const entry of this.#entries) entry.at = -1;
    this.#entries = [];
    for (const entry of left) this.push(entry);
  }

  #place(at: number, entry: Entry): void {
    entry.at = at;
    this.#entries[at] = entry;
  }
  #up(entry: Entry): void {
    while (entry.at > 0) {
      const parent = this.#entries[(entry.at - 1) >> 1] as Entry;
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }
  #down(entry: Entry): void {
    for (;;) {
      const left = this.#entries[entry.at * 2 + 1];
      const right = this.#entries[entry.at * 2 + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }
  #swap(one: Entry, other: Entry): void {
    const { at } = one;
    this.#place(other.at, one);
    this.#place(at, other);
  }
}

/** Every promise chain that does not wait for the machine has run to its end by then: ticks come after all microtasks. */
function chainsEnded(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** One turn of the real event loop: every promise chain that can run to its end has done so by then. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
