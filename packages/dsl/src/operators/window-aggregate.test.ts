import { serde } from '@millrace/core';
import type { WindowSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { LoneNode } from '../testing/lone-node.ts';
import { type TimeWindows, windowSettings, windows } from '../windows.ts';
import { countFold } from './fold.ts';
import { windowAggregateOperator } from './window-aggregate.ts';
import { firstWindowStart } from './window-starts.ts';

const spec: WindowSpec = {
  kind: 'window',
  name: 'st',
  key: serde.string(),
  value: serde.json<string | number>(),
  changelog: false,
  queryable: false,
  windowSizeMs: 10,
  retentionMs: 100,
  duplicates: false,
};
const open = (given: TimeWindows, emit: 'onUpdate' | 'onCommit' = 'onUpdate') =>
  LoneNode.open(windowAggregateOperator({ store: 'st', fold: countFold, windows: windowSettings(given), sendsPrior: false, emit }), spec);
const shown = (node: LoneNode) =>
  node.take().map(({ key, value, at }) => {
    const windowed = key as { key: string; window: { start: number; end: number } };
    return [`${windowed.key}@${windowed.window.start}-${windowed.window.end}`, (value as { value: unknown }).value, at];
  });

test('a record later than window end + grace is dropped and counted; at equality too', async () => {
  const node = await open(windows.tumbling({ size: 10, grace: 5 }));
  node.process('a', 'x', 1);
  node.process('b', 'x', 14);
  node.process('a', 'x', 2);
  node.process('b', 'x', 15);
  node.process('a', 'x', 3);
  expect(shown(node)).toEqual([
    ['a@0-10', 1, 1],
    ['b@10-20', 1, 14],
    ['a@0-10', 2, 2],
    ['b@10-20', 2, 15],
  ]);
  expect(node.dropped).toEqual(['late']);
});

test('a record updates every hopping window that holds it, the oldest first', async () => {
  const node = await open(windows.hopping({ size: 10, advance: 4, grace: 0 }));
  node.process('a', 'x', 9);
  expect(shown(node)).toEqual([
    ['a@0-10', 1, 9],
    ['a@4-14', 1, 9],
    ['a@8-18', 1, 9],
  ]);
});

test('an unlimited window takes everything from its start on, and nothing before', async () => {
  const node = await open(windows.unlimited({ start: 5 }));
  for (const at of [4, 5, 1_000_000, 6]) node.process('a', 'x', at);
  expect(shown(node).map(([key]) => key)).toEqual(Array(3).fill(`a@5-${Number.MAX_SAFE_INTEGER}`));
  expect(node.dropped).toEqual([]);
});

test('onCommit shows each window once, under its windowed key', async () => {
  const node = await open(windows.tumbling({ size: 10, grace: 100 }), 'onCommit');
  node.process('a', 'x', 1);
  node.process('a', 'x', 11);
  node.process('a', null, 2);
  node.commit();
  expect(shown(node)).toEqual([
    ['a@10-20', 1, 11],
    ['a@0-10', 2, 2],
  ]);
});

describe('the oldest window of a record', () => {
  test.each([
    [10, 10],
    [10, 4],
    [7, 3],
    [60, 1],
  ])('is the one a search from the epoch finds first (size %i, advance %i)', (size, advance) => {
    for (let at = 0; at < 200; at++) {
      let naive = 0;
      while (naive + size <= at) naive += advance;
      expect(firstWindowStart(at, size, advance)).toBe(naive);
    }
  });
});

test('after a restart a late record does not begin a window anew whose row is gone', async () => {
  const node = await open(windows.tumbling({ size: 10, grace: 5 }));
  node.process('b', 'x', 2000);
  node.commit();
  node.beginAgain();
  node.process('a', 'late', 1880); // the retention of the store is 100
  node.process('a', 'in time', 1999);
  expect(shown(node).map(([key]) => key)).toEqual(['b@2000-2010', 'a@1990-2000']);
  expect(node.dropped).toEqual(['late']);
});
