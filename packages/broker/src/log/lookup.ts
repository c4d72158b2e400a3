// Where in a partition's segments an offset or a time lies.
// Owns: nothing, it looks.  Never: changes a segment.
// U1 compaction leaves gaps: at a segment's end, and where everything of a segment went; a lookup crosses them.
import { hasCodec, RecordBatchView, RecordReader } from '@millrace/protocol';
import type { Segment } from './segment.ts';

export interface LogPlace {
  readonly segment: Segment;
  readonly position: number;
}
export interface FoundOffset {
  readonly offset: number;
  readonly timestampMs: number;
}

/** The batch that holds `offset`, or the first one after it; the end of the last segment when there is none. */
export function locate(segments: readonly Segment[], offset: number): LogPlace {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle] as Segment).baseOffset <= offset) low = middle + 1;
    else high = middle;
  }
  let at = Math.max(0, low - 1);
  let segment = segments[at] as Segment;
  while (at < segments.length - 1 && (offset >= segment.nextOffset || segment.sizeBytes === 0)) segment = segments[++at] as Segment;
  return { segment, position: segment.positionOf(offset) };
}

/** First record at or after `logStart`, below `upTo`, whose timestamp is ≥ `timeMs`. */
export function offsetForTime(segments: readonly Segment[], logStart: number, timeMs: number, upTo: number): FoundOffset | undefined {
  for (const segment of segments) {
    let from = logStart;
    for (let found = segment.batchForTime(timeMs, from); found !== undefined; found = segment.batchForTime(timeMs, from)) {
      const batch = readBatchAt(segment, found);
      if (batch.baseOffset >= upTo) return undefined;
      const record = batch.control ? undefined : firstRecord(batch, (reader) => reader.timestamp >= timeMs && reader.offset >= logStart);
      if (record !== undefined) return record.offset < upTo ? record : undefined;
      from = batch.lastOffset + 1;
    }
  }
  return undefined;
}

/** The record with the largest timestamp, the first of equals; undefined for an empty log. */
export function offsetOfMaxTimestamp(segments: readonly Segment[], logStart: number): FoundOffset | undefined {
  let best: Segment | undefined;
  for (const segment of segments) if (segment.maxTimestampOffset >= logStart && segment.maxTimestampMs > (best?.maxTimestampMs ?? -1)) best = segment;
  if (best === undefined) return undefined;
  const timeMs = best.maxTimestampMs;
  const found = best.batchForTime(timeMs, logStart);
  return found === undefined ? undefined : firstRecord(readBatchAt(best, found), (reader) => reader.timestamp >= timeMs);
}

function readBatchAt(segment: Segment, place: { readonly position: number; readonly sizeBytes: number }): RecordBatchView {
  const bytes = Buffer.allocUnsafe(place.sizeBytes);
  segment.read(bytes, 0, place.sizeBytes, place.position);
  return new RecordBatchView(bytes, 0, bytes.length);
}

/** A batch whose codec this process lacks is stored opaquely: its first offset stands for the record inside, so a reader begins early, never late. */
function firstRecord(batch: RecordBatchView, wanted: (reader: RecordReader) => boolean): FoundOffset | undefined {
  if (!hasCodec(batch.compression)) return { offset: batch.baseOffset, timestampMs: batch.maxTimestamp };
  const reader = new RecordReader().reset(batch);
  while (reader.next()) if (wanted(reader)) return { offset: reader.offset, timestampMs: reader.timestamp };
  return undefined;
}
