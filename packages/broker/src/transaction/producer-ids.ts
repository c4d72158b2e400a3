// Numbers for producers, never given twice, not even over a restart.
// Owns: the block in use.  Never: writes; the coordinator reserves a block in the log before an id of it is handed out.

export class ProducerIds {
  #next: number;
  #end: number;

  /** Everything below `taken` may have been handed out by an earlier run. */
  constructor(taken: number) {
    this.#next = taken;
    this.#end = taken;
  }

  /** True when a block must be reserved before the next id. */
  get exhausted(): boolean {
    return this.#next >= this.#end;
  }

  /** The id that `take` gives next; only sensible while not exhausted. */
  get next(): number {
    return this.#next;
  }

  /** Ids up to `end` are ours now. */
  reserved(end: number): void {
    this.#end = end;
  }

  take(): number {
    return this.#next++;
  }
}
