import { expect, test } from 'vitest';
import { Punctuations } from './punctuations.ts';

test('a timer by stream time fires on the first record, then at multiples of its period', () => {
  const timers = new Punctuations();
  const fired: number[] = [];
  timers.schedule(10, 'streamTime', (at) => fired.push(at), 0);
  for (const time of [-1, 3, 9, 10, 19, 20]) timers.fireStreamTime(time);
  expect(fired).toEqual([3, 10, 20]);
});

test('missed firings are not made up', () => {
  const timers = new Punctuations();
  const fired: number[] = [];
  timers.schedule(10, 'wallClock', (at) => fired.push(at), 100);
  for (const time of [109, 110, 155, 159, 160]) timers.fireWallClock(time);
  expect(fired).toEqual([110, 155, 160]);
});

test('a wall clock timer with a start is aligned to it', () => {
  const timers = new Punctuations();
  const fired: number[] = [];
  timers.schedule(60, 'wallClock', (at) => fired.push(at), 130, 0);
  expect(timers.nextWallClockMs).toBe(180);
  timers.fireWallClock(180);
  expect(fired).toEqual([180]);
});

test('cancel takes effect at once, also from inside a callback of the same moment', () => {
  const timers = new Punctuations();
  const fired: string[] = [];
  timers.schedule(
    5,
    'wallClock',
    () => {
      fired.push('first');
      second.cancel();
    },
    0,
  );
  const second = timers.schedule(5, 'wallClock', () => fired.push('second'), 0);
  timers.fireWallClock(5);
  expect(fired).toEqual(['first']);
});

test('of two that fall due together, the one that has waited longer goes first', () => {
  const timers = new Punctuations();
  const fired: string[] = [];
  timers.schedule(10, 'streamTime', (at) => fired.push(`a${at}`), 0);
  timers.schedule(5, 'streamTime', (at) => fired.push(`b${at}`), 0);
  for (const time of [0, 5, 10]) timers.fireStreamTime(time);
  expect(fired).toEqual(['a0', 'b0', 'b5', 'a10', 'b10']);
});

test('one that is made while others fire, and is due, fires as well', () => {
  const timers = new Punctuations();
  const fired: string[] = [];
  const first = timers.schedule(
    10,
    'streamTime',
    (at) => {
      fired.push(`first${at}`);
      first.cancel();
      timers.schedule(10, 'streamTime', (later) => fired.push(`second${later}`), 0);
    },
    0,
  );
  timers.fireStreamTime(7);
  expect(fired).toEqual(['first7', 'second7']);
});

test('many cancelled timers are not kept', () => {
  const timers = new Punctuations();
  for (let at = 0; at < 1000; at++) timers.schedule(1000, 'wallClock', () => undefined, at).cancel();
  expect(timers.nextWallClockMs).toBe(Number.POSITIVE_INFINITY);
});

test('a period below a millisecond is refused', () => {
  expect(() => new Punctuations().schedule(0, 'wallClock', () => undefined, 0)).toThrow(/least is 1 ms/);
});

test('a wall clock that is set back makes no timer wait longer than its period', () => {
  const punctuations = new Punctuations();
  const fired: string[] = [];
  punctuations.schedule(100, 'wallClock', (at) => void fired.push(`plain@${at}`), 1_000_000);
  punctuations.schedule(100, 'wallClock', (at) => void fired.push(`aligned@${at}`), 1_000_000, 50);
  punctuations.schedule(100, 'wallClock', (at) => void fired.push(`later@${at}`), 1_000_000, 2_000_000);
  punctuations.wallClockIs(1_000_050);
  expect(punctuations.fireWallClock(1_000_050)).toBe(1);
  punctuations.wallClockIs(400_000);
  expect(punctuations.fireWallClock(400_000)).toBe(0);
  punctuations.wallClockIs(400_100);
  expect(punctuations.fireWallClock(400_100)).toBe(2);
  expect(fired).toEqual(['aligned@1000050', 'aligned@400100', 'plain@400100']);
});
