import { describe, expect, test } from 'vitest';
import { Rate } from './rate.ts';

describe('a rate', () => {
  test.each([
    [1, 1],
    [5, 1],
    [100, 1],
    [55_000_000, 1_000_000],
    [100_000_000, 1_000_000],
  ])('requests of %d under a quota of %d a second, each after the quiet of the one before, keep the quota', (size, perSecond) => {
    const rate = new Rate(0);
    let nowMs = 0;
    let total = 0;
    const endMs = 3_600_000;
    while (nowMs < endMs) {
      total += size;
      nowMs += Math.max(1, rate.record(nowMs, size, perSecond));
    }
    // What one request and one span may bring beyond it.
    expect(total / (nowMs / 1_000)).toBeLessThan(perSecond * 1.25);
  });
});
