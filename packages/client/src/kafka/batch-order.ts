// What a batch says of its own place in the log, which its checksum does not cover, held against its neighbours.
// Owns: nothing.  Never: looks into a batch.
import { MillraceError, type Offset } from '@millrace/core';
import type { RecordBatchView } from '@millrace/protocol';

/**
 * Base offsets lie outside the checksum: a bit of one that has turned shows only beside its neighbours and the log's end. Taken as it is, it would move
 * the position over records that nobody has read.
 */
export function checkOrder(views: readonly RecordBatchView[], fetchOffset: Offset): void {
  let end = 0;
  for (const { baseOffset, lastOffset } of views) {
    if (baseOffset < end || lastOffset < fetchOffset)
      throw new MillraceError(
        'ERR_RECORD_BATCH_CORRUPT',
        `a batch says that it holds offsets ${baseOffset} to ${lastOffset}, where ${Math.max(end, fetchOffset)} comes next`,
      );
    end = lastOffset + 1;
  }
}
