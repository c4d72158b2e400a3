import { virtualTime } from '@millrace/core';
import { expect, test } from 'vitest';
import { watchWorker } from './watchdog.ts';

function watched(ping: () => Promise<void>) {
  const time = virtualTime();
  const told: string[] = [];
  const watch = watchWorker({
    clock: time.clock,
    timers: time.timers,
    ping,
    blockedAfterMs: 1_000,
    giveUpAfterMs: 20_000,
    blocked: (ms) => void told.push(`blocked ${ms}`),
    stuck: (ms) => void told.push(`stuck ${ms}`),
  });
  return { time, told, watch };
}

test('a worker that answers is left alone', async () => {
  const { time, told } = watched(() => Promise.resolve());
  await time.advance(100_000);
  expect(told).toEqual([]);
});

test('one that does not is told of, less and less often, and given up in the end', async () => {
  const { time, told } = watched(() => new Promise(() => undefined));
  await time.advance(100_000);
  expect(told).toEqual(['blocked 1000', 'blocked 2000', 'blocked 4000', 'blocked 8000', 'blocked 16000', 'stuck 20000']);
});

test('one that wakes up in time begins anew', async () => {
  let answer: () => void = () => undefined;
  const { time, told } = watched(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await time.advance(1_600);
  expect(told).toEqual(['blocked 1000']);
  for (let round = 0; round < 40; round++) {
    answer();
    await time.advance(900);
  }
  expect(told).toEqual(['blocked 1000']);
});

test('a stopped watch says nothing', async () => {
  const { time, told, watch } = watched(() => new Promise(() => undefined));
  watch.stop();
  await time.advance(100_000);
  expect(told).toEqual([]);
});
