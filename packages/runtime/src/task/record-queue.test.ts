import type { FetchedPartition } from '@millrace/client';
import { noHeaders, serde } from '@millrace/core';
import { BatchPool, patchBaseOffset, readBatches } from '@millrace/protocol';
import type { SourceNode } from '@millrace/topology';
import { expect, test } from 'vitest';
import { createDecoder } from './decode.ts';
import { PartitionGroup } from './partition-group.ts';
import { type QueueHost, RecordQueue } from './record-queue.ts';

const pool = new BatchPool();
const source = (over: Partial<SourceNode> = {}): SourceNode => ({
  kind: 'source',
  name: 'src',
  topics: [{ name: 't', internal: false }],
  key: serde.string() as never,
  value: serde.safeInt() as never,
  nullValues: 'serde',
  timestamp: 'record',
  onInvalidTimestamp: 'fail',
  startFrom: 'earliest',
  onError: undefined,
  children: [],
  ...over,
});

function fetched(
  base: number,
  rows: readonly { value?: Buffer | null; at: number }[],
  options: { next?: number; assignment?: number; leaderEpoch?: number; released?: () => void } = {},
): FetchedPartition {
  const builder = pool.take();
  const key = Buffer.from('k');
  for (const { value, at } of rows) {
    const bytes = value === undefined ? long(at) : value;
    builder.append(at, key, 0, 1, bytes, 0, bytes?.length ?? 0, noHeaders);
  }
  const bytes = rows.length === 0 ? Buffer.alloc(0) : Buffer.from(builder.seal({ producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false }));
  builder.release();
  if (rows.length > 0) patchBaseOffset(bytes, 0, base, 3);
  const end = (options.next ?? base + rows.length) as never;
  return {
    topic: 't',
    partition: 0,
    firstOffset: base as never,
    batches: readBatches(bytes, 0, bytes.length, { checkCrc: true }),
    nextOffset: end,
    highWatermark: end,
    lastStableOffset: end,
    logStart: 0 as never,
    leaderEpoch: options.leaderEpoch ?? 3,
    assignment: options.assignment ?? 0,
    release: options.released ?? (() => undefined),
  };
}
function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

test('what an empty fetch has passed over, aborted records and markers, stays passed over when records come', () => {
  const { queue } = createQueue();
  queue.append(fetched(0, [{ at: 1 }]));
  expect(queue.readHead()).toBe(true);
  queue.take();
  queue.append(fetched(1, [], { next: 4 }));
  expect(queue.readHead()).toBe(false);
  expect(queue.position).toBe(4);
  queue.append(fetched(4, [{ at: 2 }]));
  expect(queue.position).toBe(4);
});

function createQueue(over: Partial<SourceNode> = {}, host: Partial<QueueHost> = {}): { queue: RecordQueue; judged: unknown[]; untimed: number[] } {
  const judged: unknown[] = [];
  const untimed: number[] = [];
  const node = source(over);
  const queue = new RecordQueue({
    topic: 't',
    partition: 0,
    source: node,
    decoder: createDecoder(node, 't'),
    host: {
      taskId: '0_0',
      wallClockMs: () => 77,
      judgeDecode: (_queue, error) => void judged.push(error),
      dropUntimed: (_queue, at) => void untimed.push(at),
      ...host,
    },
  });
  queue.start(0, -1);
  return { queue, judged, untimed };
}

test('records come in order; position is the head until it is taken, then past everything fetched', () => {
  const { queue } = createQueue();
  queue.append(fetched(0, [{ at: 5 }, { at: 7 }], { next: 4 }));
  expect(queue.position).toBe(0);
  expect(queue.readHead() && [queue.key, queue.value, queue.timestamp, queue.position]).toEqual(['k', 5, 5, 0]);
  queue.take();
  expect(queue.position).toBe(1);
  queue.readHead();
  queue.take();
  expect(queue.position).toBe(4); // a marker and a gap lie behind
  expect(queue.readHead()).toBe(false);
  expect(queue.partitionTime).toBe(7);
});

test('the leader epoch is that of the log up to the position: of the batch in hand, then of a marker behind it', () => {
  const { queue } = createQueue();
  expect(queue.leaderEpoch).toBe(-1);
  queue.append(fetched(0, [{ at: 5 }, { at: 5 }], { next: 3, leaderEpoch: 4 }));
  queue.readHead();
  queue.take();
  expect([queue.position, queue.leaderEpoch]).toEqual([1, 3]);
  queue.readHead();
  queue.take();
  expect([queue.position, queue.leaderEpoch]).toEqual([3, 4]);
  queue.append(fetched(3, [], { next: 4, leaderEpoch: 5 }));
  expect([queue.position, queue.leaderEpoch]).toEqual([4, 5]);
  queue.append(fetched(4, [{ at: 6 }], { leaderEpoch: 5 }));
  expect([queue.position, queue.leaderEpoch]).toEqual([4, 5]);
});

test('records below the wanted position are passed over', () => {
  const { queue } = createQueue();
  queue.start(1, -1);
  queue.append(fetched(0, [{ at: 1 }, { at: 2 }]));
  queue.readHead();
  expect(queue.value).toBe(2);
});

