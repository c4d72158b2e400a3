// The two changes a broker makes inside a batch: append time where the topic asks for it, and a max timestamp that a client got wrong.
// Both lie under the checksum, which is computed anew.  Never: touches records.
import { crc32c } from '../crc32c.ts';
import { writeInt64 } from '../writer.ts';
import { AT_ATTRIBUTES, AT_CRC, AT_MAX_TIMESTAMP, LOG_APPEND_TIME_BIT } from './layout.ts';
import type { RecordBatchView } from './view.ts';

/** Stamps the batch in place with `nowMs` and computes its checksum anew. `view` keeps the numbers it was read with. */
export function stampLogAppendTime(view: RecordBatchView, nowMs: number): void {
  const { buffer, start, end } = view;
  buffer.writeInt16BE(view.attributes | LOG_APPEND_TIME_BIT, start + AT_ATTRIBUTES);
  writeInt64(buffer, start + AT_MAX_TIMESTAMP, nowMs);
  buffer.writeUInt32BE(crc32c(buffer, start + AT_ATTRIBUTES, end), start + AT_CRC);
}

/** Corrects the header's max timestamp in place. `view` keeps the numbers it was read with. */
export function setMaxTimestamp(view: RecordBatchView, maxTimestamp: number): void {
  const { buffer, start, end } = view;
  writeInt64(buffer, start + AT_MAX_TIMESTAMP, maxTimestamp);
  buffer.writeUInt32BE(crc32c(buffer, start + AT_ATTRIBUTES, end), start + AT_CRC);
}
