import { noHeaders } from '@millrace/core';
import { BatchPool, encodeControlBatch, patchBaseOffset, type RecordBatchView, readBatches } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { visibleBatches } from './isolation-filter.ts';

const pool = new BatchPool();

function data(baseOffset: number, producerId: number, keys: readonly (Buffer | null)[] = [null]): Buffer {
  const builder = pool.take();
  for (const key of keys) builder.append(1, key, 0, key?.length ?? 0, Buffer.from('v'), 0, 1, noHeaders);
  const bytes = Buffer.from(builder.seal({ producerId, producerEpoch: 0, baseSequence: producerId < 0 ? -1 : 0, transactional: producerId >= 0 }));
  patchBaseOffset(bytes, 0, baseOffset, 0);
  builder.release();
  return bytes;
}
function marker(baseOffset: number, producerId: number, type: 'abort' | 'commit'): Buffer {
  return encodeControlBatch({ type, producerId, producerEpoch: 0, coordinatorEpoch: 0, timestamp: 1, baseOffset });
}
/** A batch from which compaction has taken every record. */
function emptied(baseOffset: number, lastOffsetDelta: number): Buffer {
  const bytes = data(baseOffset, 7).subarray(0, 61);
  const copy = Buffer.from(bytes);
  copy.writeInt32BE(61 - 12, 8);
  copy.writeInt32BE(lastOffsetDelta, 23);
  copy.writeInt32BE(0, 57);
  return copy;
}
function views(...batches: readonly Buffer[]): RecordBatchView[] {
  const all = Buffer.concat(batches);
  return readBatches(all, 0, all.length, { checkCrc: false });
}
const offsets = (batches: readonly RecordBatchView[]): readonly number[] => batches.map(({ baseOffset }) => baseOffset);

test('H1: a data record whose key is four zero bytes is no marker: the aborted transaction stays hidden', () => {
  const found = views(data(0, 7, [Buffer.alloc(4)]), data(1, 7), marker(2, 7, 'abort'), data(3, 7));
  expect(offsets(visibleBatches(found, 0, [{ producerId: 7, firstOffset: 0 }]))).toEqual([3]);
});

test('H2: of two aborted transactions open at the fetch offset no record is delivered', () => {
  const aborted = [
    { producerId: 8, firstOffset: 2 },
    { producerId: 7, firstOffset: 1 },
  ];
  const found = views(data(5, 7), data(6, 8), marker(7, 8, 'abort'), data(8, 7), data(9, 8), marker(10, 7, 'abort'), data(11, 7));
  expect(offsets(visibleBatches(found, 5, aborted))).toEqual([9, 11]);
});

test('H3: one producer aborts twice; the second marker comes only with the next fetch', () => {
  const twice = [
    { producerId: 7, firstOffset: 0 },
    { producerId: 7, firstOffset: 2 },
  ];
  expect(offsets(visibleBatches(views(data(0, 7), marker(1, 7, 'abort'), data(2, 7)), 0, twice))).toEqual([]);
  expect(offsets(visibleBatches(views(data(3, 7), marker(4, 7, 'abort'), data(5, 7)), 3, twice.slice(1)))).toEqual([5]);
});

test('H4: an abort marker without an entry in the list is passed over', () => {
  expect(offsets(visibleBatches(views(data(0, 7), marker(1, 7, 'abort'), data(2, 7)), 0, []))).toEqual([0, 2]);
});

test('H5: an emptied batch is not handed out, also as the last one', () => {
  const found = views(emptied(0, 9), data(10, -1), emptied(11, 4));
  expect(offsets(visibleBatches(found, 0, []))).toEqual([10]);
  expect(found[2]?.lastOffset).toBe(15);
});

test('records without a producer and of committed transactions show between aborted ones; batches before the position do not', () => {
  const found = views(data(0, -1), data(1, 7), data(2, 8), data(3, -1), marker(4, 7, 'abort'), marker(5, 8, 'commit'));
  expect(offsets(visibleBatches(found, 1, [{ producerId: 7, firstOffset: 1 }]))).toEqual([2, 3]);
});

test('read_uncommitted hides the markers alone', () => {
  const found = views(data(0, 7), marker(1, 7, 'abort'), data(2, 7));
  expect(offsets(visibleBatches(found, 0, undefined))).toEqual([0, 2]);
});