test('a frame is released after its last record was processed, not before; clear releases the rest', () => {
  const released: string[] = [];
  const { queue } = createQueue();
  queue.append(fetched(0, [{ at: 1 }], { released: () => released.push('first') }));
  queue.append(fetched(1, [{ at: 2 }], { released: () => released.push('second') }));
  queue.readHead();
  queue.take();
  expect(released).toEqual([]);
  queue.readHead();
  expect(released).toEqual(['first']);
  queue.clear();
  expect(released).toEqual(['first', 'second']);
});

test('data of an older assignment is released unread', () => {
  let released = 0;
  const { queue } = createQueue();
  queue.assignment = 2;
  expect(queue.append(fetched(0, [{ at: 1 }], { assignment: 1, released: () => released++ }))).toBe(false);
  expect(released).toBe(1);
  expect(queue.readHead()).toBe(false);
});

test('what a policy skips passes its offset; what it fails stays ahead', () => {
  const { queue, judged } = createQueue();
  queue.append(fetched(0, [{ at: 1, value: Buffer.from('bad') }, { at: 2, value: null }, { at: 3 }]));
  expect(queue.readHead()).toBe(true);
  expect(queue.value).toBe(3);
  expect(judged.map((error) => (error as { code: string }).code)).toEqual(['ERR_RECORD_UNDECODABLE', 'ERR_UNEXPECTED_TOMBSTONE']);

  const failing = createQueue(
    {},
    {
      judgeDecode: () => {
        throw new Error('policy says fail');
      },
    },
  ).queue;
  failing.append(fetched(0, [{ at: 1, value: null }]));
  expect(() => failing.readHead()).toThrow('policy says fail');
  expect(failing.position).toBe(0);
});

test('a record without a time: dropped, or given the partition time, as the source wishes', () => {
  const skipping = createQueue({ onInvalidTimestamp: 'skip' });
  skipping.queue.append(fetched(0, [{ at: -1, value: long(0) }, { at: 4 }]));
  skipping.queue.readHead();
  expect([skipping.queue.value, skipping.untimed]).toEqual([4, [-1]]);

  const { queue } = createQueue({ onInvalidTimestamp: 'partitionTime' });
  queue.start(0, 9);
  queue.append(fetched(0, [{ at: -1, value: long(0) }]));
  queue.readHead();
  expect(queue.timestamp).toBe(9);
});

test('a record dated too far ahead of the wall clock goes to the decode policy, with both times in the words', () => {
  const { queue, judged } = createQueue({}, { wallClockMs: () => 10_000, timestampAheadMaxMs: 5_000 });
  queue.append(fetched(0, [{ at: 15_000 }, { at: 15_001 }, { at: 3 }]));
  queue.readHead();
  expect(queue.value).toBe(15_000);
  queue.take();
  queue.readHead();
  expect(queue.value).toBe(3);
  expect(judged).toHaveLength(1);
  expect(judged[0]).toMatchObject({ code: 'ERR_INVALID_TIMESTAMP', message: expect.stringContaining('1970-01-01T00:00:15.001Z, 5 s ahead') });
});

test('event time from the payload sees value, key and the partition time so far', () => {
  const seen: unknown[] = [];
  const { queue } = createQueue({
    timestamp: (value, key, context) => {
      seen.push([value, key, context.streamTime, context.source?.offset]);
      return (value as number) * 10;
    },
  });
  queue.append(fetched(0, [{ at: 1 }, { at: 2 }]));
  queue.readHead();
  queue.take();
  queue.readHead();
  expect(queue.timestamp).toBe(20);
  expect(seen).toEqual([
    [1, 'k', -1, 0],
    [2, 'k', 10, 1],
  ]);
});

test('the head with the least event time is next; stream time never goes back', () => {
  const [left, right] = [createQueue().queue, createQueue().queue];
  left.append(fetched(0, [{ at: 5 }, { at: 6 }]));
  right.append(fetched(0, [{ at: 3 }, { at: 9 }]));
  const group = new PartitionGroup([left, right], { endOffset: () => 0 }, 0);
  const order: number[] = [];
  const times: number[] = [];
  for (let queue = group.choose(0); queue !== undefined; queue = group.choose(0)) {
    group.take(queue);
    order.push(queue.timestamp);
    times.push(group.streamTime);
  }
  expect(order).toEqual([3, 5, 6, 9]);
  expect(times).toEqual([3, 5, 6, 9]);
});

test('an empty partition is waited for while data is known to exist, or for the idle time; -1 never waits', () => {
  const [full, empty] = [createQueue().queue, createQueue().queue];
  full.append(fetched(0, [{ at: 5 }]));
  let end: number | undefined;
  const ends = { endOffset: () => end };
  const group = new PartitionGroup([full, empty], ends, 100);
  expect(group.choose(0)).toBeUndefined(); // the end is not known
  end = 3;
  expect(group.choose(0)).toBeUndefined(); // data exists
  end = 0;
  expect(group.choose(1000)).toBeUndefined(); // caught up: the timer starts
  expect(group.choose(1099)).toBeUndefined();
  expect(group.choose(1100)).toBe(full);
  expect(new PartitionGroup([full, empty], { endOffset: () => 3 }, -1).choose(0)).toBe(full);
});
