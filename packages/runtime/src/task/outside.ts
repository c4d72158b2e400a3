// What the nodes of one task have under way outside its turns: counted, asked for their outcomes, thrown away with the life.
// Never: calls anybody; the nodes do.
import type { Chance, Timers } from '@millrace/core';
import type { OutsideWork } from '@millrace/topology';

/** What a worker offers nodes that work outside the turn. */
export interface OutsidePorts {
  readonly timers: Timers;
  readonly chance: Chance;
  /** An outcome has come: the loop should have a turn soon. */
  wake(): void;
}

export class Outside {
  readonly #works: OutsideWork[] = [];
  #woken = false;

  add(work: OutsideWork): void {
    this.#works.push(work);
  }

  /** Remembers that somebody has something; the caller wakes the loop. */
  woken(): void {
    this.#woken = true;
  }

  /** True while a node can take no further record. */
  get full(): boolean {
    if (this.#works.length === 0) return false; // looked at once per record
    return this.#works.some((work) => work.full);
  }

  get pending(): number {
    let pending = 0;
    for (const work of this.#works) pending += work.pending;
    return pending;
  }

  get calling(): number {
    let calling = 0;
    for (const work of this.#works) calling += work.calling;
    return calling;
  }

  get works(): readonly OutsideWork[] {
    return this.#works;
  }

  /** Returns how many outcomes were applied. */
  turn(): number {
    if (!this.#woken) return 0;
    this.#woken = false;
    let applied = 0;
    for (const work of this.#works) applied += work.turn();
    return applied;
  }

  clear(): void {
    this.#works.length = 0;
    this.#woken = false;
  }
}
