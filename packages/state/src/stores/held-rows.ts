// Rows of windows that have closed but whose final result has not been handed on yet: retention must not take them before.
// Owns one bound, as of each stage of a span.  Never: looks at rows.
// H1 what leaves the disk goes by the committed bound, so that a dropped span finds everything it has to hand on again.
// H2 before the operator has said anything, everything is held: a restored store does not know what was handed on.
export class HeldRows {
  readonly #holds: boolean;
  #open: number;
  #closing: number;
  #committed: number;

  constructor(holds: boolean) {
    this.#holds = holds;
    const nothing = holds ? 0 : Number.POSITIVE_INFINITY;
    this.#open = nothing;
    this.#closing = nothing;
    this.#committed = nothing;
  }

  /** Rows from this time on stay, whatever the retention. */
  get from(): number {
    return this.#committed;
  }

  /** Rows before `time` have been handed on. */
  releaseBelow(time: number): void {
    if (this.#holds && time > this.#open) this.#open = time;
  }

  close(): void {
    this.#closing = this.#open;
  }

  committed(): void {
    this.#committed = this.#closing;
  }

  drop(): void {
    if (!this.#holds) return;
    this.#open = 0;
    this.#closing = 0;
    this.#committed = 0;
  }
}
