// A batch that the broker refuses for its size, or for one of its records, as two: records, order and sequences stay, so that the broker sees the same stream in smaller pieces.
// Owns: which record goes where, and one answer from two.  Never: sends; splits a batch of one record.
import { assert } from '@millrace/core';
import { BATCH_HEADER_BYTES, type BatchBuilder, type BatchPool, RecordReader, readBatches, sequenceAfter } from '@millrace/protocol';
import type { ProduceAck } from '../port.ts';
import { recordMark } from '../record-mark.ts';
import { createLatch } from './latch.ts';
import type { PendingBatch } from './partition-queue.ts';

/** Whoever sent the whole hears of it when both halves are acknowledged, or one is given up. `sequence`: of the first record, -1 when it has none yet. */
export function splitBatch(whole: PendingBatch, sequence: number, pool: BatchPool): readonly [PendingBatch, PendingBatch] {
  assert(whole.builder.count > 1, 'a single record is not split');
  const reader = readerOf(whole.builder);
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

/** What an error says about the only record of a batch: its time, whether it has a key, and by what it is known again (`recordMark`). */
export function describeRecord(builder: BatchBuilder): { readonly timestamp: number; readonly keyless: number; readonly mark: string } {
  const reader = readerOf(builder);
  assert(reader.next(), 'a batch holds a record');
  const bytes = (start: number, length: number): Buffer | null => (length < 0 ? null : reader.buffer.subarray(start, start + length));
  const key = bytes(reader.keyStart, reader.keyLength);
  return { timestamp: reader.timestamp, keyless: key === null ? 1 : 0, mark: recordMark(key, bytes(reader.valueStart, reader.valueLength)) };
}

function readerOf(builder: BatchBuilder): RecordReader {
  const sealed = builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false });
  const view = readBatches(sealed, 0, sealed.length, { checkCrc: false })[0];
  assert(view !== undefined, 'a batch in the making reads as one batch');
  return new RecordReader().reset(view);
}
