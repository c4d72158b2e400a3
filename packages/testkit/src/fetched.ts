// Records of a test as a fetch would bring them.
// Owns: nothing.  Never: keeps what it made.
import type { Offset } from '@millrace/core';
import type { BatchPool, RecordBatchView } from '@millrace/protocol';
import type { Input } from './driver-options.ts';
import { sealedView } from './topic-log.ts';

/** A batch of one record. */
export function batchOf(pool: BatchPool, { timestamp, key, value, headers }: Input, offset: number): RecordBatchView {
  const builder = pool.take();
  builder.append(timestamp, key, 0, key?.length ?? 0, value, 0, value?.length ?? 0, headers);
  return sealedView(builder, offset);
}

export function fetched(topic: string, partition: number, view: RecordBatchView) {
  const next = (view.lastOffset + 1) as Offset;
  const first = view.baseOffset as Offset;
  return {
    topic,
    partition,
    batches: [view],
    firstOffset: first,
    nextOffset: next,
    highWatermark: next,
    lastStableOffset: next,
    logStart: first,
    leaderEpoch: view.leaderEpoch,
    assignment: 0,
    release() {},
  };
}
