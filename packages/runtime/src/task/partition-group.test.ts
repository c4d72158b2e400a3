import { expect, test } from 'vitest';
import { PartitionGroup } from './partition-group.ts';
import type { RecordQueue } from './record-queue.ts';

test('a clock that is set back does not make an empty partition waited for', () => {
  const full = { topic: 'full', partition: 0, hasHead: true, timestamp: 5, fetchedTo: 1, emptySinceMs: -1, source: {}, readHead: () => true };
  const empty = { topic: 'empty', partition: 0, hasHead: false, timestamp: -1, fetchedTo: 0, emptySinceMs: -1, source: {}, readHead: () => false };
  const queues = [full, empty] as unknown as readonly RecordQueue[];
  const group = new PartitionGroup(queues, { endOffset: () => 0 as never }, 0);
  expect(group.choose(1_000_000)).toBe(full);
  expect(group.choose(400_000)).toBe(full);
});

test('an empty partition is waited for until it has been silent for what its source says, if that is shorter than the idle limit', () => {
  const full = { topic: 'full', partition: 0, hasHead: true, timestamp: 5, fetchedTo: 1, emptySinceMs: -1, source: {}, readHead: () => true };
  const empty = { ...full, topic: 'empty', hasHead: false, timestamp: -1, fetchedTo: 0, source: { idleAfterMs: 50 }, readHead: () => false };
  const group = new PartitionGroup([full, empty] as unknown as readonly RecordQueue[], { endOffset: () => 0 as never }, 1000);
  expect(group.choose(2000)).toBeUndefined();
  expect(group.choose(2049)).toBeUndefined();
  expect(group.choose(2050)).toBe(full);
});
