// Which transactions of a partition were aborted: a read_committed reader needs it to leave their batches out.
// Owns: the entries of one segment, the segment that holds the marker.  Never: lists transactions without data.
// A1 entries stand in order of their marker's offset.  Source: KIP-98, protocol.md section 7.
import type { AbortedTransaction } from './producer-state.ts';

const ENTRY_BYTES = 24;

export class AbortedIndex {
  readonly entries: AbortedTransaction[] = [];

  add(entry: AbortedTransaction): void {
    this.entries.push(entry);
  }
  get sizeBytes(): number {
    return this.entries.length * ENTRY_BYTES;
  }
  encode(target: Buffer, at: number): number {
    let position = at;
    for (const entry of this.entries) {
      target.writeBigInt64BE(BigInt(entry.producerId), position);
      target.writeBigInt64BE(BigInt(entry.firstOffset), position + 8);
      target.writeBigInt64BE(BigInt(entry.lastOffset), position + 16);
      position += ENTRY_BYTES;
    }
    return position;
  }
  static decode(source: Buffer, at: number, count: number): AbortedIndex {
    const index = new AbortedIndex();
    for (let entry = 0, position = at; entry < count; entry++, position += ENTRY_BYTES)
      index.add({
        producerId: Number(source.readBigInt64BE(position)),
        firstOffset: Number(source.readBigInt64BE(position + 8)),
        lastOffset: Number(source.readBigInt64BE(position + 16)),
      });
    return index;
  }
}

/** Collects what a reader of [from, to) needs into `into`: marker at or past `from`, data before `to`. */
export function collectAborted(index: AbortedIndex, from: number, to: number, into: AbortedTransaction[]): void {
  for (const entry of index.entries) if (entry.lastOffset >= from && entry.firstOffset < to) into.push(entry);
}
