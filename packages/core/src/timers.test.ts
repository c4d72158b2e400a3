import { expect, test } from 'vitest';
import { seededChance } from './adapters/seeded-chance.ts';
import { virtualTime } from './adapters/virtual-time.ts';
import { backoffMs } from './chance.ts';
import { sleep } from './timers.ts';

test('an aborted signal ends a sleep at once and leaves no timer', async () => {
  const time = virtualTime();
  const stop = new AbortController();
  let awake = false;
  void sleep(time.timers, 1000, stop.signal).then(() => {
    awake = true;
  });
  stop.abort();
  await time.advance(0);
  expect(awake).toBe(true);
  await time.runUntilIdle();
  expect(time.clock.monotonicMs()).toBe(0);
  await sleep(time.timers, 1000, stop.signal);
});

test('back-off doubles from the first to the largest, within a fifth of chance', () => {
  const chance = seededChance(5);
  for (let attempt = 1; attempt < 40; attempt++) {
    const plain = Math.min(5000, 100 * 2 ** Math.min(30, attempt - 1));
    const ms = backoffMs(chance, attempt, 100, 5000);
    expect(ms).toBeGreaterThanOrEqual(Math.floor(plain * 0.8));
    expect(ms).toBeLessThanOrEqual(Math.ceil(plain * 1.2));
  }
});
