import { expect, test } from 'vitest';
import { IdleClock } from './idle-clock.ts';

test('time moves by as much as the silence has lasted, once per period', () => {
  const clock = new IdleClock(60);
  clock.silent(1000, 500);
  expect(clock.dueMs).toBe(1060);
  expect(clock.moveTo(1059)).toBeUndefined();
  expect(clock.moveTo(1070)).toBe(570);
  expect(clock.dueMs).toBe(1130);
  clock.silent(1080, 570); // the same silence
  expect(clock.moveTo(1129)).toBeUndefined();
  expect(clock.moveTo(1130)).toBe(630);
});

test('each record ends a silence; the next begins where time stands then', () => {
  const clock = new IdleClock(60);
  clock.silent(1000, 500);
  clock.disturbed();
  expect([clock.dueMs, clock.sinceMs, clock.moveTo(9999)]).toEqual([Number.POSITIVE_INFINITY, undefined, undefined]);
  clock.silent(2000, 800);
  expect(clock.moveTo(2060)).toBe(860);
});

test('without any record there is no time to move', () => {
  const clock = new IdleClock(60);
  clock.silent(1000, -1);
  expect([clock.sinceMs, clock.moveTo(9999)]).toEqual([undefined, undefined]);
});

test('a clock that is set back begins the silence anew', () => {
  const clock = new IdleClock(60);
  clock.silent(1000, 500);
  clock.silent(400, 500);
  expect(clock.dueMs).toBe(460);
  expect(clock.moveTo(460)).toBe(560);
});
