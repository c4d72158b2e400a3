// Walks the batches of a segment file in chunks: recovery, index rebuilding, lookups by time, compaction, replay.
// Owns: one chunk buffer per scan.  Never: trusts a length beyond the file, holds more than a chunk or one batch at a time.
import { type DiskFile, MillraceError } from '@millrace/core';
import { type RecordBatchView, readBatches } from '@millrace/protocol';
import { BATCH_HEADER, batchSizeAt, LENGTH_PREFIX } from './batch-header.ts';

const CHUNK_BYTES = 1024 * 1024;

export interface ScanOptions {
  readonly from: number;
  /** Where the segment ends: bytes behind it are not looked at. */
  readonly to: number;
  readonly checkCrc: boolean;
}

export interface ScanEnd {
  /** End of the last whole, sound batch that was visited. */
  readonly position: number;
  /** Undefined when everything up to `to` was sound, or the visitor stopped. */
  readonly damage: string | undefined;
}

/** Visits each batch; `visit` returns false to stop. The view's buffer is reused: copy what is kept. */
export function scanBatches(file: DiskFile, options: ScanOptions, visit: (batch: RecordBatchView, position: number) => boolean): ScanEnd {
  let chunk = Buffer.allocUnsafe(Math.max(BATCH_HEADER, Math.min(CHUNK_BYTES, options.to - options.from)));
  let position = options.from;
  while (position < options.to) {
    const wanted = Math.min(chunk.length, options.to - position);
    const held = file.read(chunk, 0, wanted, position);
    if (held < BATCH_HEADER) return { position, damage: `${held} bytes where a batch should begin` };
    let at = 0;
    while (held - at >= LENGTH_PREFIX) {
      const size = batchSizeAt(chunk, at);
      if (size < BATCH_HEADER || position + at + size > options.to)
        return { position: position + at, damage: `a batch of ${size} bytes does not fit the file` };
      if (at + size > held) break;
      const batch = soundBatch(chunk, at, at + size, options.checkCrc);
      if (typeof batch === 'string') return { position: position + at, damage: batch };
      if (!visit(batch, position + at)) return { position: position + at + size, damage: undefined };
      at += size;
    }
    if (at === 0) {
      // One batch larger than the chunk, or a stub of less than a header's length at the very end.
      if (held < LENGTH_PREFIX) return { position, damage: `${held} bytes where a batch should begin` };
      if (held < wanted) return { position, damage: 'the file is shorter than it says' };
      if (wanted === options.to - position) return { position, damage: 'the last batch is cut' };
      chunk = Buffer.allocUnsafe(batchSizeAt(chunk, 0));
    }
    position += at;
  }
  return { position, damage: undefined };
}

function soundBatch(buffer: Buffer, start: number, end: number, checkCrc: boolean): RecordBatchView | string {
  try {
    return readBatches(buffer, start, end, { checkCrc })[0] as RecordBatchView;
  } catch (error) {
    if (MillraceError.is(error)) return error.message;
    throw error;
  }
}
