import { expect, test } from 'vitest';
import { tumblingWindowStart } from './windowed.ts';

test.each([
  [0, 0],
  [9, 0],
  [10, 10],
  [-1, -10],
  [-10, -10],
  [-11, -20],
])('the 10 ms window that holds %d starts at %d', (at, start) => {
  expect(tumblingWindowStart(at, 10)).toBe(start);
});
