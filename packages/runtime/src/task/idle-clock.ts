// How far a task's stream time may move while its input is silent (`idleAfter`): as far as the wall clock has moved since the silence began.
// Owns: when it began, and where stream time stood then.  Never: looks at queues, moves time itself.
// I1 time moves once per `afterMs` of silence, not with every turn: each move is a commit.
// I2 only what is known to hold counts: silence up to `seenMs` is told by whoever has made sure that everything from before has come.
// A clock that is set back begins a silence anew; stream time never goes back.

export class IdleClock {
  readonly afterMs: number;
  /** Wall clock; undefined while there is something to process. */
  #sinceMs: number | undefined;
  #timeThen = -1;
  #nextMs = Number.POSITIVE_INFINITY;

  /** `afterMs`: at least 1. */
  constructor(afterMs: number) {
    this.afterMs = afterMs;
  }

  /** Wall clock, ms, at which stream time may move next if the silence goes on; Infinity while there is none. */
  get dueMs(): number {
    return this.#nextMs;
  }
  /** When the silence began, wall clock; another number is another silence. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  /** There is, or was just now, something to process. */
  disturbed(): void {
    this.#sinceMs = undefined;
    this.#nextMs = Number.POSITIVE_INFINITY;
  }

  /** Nothing is there to process. Without any record yet there is no time that could move. */
  silent(nowMs: number, streamTime: number): void {
    if (streamTime < 0) return;
    if (this.#sinceMs !== undefined && nowMs >= this.#sinceMs) return;
    this.#sinceMs = nowMs;
    this.#timeThen = streamTime;
    this.#nextMs = nowMs + this.afterMs;
  }

  /** The silence has lasted up to `seenMs`, wall clock: where stream time stands then. Undefined: it is too short to move time. */
  moveTo(seenMs: number): number | undefined {
    if (this.#sinceMs === undefined || seenMs < this.#nextMs) return undefined;
    this.#nextMs = seenMs + this.afterMs;
    return this.#timeThen + (seenMs - this.#sinceMs);
  }
}
