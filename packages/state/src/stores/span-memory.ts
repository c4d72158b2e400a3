// What a store of windows, sessions or versions remembers besides its rows: the largest event time it has seen, and the counter behind
// duplicates. Kept as of each stage of a span, so that a dropped span has moved no time.
// Owns the four stages.  Never: looks at rows.
import type { StoreMemory } from '../staged-store.ts';

export const NO_MEMORY: StoreMemory = { observedTime: -1, duplicates: 0 };

export class SpanMemory {
  /** As of the open span; -1 before any. */
  observed = NO_MEMORY.observedTime;
  sequence = NO_MEMORY.duplicates;
  #closing = NO_MEMORY;
  #committed = NO_MEMORY;
  #settled = NO_MEMORY;

  get committed(): StoreMemory {
    return this.#committed;
  }

  /** What the rows on disk stand for. */
  get settled(): StoreMemory {
    return this.#settled;
  }

  close(): void {
    this.#closing = { observedTime: this.observed, duplicates: this.sequence };
  }

  commit(): void {
    this.#committed = this.#closing;
  }

  settle(): void {
    this.#settled = this.#committed;
  }

  drop(): void {
    this.restore(this.#settled);
  }

  restore(memory: StoreMemory): void {
    this.observed = memory.observedTime;
    this.sequence = memory.duplicates;
    this.#closing = memory;
    this.#committed = memory;
    this.#settled = memory;
  }
}
