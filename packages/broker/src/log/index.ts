// Where in a segment an offset or a time begins: one sparse table with three columns, so that both lookups share their entries.
// Owns: the entries of one segment and their bytes on disk.  Never: reads the segment (whoever looks something up scans on from the answer).
// X1 offsets and positions ascend strictly, times never descend.  X2 an entry's time is the largest timestamp in the segment *before*
// the entry's position, so "first entry with time ≥ t" bounds the search from behind.  X3 everything here can be rebuilt from the segment.

/** Bytes appended between two entries (Kafka's index.interval.bytes). */
export const INDEX_INTERVAL_BYTES = 4096;
const ENTRY_BYTES = 16;
/** Entries per segment; reaching it rolls the segment. 4 M entries of at least 4 KiB cover 16 GiB, more than a segment may have. */
export const INDEX_ENTRIES_MAX = 4 * 1024 * 1024;

export class SegmentIndex {
  #offsets = new Uint32Array(16);
  #positions = new Uint32Array(16);
  #times = new Float64Array(16);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** `relativeOffset` from the segment's base; `timeBefore`: largest timestamp before `position` (-1: none). */
  add(relativeOffset: number, position: number, timeBefore: number): void {
    if (this.#count === this.#offsets.length) this.#grow();
    this.#offsets[this.#count] = relativeOffset;
    this.#positions[this.#count] = position;
    this.#times[this.#count] = timeBefore;
    this.#count += 1;
  }

  /** Largest known position whose batch begins at or before the offset; 0 without one. */
  positionForOffset(relativeOffset: number): number {
    const at = lastAtMost(this.#offsets, this.#count, relativeOffset);
    return at < 0 ? 0 : (this.#positions[at] as number);
  }

  /** A position at or before the first batch that may hold a timestamp ≥ `timeMs`. */
  positionForTime(timeMs: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#times[middle] as number) < timeMs) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.#positions[low - 1] as number);
  }

  clear(): void {
    this.#count = 0;
  }

  get sizeBytes(): number {
    return this.#count * ENTRY_BYTES;
  }

  /** Writes `sizeBytes` bytes at `at`; returns the position behind them. */
  encode(target: Buffer, at: number): number {
    let position = at;
    for (let entry = 0; entry < this.#count; entry++) {
      target.writeUInt32BE(this.#offsets[entry] as number, position);
      target.writeUInt32BE(this.#positions[entry] as number, position + 4);
      target.writeDoubleBE(this.#times[entry] as number, position + 8);
      position += ENTRY_BYTES;
    }
    return position;
  }

  static decode(source: Buffer, at: number, count: number): SegmentIndex {
    const index = new SegmentIndex();
    for (let entry = 0, position = at; entry < count; entry++, position += ENTRY_BYTES)
      index.add(source.readUInt32BE(position), source.readUInt32BE(position + 4), source.readDoubleBE(position + 8));
    return index;
  }

  #grow(): void {
    const size = this.#offsets.length * 2;
    const offsets = new Uint32Array(size);
    const positions = new Uint32Array(size);
    const times = new Float64Array(size);
    offsets.set(this.#offsets);
    positions.set(this.#positions);
    times.set(this.#times);
    this.#offsets = offsets;
    this.#positions = positions;
    this.#times = times;
  }
}

/** Index of the last value ≤ `limit` among the first `count`; -1 if none. */
function lastAtMost(values: Uint32Array, count: number, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
