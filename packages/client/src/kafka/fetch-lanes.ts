// Two lanes to each node: the main one may park long; the extra one serves what becomes wanted meanwhile, parking shortly.
// Owns: which lane is free.  Never: sends.
// L1 a partition is on one lane at a time (its cursor is busy).  L2 when both find nothing, the main lane takes all of them again: idle, one request is parked.

/** The extra lane parks shortly, so that its partitions soon go back to the main one. */
export const EXTRA_LANE_WAIT_MS = 50;

export interface Lane {
  readonly nodeId: number;
  readonly extra: boolean;
  /** `parked`: a request is out; `resting`: the pause after a small answer. */
  state: 'free' | 'parked' | 'resting';
  /** The last answer brought nothing. */
  empty: boolean;
}

export class FetchLanes {
  readonly #byNode = new Map<number, { readonly main: Lane; readonly extra: Lane }>();

  /** The lane on which a fetch may start now; undefined: one will be free shortly, and whoever frees it asks again. */
  choose(nodeId: number): Lane | undefined {
    let lanes = this.#byNode.get(nodeId);
    if (lanes === undefined) {
      lanes = { main: { nodeId, extra: false, state: 'free', empty: false }, extra: { nodeId, extra: true, state: 'free', empty: false } };
      this.#byNode.set(nodeId, lanes);
    }
    const { main, extra } = lanes;
    if (main.state === 'free') return main.empty && extra.state !== 'free' ? undefined : main;
    return main.state === 'parked' && extra.state === 'free' ? extra : undefined;
  }
}
