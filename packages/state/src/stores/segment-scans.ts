// The cursors of a read over times [from, to]: one over all its segments, or one a segment when only one key's rows are wanted.
import type { ByteRows, ByteStore } from '../byte-store.ts';
import { segmentOf, segmentStart } from '../layouts/window.ts';

export interface TimeSpan {
  readonly from: number;
  readonly to: number;
  readonly intervalMs: number;
}

/** Disk keys of one key's rows within a segment, both bounds included. */
export type KeyBounds = (segment: number) => { readonly gte: Buffer; readonly lte: Buffer };

export function* segmentScans(
  disk: ByteStore,
  { from, to, intervalMs }: TimeSpan,
  bounds: KeyBounds | 'whole segments',
  reverse: boolean,
): Generator<ByteRows> {
  if (from > to) return;
  const first = segmentOf(from, intervalMs);
  const last = segmentOf(to, intervalMs);
  if (bounds === 'whole segments') {
    yield disk.scan({ gte: segmentStart(first), lt: segmentStart(last + 1), reverse });
    return;
  }
  for (let step = 0; step <= last - first; step++) yield disk.scan({ ...bounds(reverse ? last - step : first + step), reverse });
}
