// What a broker changes in a batch of a topic with log append time: the time bit and the max timestamp, both under the checksum.
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
