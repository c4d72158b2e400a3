// A batch that the broker calls too large, as two: records, order and sequences stay, so that the broker sees the same stream in smaller pieces.
// Owns: which record goes where, and one answer from two.  Never: sends; splits a batch of one record.
import { assert } from '@millrace/core';
import { BATCH_HEADER_BYTES, type BatchPool, RecordReader, readBatches, sequenceAfter } from '@millrace/protocol';
import type { ProduceAck } from '../port.ts';
import { createLatch } from './latch.ts';
import type { PendingBatch } from './partition-queue.ts';

/** Whoever sent the whole hears of it when both halves are acknowledged, or one is given up. `sequence`: of the first record, -1 when it has none yet. */
export function splitBatch(whole: PendingBatch, sequence: number, pool: BatchPool): readonly [PendingBatch, PendingBatch] {
  assert(whole.builder.count > 1, 'a single record is not split');
  const sealed = whole.builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false });
  const view = readBatches(sealed, 0, sealed.length, { checkCrc: false })[0];
  assert(view !== undefined, 'a batch in the making reads as one batch');
  const reader = new RecordReader().reset(view);
  const [head, tail] = [pool.take(), pool.take()];
  const halfBytes = BATCH_HEADER_BYTES + (whole.builder.sizeBytes - BATCH_HEADER_BYTES) / 2;
  for (let left = whole.builder.count; reader.next(); left--) {
    const toHead = head.count === 0 || (left > 1 && tail.count === 0 && head.sizeBytes < halfBytes);
    (toHead ? head : tail).appendRecord(reader.timestamp, reader);
  }
  const orders = whole.orders / 2;
  const first: PendingBatch = { ...whole, builder: head, bytes: head.sizeBytes, orders, latch: createLatch(), baseSequence: sequence, sealed: undefined };
  const second: PendingBatch = {
    ...first,
    builder: tail,
    bytes: tail.sizeBytes,
    order: whole.order + orders,
    latch: createLatch(),
    baseSequence: sequence < 0 ? -1 : sequenceAfter(sequence, head.count),
  };
  Promise.all([first.latch.promise, second.latch.promise]).then(
    ([one, other]): void => whole.latch.resolve({ ...other, baseOffset: one.baseOffset } satisfies ProduceAck),
    (error: Error) => whole.latch.reject(error),
  );
  return [first, second];
}
