// A client's batch under another codec, for topics whose `compression.type` is not "producer".
// Owns: the re-encoding.  Never: touches records, offsets or producer fields: only the codec bits, the length and the checksum differ.
import { compress, crc32c, decompress, RecordBatchView } from '@millrace/protocol';
import { BATCH_HEADER, CRC_FROM, LENGTH_PREFIX, putCrc, setHeader } from './batch-header.ts';

const CODEC_BITS = 0x07;
/** As the record reader's own ceiling: a batch that unpacks to more is refused when it comes. */
const UNPACKED_BYTES_MAX = 128 * 1024 * 1024;

/** The batch as it is to be stored: the same one when it has the codec already. Throws ERR_RECORD_BATCH_CORRUPT when it does not unpack. */
export function recompress(batch: RecordBatchView, codec: number): RecordBatchView {
  if (batch.compression === codec) return batch;
  const packed = batch.buffer.subarray(batch.start + BATCH_HEADER, batch.end);
  const records = compress(codec, decompress(batch.compression, packed, UNPACKED_BYTES_MAX));
  const bytes = Buffer.allocUnsafe(BATCH_HEADER + records.length);
  batch.buffer.copy(bytes, 0, batch.start, batch.start + BATCH_HEADER);
  records.copy(bytes, BATCH_HEADER);
  const attributes = (batch.attributes & ~CODEC_BITS) | codec;
  setHeader(bytes, 0, { length: bytes.length - LENGTH_PREFIX, count: batch.count, maxTimestamp: batch.maxTimestamp, attributes });
  putCrc(bytes, 0, crc32c(bytes, CRC_FROM, bytes.length));
  return new RecordBatchView(bytes, 0, bytes.length);
}
