// Which leader epoch began at which offset: how a client notices that a tail it has read is gone.
// Owns: the list of one partition.  Never: raises an epoch (the broker does, at a start after an unclean stop).
// E1 epochs and start offsets ascend.  Source: KIP-101, KIP-320.

export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

export class LeaderEpochs {
  #starts: EpochStart[];

  constructor(starts: readonly EpochStart[] = []) {
    this.#starts = [...starts];
  }
  get starts(): readonly EpochStart[] {
    return this.#starts;
  }
  /** -1 before the first batch. */
  get latest(): number {
    return this.#starts.at(-1)?.epoch ?? -1;
  }
  /** A batch of `epoch` begins at `offset`; only the first of an epoch leaves a trace. */
  note(epoch: number, offset: number): void {
    if (epoch > this.latest) this.#starts.push({ epoch, startOffset: offset });
  }
  /** Epoch in force at `offset`; -1 before the first. */
  at(offset: number): number {
    let epoch = -1;
    for (const entry of this.#starts) if (entry.startOffset <= offset) epoch = entry.epoch;
    return epoch;
  }
  /** The log was cut to end at `offset`. */
  truncate(offset: number): void {
    this.#starts = this.#starts.filter((entry) => entry.startOffset < offset || (entry.startOffset === offset && offset === 0));
  }
  /**
   * Where the largest epoch ≤ `epoch` ends: the start of the next one, or the log end. Epoch -1 and offset -1 when nothing is known.
   */
  endOf(epoch: number, current: number, logEnd: number): EpochStart {
    if (epoch === current) return { epoch, startOffset: logEnd };
    if (epoch > current || this.#starts.length === 0) return { epoch: -1, startOffset: -1 };
    const next = this.#starts.findIndex((entry) => entry.epoch > epoch);
    if (next < 0) return { epoch: this.latest, startOffset: logEnd };
    if (next === 0) return { epoch, startOffset: (this.#starts[0] as EpochStart).startOffset };
    return { epoch: (this.#starts[next - 1] as EpochStart).epoch, startOffset: (this.#starts[next] as EpochStart).startOffset };
  }
}
