import { expect, test } from 'vitest';
import { type Duration, durationMs } from './duration.ts';

test.each<[Duration, number]>([
  [0, 0],
  [1500, 1500],
  ['250ms', 250],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['1 second', 1000],
  ['5 minutes', 300_000],
  ['1 hour', 3_600_000],
  ['7 days', 604_800_000],
])('%s is %d ms', (duration, ms) => {
  expect(durationMs(duration, 'grace')).toBe(ms);
});

test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 'soon', '5 m', '5mins', '', '-5s', '5 minute s'])(
  '%s is refused with the name of the option',
  (duration) => {
    expect(() => durationMs(duration as Duration, 'grace')).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', where: { option: 'grace' }, message: expect.stringContaining('grace') }),
    );
  },
);
