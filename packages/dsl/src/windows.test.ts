import { MillraceError } from '@millrace/core';
import { expect, test } from 'vitest';
import { windowSettings, windows } from './windows.ts';

test('durations become milliseconds', () => {
  expect(windowSettings(windows.hopping({ size: '10 minutes', advance: '1m', grace: '5s' }))).toMatchObject({
    sizeMs: 600_000,
    advanceMs: 60_000,
    graceMs: 5000,
    firstStart: 0,
  });
  expect(windowSettings(windows.tumbling({ size: 5, grace: 0 }))).toMatchObject({ sizeMs: 5, advanceMs: 5, graceMs: 0 });
  // Sessions of one moment: allowed, as in Kafka Streams.
  expect(windowSettings(windows.session({ gap: 0, grace: 0 }))).toMatchObject({ gapMs: 0 });
});

test.each([
  ['a size of 0', () => windows.tumbling({ size: 0, grace: 0 })],
  ['an advance beyond the size', () => windows.hopping({ size: 5, advance: 6, grace: 0 })],
  ['an advance of 0', () => windows.hopping({ size: 5, advance: 0, grace: 0 })],
  ['a negative grace', () => windows.tumbling({ size: 5, grace: -1 })],
  ['a sliding difference of nothing', () => windows.sliding({ difference: 0, grace: 0 })],
  ['a negative session gap', () => windows.session({ gap: -1, grace: 0 })],
  ['a start before the epoch', () => windows.unlimited({ start: -1 })],
  ['no grace, from JavaScript', () => windows.tumbling({ size: 5 } as never)],
])('%s is refused', (_name, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  expect(make).toThrow(MillraceError);
});
