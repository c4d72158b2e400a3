import type { LogConsumer, PartitionStart } from '@millrace/client';
import { MillraceError, type Offset, serde, silentLogger, virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { Intake } from './intake.ts';
import { RecordQueue } from './task/record-queue.ts';
import type { Task } from './task/task.ts';

function open() {
  const source = {
    name: 's',
    topics: [{ name: 'in', internal: false }],
    key: serde.string(),
    value: serde.string(),
    startFrom: 'earliest',
    timestamp: 'record',
  };
  const queue = new RecordQueue({
    topic: 'in',
    partition: 0,
    source: source as never,
    decoder: { key: () => null, value: () => null },
    host: { taskId: '0_0', wallClockMs: () => 0, judgeDecode() {}, dropUntimed() {} },
  });
  const assigned: (readonly PartitionStart[])[] = [];
  const time = virtualTime();
  const consumer = {
    assign: (partitions: readonly PartitionStart[]) => assigned.push(partitions),
    position: () => undefined,
    pause() {},
    resume() {},
  } as unknown as LogConsumer;
  const failed: unknown[] = [];
  const task = { running: true, group: { queues: [queue] } } as unknown as Task;
  const intake = new Intake(
    { consumer, clock: time.clock, timers: time.timers, log: silentLogger },
    { taskTimeoutMs: 60_000, bufferedBytesMax: 1024 * 1024 },
    { tasks: new Map([['0_0', task]]), failed: (error) => void failed.push(error), hasLost: () => false },
  );
  queue.start(40, -1);
  intake.assign(new Set([queue]));
  const outOfRange = (position: number, logStart: number, logEnd: number) =>
    intake.take({
      kind: 'outOfRange',
      topic: 'in',
      partition: 0,
      position: position as Offset,
      logStart: logStart as Offset,
      logEnd: logEnd as Offset,
    });
  return { intake, queue, assigned, time, failed, outOfRange };
}

test('news of a position that is not the one read next is old: a new life has begun elsewhere, and stays there', () => {
  const { queue, assigned, outOfRange } = open();
  outOfRange(90, 10, 80); // offered before the life that was dropped ended; this one began at 40, which the log holds
  expect(queue.position).toBe(40);
  expect(assigned.at(-1)).toEqual([{ topic: 'in', partition: 0, offset: 40 }]);
  outOfRange(40, 50, 80);
  expect(queue.position).toBe(50);
});

test('a log that was cut below the position is read on from its end: what it still holds has been processed', () => {
  const { queue, assigned, outOfRange } = open();
  outOfRange(40, 10, 35);
  expect(queue.position).toBe(35);
  expect(assigned.at(-1)).toEqual([{ topic: 'in', partition: 0, offset: 35 }]);
});

test('a partition that failed while it was paused is read anew, and paused anew once it is full', async () => {
  const { intake, queue, time } = open();
  queue.paused = true;
  intake.take({ kind: 'failed', topic: 'in', partition: 0, error: new MillraceError('ERR_RETRIABLE', 'not now') });
  await time.runUntilIdle(1);
  expect(queue.paused).toBe(false);
});

test('closed while a partition waits to be asked for again, it leaves no timer', async () => {
  const { intake, assigned, time } = open();
  intake.take({ kind: 'failed', topic: 'in', partition: 0, error: new MillraceError('ERR_RETRIABLE', 'not now') });
  const asked = assigned.length;
  intake.close();
  await time.runUntilIdle(0);
  expect(assigned.length).toBe(asked);
});
