// Reading runs of whole batches out of a segment, and where sequential readers go on.
// Owns: the newest few places.  Never: decodes a batch; its length and offsets are all that is looked at.
// P0 offsets rise from batch to batch and stay below the log end: no checksum covers a batch's first offset, and a reader sent back would read in a
// circle, one sent past the end would be told for ever that nothing has come yet.
// P1 a place at the end of a finished segment is not kept: it would look like the end of the log.  P2 every change of the segments forgets all.
import { BATCH_HEADER, baseOffsetAt, damaged, lastOffsetAt, stepAt } from './batch-header.ts';
import { type LogPlace, locate } from './lookup.ts';
import type { Segment } from './segment.ts';

const PLACES_MAX = 16;
const NO_BYTES = Buffer.alloc(0);

export interface LogRead {
  readonly bytes: Buffer;
  /** Offset after the last batch in `bytes`; the asked one when empty. */
  readonly nextOffset: number;
}

export interface ReadBounds {
  readonly offset: number;
  readonly upTo: number;
  readonly logEnd: number;
  readonly bytesMax: number;
  readonly atLeastOne: boolean;
}

/** Where the bytes of a read go: a buffer of this size, with whatever was in it. */
export type Lend = (bytes: number) => Buffer;

/** Whole batches from `place` on, within the bounds. One buffer, unless the first batch alone is larger; the file is read straight into it. */
export function readRun({ segment, position }: LogPlace, { offset, upTo, logEnd, bytesMax, atLeastOne }: ReadBounds, lend: Lend): LogRead {
  const empty: LogRead = { bytes: NO_BYTES, nextOffset: offset };
  const available = segment.sizeBytes - position;
  if (available <= 0) throw damaged(segment.logPath, position, `no batch holds offset ${offset}, and the log ends before ${logEnd}`);
  let bytes = lend(Math.min(available, Math.max(bytesMax, BATCH_HEADER)));
  let held = segment.read(bytes, 0, bytes.length, position);
  if (held < BATCH_HEADER) return empty;
  const firstBytes = stepAt(bytes, 0, segment.logPath, position, available);
  if (firstBytes > bytesMax) {
    if (!atLeastOne) return empty;
    bytes = lend(firstBytes);
    held = segment.read(bytes, 0, firstBytes, position);
  }
  let end = 0;
  let nextOffset = offset;
  while (held - end >= BATCH_HEADER) {
    const size = stepAt(bytes, end, segment.logPath, position + end, available - end);
    if (end + size > held) break;
    const first = baseOffsetAt(bytes, end);
    const last = lastOffsetAt(bytes, end);
    if (first >= upTo && first < logEnd) break;
    if (first >= logEnd || last < nextOffset || (end > 0 && first < nextOffset))
      throw damaged(
        segment.logPath,
        position + end,
        `a batch of the offsets ${first} to ${last} where ${nextOffset} is next and the log ends before ${logEnd}`,
      );
    nextOffset = last + 1;
    end += size;
  }
  return { bytes: bytes.subarray(0, end), nextOffset };
}

export class ReadPlaces {
  readonly #places = new Map<number, LogPlace>();

  find(segments: readonly Segment[], offset: number): LogPlace {
    return this.#places.get(offset) ?? locate(segments, offset);
  }

  /** The reader that stands at `offset` goes on at `place`. */
  remember(offset: number, place: LogPlace, isActive: boolean): void {
    if (place.position >= place.segment.sizeBytes && !isActive) return; // the next segment holds what follows: let `locate` find it
    this.#places.delete(offset);
    this.#places.set(offset, place);
    if (this.#places.size <= PLACES_MAX) return;
    for (const oldest of this.#places.keys()) {
      this.#places.delete(oldest);
      return;
    }
  }

  clear(): void {
    this.#places.clear();
  }
}
