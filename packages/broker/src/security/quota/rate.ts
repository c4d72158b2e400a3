// How much per second, over the last ten seconds, and how long to be quiet so that the rate is kept.
// Owns: the windows.  Never: reads a clock.  Source: Kafka's Rate and QuotaUtils (quota.window.num 11, quota.window.size.seconds 1).

const WINDOW_MS = 1_000;
const WINDOWS = 11;
/** Nobody is held back for longer. */
const QUIET_MS_MAX = 3_600_000;

export class Rate {
  readonly #sums = new Float64Array(WINDOWS);
  /** Number of the newest window. */
  #newest: number;

  constructor(nowMs: number) {
    this.#newest = Math.floor(nowMs / WINDOW_MS);
  }

  /**
   * Counts `value` now and says how many ms of quiet bring the rate down to `perSecond`; 0 when it is kept. That may be longer than the rate
   * remembers: else whoever asks for much at a time would have the span's worth many times over.
   */
  record(nowMs: number, value: number, perSecond: number, quietMsMax = QUIET_MS_MAX): number {
    this.#moveTo(Math.floor(nowMs / WINDOW_MS));
    const at = this.#newest % WINDOWS;
    this.#sums[at] = (this.#sums[at] as number) + value;
    let total = 0;
    for (const sum of this.#sums) total += sum;
    // The whole span counts from the start on, so that the first burst is not taken for a rate.
    const spanMs = (WINDOWS - 1) * WINDOW_MS + (nowMs % WINDOW_MS);
    const observed = (total * 1_000) / spanMs;
    if (observed <= perSecond) return 0;
    return Math.min(quietMsMax, perSecond === 0 ? spanMs : Math.ceil(((observed - perSecond) / perSecond) * spanMs));
  }

  #moveTo(window: number): void {
    if (window <= this.#newest) return;
    const steps = Math.min(WINDOWS, window - this.#newest);
    for (let step = 1; step <= steps; step++) this.#sums[(this.#newest + step) % WINDOWS] = 0;
    if (steps === WINDOWS) this.#sums.fill(0);
    this.#newest = window;
  }
}
