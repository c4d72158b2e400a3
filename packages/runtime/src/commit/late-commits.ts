// At-least-once: an offset commit that got no answer was sent again, and may be carried out all the same, after newer ones: the committed
// offsets go back. Where no record comes any more nothing would bring them forward, and whoever waits for the end of the input waits for ever.
// So the positions are committed again for a while, at growing distances.
// Owns: until when and how soon.  Never: concerns exactly-once, where a transaction carries the offsets.

const FIRST_MS = 1_000;
/** A request that is older than this does not arrive any more. All in all ten more commits. */
const APART_MS_MAX = 600_000;

export class LateCommits {
  #generation = -1;
  #apartMs = 0;
  #dueMs = Number.POSITIVE_INFINITY;

  /** A commit under this generation got no answer. */
  expect(generation: number, nowMs: number): void {
    this.#generation = generation;
    this.#apartMs = FIRST_MS;
    this.#dueMs = nowMs + FIRST_MS;
  }

  /**
   * Whether all positions are to be committed again now. A newer generation ends it, with a last commit: what came late under the older one may
   * have done its harm already, and what comes now is refused.
   */
  takeDue(generation: number, nowMs: number): boolean {
    if (this.#dueMs === Number.POSITIVE_INFINITY) return false;
    if (generation !== this.#generation) {
      this.#dueMs = Number.POSITIVE_INFINITY;
      return true;
    }
    if (nowMs < this.#dueMs) return false;
    this.#apartMs *= 2;
    this.#dueMs = this.#apartMs > APART_MS_MAX ? Number.POSITIVE_INFINITY : nowMs + this.#apartMs;
    return true;
  }
}
