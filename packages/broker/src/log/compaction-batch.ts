// A record batch with fewer records, at the same place in the log.
// Owns: the re-encoding.  Never: decides what stays.
// W1 base offset, last offset delta, producer fields and sequence stay; count, times and CRC follow the records.
import { compress, crc32c, RecordBatchView, type RecordReader, varintSize, varlongSize, Writer } from '@millrace/protocol';
import { BATCH_HEADER, CRC_FROM, LENGTH_PREFIX, putCrc, setDeleteHorizon, setHeader } from './batch-header.ts';

/** Compression, and the transaction: below the last stable offset it is over, and its marker may be gone before this header is. */
const CLEARED_WHEN_EMPTY = 0x07 | 0x10;
const CONTROL = 0x20;
const writer = new Writer(64 * 1024);

/** `reader` stands before the first record of `batch`. `horizonMs`: stamp the batch with it; undefined: keep its stamp, if it has one. */
export function rewriteBatch(
  batch: RecordBatchView,
  reader: RecordReader,
  keep: (reader: RecordReader) => boolean,
  horizonMs: number | undefined,
): RecordBatchView {
  const base = horizonMs ?? batch.baseTimestamp;
  let count = 0;
  let maxTimestamp = -1;
  writer.reset();
  while (reader.next()) {
    if (!keep(reader)) continue;
    const timestampDelta = reader.timestamp - base;
    const offsetDelta = reader.offset - batch.baseOffset;
    writer.varint(1 + varlongSize(timestampDelta) + varintSize(offsetDelta) + reader.headersEnd - reader.bodyStart);
    writer.int8(0);
    writer.varlong(timestampDelta);
    writer.varint(offsetDelta);
    writer.raw(reader.buffer.subarray(reader.bodyStart, reader.headersEnd));
    count += 1;
    if (reader.timestamp > maxTimestamp) maxTimestamp = reader.timestamp;
  }
  const records = compress(batch.compression, writer.finish(false));
  const bytes = Buffer.allocUnsafe(BATCH_HEADER + records.length);
  batch.buffer.copy(bytes, 0, batch.start, batch.start + BATCH_HEADER);
  records.copy(bytes, BATCH_HEADER);
  if (horizonMs !== undefined) setDeleteHorizon(bytes, 0, horizonMs);
  return finish(bytes, count, batch.logAppendTime ? batch.maxTimestamp : maxTimestamp, undefined);
}

/** The header alone: what is left of a batch whose place or sequence still matters. */
export function emptyBatch(batch: RecordBatchView): RecordBatchView {
  const bytes = Buffer.allocUnsafe(BATCH_HEADER);
  batch.buffer.copy(bytes, 0, batch.start, batch.start + BATCH_HEADER);
  return finish(bytes, 0, batch.maxTimestamp, (batch.attributes & CONTROL) !== 0 ? batch.attributes : batch.attributes & ~CLEARED_WHEN_EMPTY);
}

function finish(bytes: Buffer, count: number, maxTimestamp: number, attributes: number | undefined): RecordBatchView {
  setHeader(bytes, 0, { length: bytes.length - LENGTH_PREFIX, count, maxTimestamp, attributes });
  putCrc(bytes, 0, crc32c(bytes, CRC_FROM, bytes.length));
  return new RecordBatchView(bytes, 0, bytes.length);
}
