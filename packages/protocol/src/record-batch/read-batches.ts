// Finds the batches in a run of bytes: the records field of a fetch, or a piece of a log segment.
// Owns: nothing.  Never: copies, delivers a batch whose checksum or bounds are wrong, complains about a tail that was cut.
import { crc32c } from '../crc32c.ts';
import { batchError } from '../wire-error.ts';
import { AT_ATTRIBUTES, AT_CRC, AT_LENGTH, AT_MAGIC, BATCH_HEADER_BYTES, LENGTH_PREFIX_BYTES, MAGIC } from './layout.ts';
import { RecordBatchView } from './view.ts';

export interface ReadBatchesOptions {
  /** Check the CRC-32C of each batch; only data that was checked before may do without. */
  readonly checkCrc: boolean;
}

/**
 * The batches in `buffer[start, end)`, in order. What remains of a batch that a broker cut at its byte limit is left out.
 * Throws ERR_RECORD_BATCH_CORRUPT at the first batch whose length, magic, checksum or header numbers are impossible.
 */
export function readBatches(buffer: Buffer, start: number, end: number, options: ReadBatchesOptions): RecordBatchView[] {
  const views: RecordBatchView[] = [];
  for (let at = start; at < end; ) {
    const batchEnd = batchEndAt(buffer, at, end);
    if (batchEnd === undefined) break;
    views.push(readBatch(buffer, at, batchEnd, options.checkCrc));
    at = batchEnd;
  }
  return views;
}

/** End of the batch that begins at `at`; undefined when `[at, end)` does not hold all of it. Throws on an impossible length. */
export function batchEndAt(buffer: Buffer, at: number, end: number): number | undefined {
  if (end - at < LENGTH_PREFIX_BYTES) return undefined;
  const length = buffer.readInt32BE(at + AT_LENGTH);
  if (length < BATCH_HEADER_BYTES - LENGTH_PREFIX_BYTES) throw batchError(`record batch declares a length of ${length} bytes`, { at });
  const batchEnd = at + LENGTH_PREFIX_BYTES + length;
  return batchEnd > end ? undefined : batchEnd;
}

function readBatch(buffer: Buffer, at: number, batchEnd: number, checkCrc: boolean): RecordBatchView {
  const magic = buffer[at + AT_MAGIC] as number;
  if (magic !== MAGIC) throw batchError(`record batch has magic ${magic}; only 2 (Kafka 0.11 and later) is understood`, { at, magic });
  if (checkCrc) {
    const declared = buffer.readUInt32BE(at + AT_CRC);
    const computed = crc32c(buffer, at + AT_ATTRIBUTES, batchEnd);
    if (declared !== computed)
      throw batchError(`record batch checksum is ${hex(computed)}, the header says ${hex(declared)}`, { at, sizeBytes: batchEnd - at });
  }
  return new RecordBatchView(buffer, at, batchEnd);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
