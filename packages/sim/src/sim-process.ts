// A process of the simulation: it has a life, and every effect it has on the world passes through `effect`.
// Owns: the countdown to a crash between two effects, the threads below it.  Never: knows what the effects are.
// P1 after its death a process has no effect: what is left of the turn in which it died runs into nothing. A crash between any two steps
// of any path is therefore a crash before one effect or another, and the countdown reaches all of them.
import { type Chance, seededChance, type Timer, type Timers, type TimeShare, type VirtualTime } from '@millrace/core';
import type { Trace } from './trace.ts';

export type Ending = 'killed' | 'powerLoss' | 'exit';

/** A turn of the event loop costs this much at most, so that a busy loop sees time pass. */
const TURN_MS_MAX = 0.05;
/** Real timers are late by a little. */
const TIMER_LATE_MS_MAX = 0.5;

export interface World {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly trace: Trace;
}

/** What shares the life of a process, or is a thread of it. */
export class SimProcess {
  readonly name: string;
  readonly host: string;
  readonly world: World;
  readonly share: TimeShare;
  readonly timers: Timers;
  readonly chance: Chance;
  readonly #parent: SimProcess | undefined;
  readonly #threads = new Set<SimProcess>();
  readonly #endings: ((how: Ending) => void)[] = [];
  #countdown = Number.POSITIVE_INFINITY;
  #crashAs: Ending = 'killed';
  #frozen = false;
  ended: Ending | undefined;

  constructor(world: World, host: string, name: string, parent?: SimProcess) {
    this.world = world;
    this.host = host;
    this.name = name;
    this.#parent = parent;
    this.share = world.time.share();
    this.chance = seededChance(world.chance.integer(2 ** 32));
    this.timers = this.#lateTimers();
    parent?.adopt(this);
  }

  /** False: the process is dead, and the effect must not happen. */
  effect(what: string): boolean {
    if (this.ended !== undefined) return false;
    const root = this.#parent ?? this;
    if (--root.#countdown > 0) return true;
    this.world.trace.note(root.name, `dies before ${what}`);
    root.end(root.#crashAs);
    return false;
  }

  /** Dies at the `effects`-th effect from now. */
  crashAfter(effects: number, how: Ending): void {
    this.#countdown = Math.max(1, effects);
    this.#crashAs = how;
  }

  get frozen(): boolean {
    return this.#frozen;
  }
  freeze(): void {
    this.#frozen = true;
    this.share.freeze();
    for (const thread of this.#threads) thread.freeze();
  }
  thaw(): void {
    if (this.ended !== undefined) return;
    this.#frozen = false;
    this.share.thaw();
    for (const thread of this.#threads) thread.thaw();
  }

  /** Told once, in a later turn of the world, so that the turn in which it died can run out. */
  onEnd(told: (how: Ending) => void): void {
    this.#endings.push(told);
  }
  end(how: Ending): void {
    if (this.ended !== undefined) return;
    this.ended = how;
    this.share.end();
    this.world.trace.note(this.name, how);
    for (const thread of [...this.#threads]) thread.end(how);
    this.#parent?.release(this);
    this.world.time.timers.after(0, () => {
      for (const told of this.#endings) told(how);
    });
  }

  /** A thread of this process is born, and gone. */
  adopt(thread: SimProcess): void {
    this.#threads.add(thread);
    if (this.#frozen) thread.freeze();
  }
  release(thread: SimProcess): void {
    this.#threads.delete(thread);
  }

  #lateTimers(): Timers {
    const { timers } = this.share;
    const late = (): number => this.chance.float() * TIMER_LATE_MS_MAX;
    return {
      after: (delayMs, run): Timer => timers.after(delayMs === 0 ? this.chance.float() * TURN_MS_MAX : delayMs + late(), run),
      every: (periodMs, run): Timer => timers.every(periodMs + late(), run),
      yield: () => new Promise((resolve) => void timers.after(this.chance.float() * TURN_MS_MAX, resolve)),
    };
  }
}
