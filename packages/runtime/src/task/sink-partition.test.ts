import { partitionForKey, serde } from '@millrace/core';
import type { SinkNode } from '@millrace/topology';
import { expect, test } from 'vitest';
import { TaskCursor } from './cursor.ts';
import { createSink } from './sink.ts';

/** Partition that the sink asks a lane for; the lane is never reached. */
function partitionOf(key: unknown, node: Pick<SinkNode, 'key' | 'keySuffixBytes'>): number {
  const seen: number[] = [];
  const sink: SinkNode = {
    kind: 'sink',
    name: 'out',
    topic: { name: 'out', internal: false },
    value: serde.string(),
    partitioner: undefined,
    onError: 'skip',
    ...node,
  };
  const host = {
    input: undefined,
    keylessPartition: () => 0,
    recordBytesMax: () => 1_000_000,
    outputRule: () => undefined,
    wallClockMs: () => 0,
    judgeProduce() {},
    lane(_topic: string, partition: number): never {
      seen.push(partition);
      throw new Error('far enough');
    },
  };
  createSink(sink, 'out', 50, new TaskCursor('0_0'), 'skip', host).process(key, 'value');
  return seen[0] as number;
}

test('a windowed key goes where its plain key goes', () => {
  for (const key of ['a', 'b', 'ada', 'user-17']) {
    const bytes = Buffer.from(key);
    const plain = partitionForKey(bytes, 0, bytes.length, 50);
    const windowed = { key, window: { start: 1_396_040_907_809, end: 1_396_040_922_365 } };
    expect(partitionOf(key, { key: serde.string(), keySuffixBytes: 0 })).toBe(plain);
    expect(partitionOf(windowed, { key: serde.windowed(serde.string(), { size: 14_556 }), keySuffixBytes: 8 })).toBe(plain);
    expect(partitionOf(windowed, { key: serde.sessionWindowed(serde.string()), keySuffixBytes: 16 })).toBe(plain);
  }
});
