import { expect, test } from 'vitest';
import { sleep } from '../timers.ts';
import { virtualTime } from './virtual-time.ts';

test('timers run in order of due time, then of creation, and see the time they were due', async () => {
  const time = virtualTime({ startMs: 1000 });
  const log: string[] = [];
  const note = (name: string) => () => void log.push(`${name}@${time.clock.nowMs()}`);
  time.timers.after(20, note('c'));
  time.timers.after(10, note('a'));
  time.timers.after(10, note('b'));
  await time.advance(15);
  expect(log).toEqual(['a@1010', 'b@1010']);
  expect(time.clock.nowMs()).toBe(1015);
  expect(time.clock.monotonicMs()).toBe(15);
  await time.advance(5);
  expect(log).toEqual(['a@1010', 'b@1010', 'c@1020']);
});

test('promise chains of any depth end before the next timer runs', async () => {
  const time = virtualTime();
  const log: string[] = [];
  const chain = async (): Promise<void> => {
    for (let step = 0; step < 50; step++) await Promise.resolve();
    log.push('chain');
  };
  time.timers.after(1, () => void chain());
  time.timers.after(1, () => void log.push('next'));
  await time.advance(1);
  expect(log).toEqual(['chain', 'next']);
});

test('a timer made by a timer runs in the same advance when it is due', async () => {
  const time = virtualTime();
  const log: number[] = [];
  time.timers.after(5, () => time.timers.after(5, () => void log.push(time.clock.nowMs())));
  await time.advance(10);
  expect(log).toEqual([10]);
});

test('a cancelled timer does not run, and a periodic one stops, also from within', async () => {
  const time = virtualTime();
  let runs = 0;
  time.timers.after(1, () => void (runs += 100)).cancel();
  const periodic = time.timers.every(10, () => {
    if (++runs === 3) periodic.cancel();
  });
  await time.advance(100);
  expect(runs).toBe(3);
});

test('sleep and yield resolve when time is driven', async () => {
  const time = virtualTime();
  const log: string[] = [];
  void sleep(time.timers, 1000).then(() => log.push('slept'));
  void time.timers.yield().then(() => log.push('yielded'));
  await time.advance(999);
  expect(log).toEqual(['yielded']);
  await time.advance(1);
  expect(log).toEqual(['yielded', 'slept']);
});

test('runUntilIdle goes to the last one-shot timer and ignores periodic ones', async () => {
  const time = virtualTime();
  let beats = 0;
  time.timers.every(10, () => void beats++);
  let done = false;
  void sleep(time.timers, 35).then(() => {
    done = true;
  });
  await time.runUntilIdle();
  expect(done).toBe(true);
  expect(beats).toBe(3);
  expect(time.clock.monotonicMs()).toBe(35);
});

test('runUntilIdle refuses to run for ever', async () => {
  const time = virtualTime();
  const again = (): void => void time.timers.after(1, again);
  again();
  await expect(time.runUntilIdle(50)).rejects.toThrow('still busy after 50 timers');
});

test('the wall clock may jump while the monotonic one goes on', async () => {
  const time = virtualTime({ startMs: 5000 });
  await time.advance(10);
  time.jumpWallClock(-3000);
  expect(time.clock.nowMs()).toBe(2010);
  expect(time.clock.monotonicMs()).toBe(10);
});

test('a frozen share runs what fell due when it thaws, in order, and one that has ended never', async () => {
  const time = virtualTime();
  const [frozen, ended] = [time.share(), time.share()];
  const log: string[] = [];
  frozen.timers.after(10, () => void log.push(`a@${frozen.clock.monotonicMs()}`));
  frozen.timers.after(20, () => void log.push(`b@${frozen.clock.monotonicMs()}`));
  frozen.timers.after(30, () => void log.push('cancelled')).cancel();
  ended.timers.after(10, () => void log.push('never'));
  frozen.freeze();
  ended.end();
  expect(ended.waiting).toBe(0);
  await time.advance(100);
  expect(log).toEqual([]);
  frozen.thaw();
  expect(frozen.waiting).toBe(2);
  await time.advance(0);
  expect(log).toEqual(['a@100', 'b@100']);
  ended.timers.after(1, () => void log.push('never'));
  await time.advance(10);
  expect(log).toEqual(['a@100', 'b@100']);
});

test('shares have wall clocks of their own over one monotonic time', async () => {
  const time = virtualTime({ startMs: 1000 });
  const [one, other] = [time.share(), time.share()];
  one.jumpWallClock(-500);
  await time.advance(5);
  expect([one.clock.nowMs(), other.clock.nowMs(), time.clock.nowMs()]).toEqual([505, 1005, 1005]);
  expect(one.clock.monotonicMs()).toBe(other.clock.monotonicMs());
});

test('timers out of the middle leave the order of the others', async () => {
  const time = virtualTime();
  const log: number[] = [];
  const made = Array.from({ length: 200 }, (_, index) => {
    const due = (index * 7919) % 211;
    return { due, timer: time.timers.after(due, () => void log.push(due)) };
  });
  for (const { due, timer } of made) if (due % 3 === 0) timer.cancel();
  await time.advance(300);
  expect(log).toEqual(
    made
      .map(({ due }) => due)
      .filter((due) => due % 3 !== 0)
      .sort((a, b) => a - b),
  );
});

test('runUntil lets every chain end between two timers, and says whether it is over, idle or busy', async () => {
  const time = virtualTime();
  const log: string[] = [];
  const chain = async (name: string): Promise<void> => {
    for (let step = 0; step < 50; step++) await Promise.resolve();
    log.push(name);
  };
  for (let n = 1; n <= 300; n++)
    time.timers.after(n, () => {
      log.push(`timer ${n}`);
      void chain(`chain ${n}`);
    });
  expect(await time.runUntil(() => log.length >= 4, 10)).toBe('over');
  expect(log).toEqual(['timer 1', 'chain 1', 'timer 2', 'chain 2']);
  expect(await time.runUntil(() => false, 10)).toBe('busy');
  expect(log.slice(-2)).toEqual(['timer 12', 'chain 12']);
  expect(await time.runUntil(() => false, 1000)).toBe('idle');
  expect(log).toHaveLength(600);
});
