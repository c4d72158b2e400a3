import { serde } from '@millrace/core';
import type { WindowSpec } from '@millrace/topology';
import { expect, test } from 'vitest';
import { LoneNode } from '../testing/lone-node.ts';
import { windowSettings, windows } from '../windows.ts';
import { countFold, type ErasedFold } from './fold.ts';
import { slidingAggregateOperator } from './sliding-aggregate.ts';

const spec: WindowSpec = {
  kind: 'window',
  name: 'st',
  key: serde.string(),
  value: serde.json<string | number>(),
  changelog: false,
  queryable: false,
  windowSizeMs: 10,
  retentionMs: 1000,
  duplicates: false,
};
const open = (grace: number, fold: ErasedFold = countFold, emit: 'onUpdate' | 'onCommit' = 'onUpdate') =>
  LoneNode.open(
    slidingAggregateOperator({ store: 'st', fold, windows: windowSettings(windows.sliding({ difference: 10, grace })), sendsPrior: false, emit }),
    spec,
  );
const shown = (node: LoneNode) =>
  node.take().map(({ key, value, at }) => {
    const windowed = key as { key: string; window: { start: number; end: number } };
    return [`${windowed.key}@${windowed.window.start}-${windowed.window.end}`, (value as { value: unknown }).value, at];
  });

test('a record makes the window that ends at it, and the one behind the record before it', async () => {
  const node = await open(50);
  node.process('a', 'x', 20);
  node.process('a', 'x', 25);
  expect(shown(node)).toEqual([
    ['a@10-20', 1, 20],
    ['a@21-31', 1, 25],
    ['a@15-25', 2, 25],
  ]);
});

test('a late record makes the window behind it from what is there already', async () => {
  const node = await open(50);
  node.process('a', 'x', 25);
  node.process('a', 'x', 20);
  expect(shown(node)).toEqual([
    ['a@15-25', 1, 25],
    ['a@15-25', 2, 25],
    ['a@10-20', 1, 20],
    ['a@21-31', 1, 25],
  ]);
});

test('one window stands for all that would begin before the epoch', async () => {
  const node = await open(50);
  node.process('a', 'x', 3);
  node.process('a', 'x', 5);
  expect(shown(node)).toEqual([
    ['a@0-10', 1, 3],
    ['a@4-14', 1, 5],
    ['a@0-10', 2, 5],
  ]);
});

test('both ends belong to a window, so the last moment is not late yet', async () => {
  const node = await open(5);
  node.process('b', 'x', 115);
  node.process('a', 'x', 100);
  expect(shown(node)).toEqual([['b@105-115', 1, 115]]);
  expect(node.dropped).toEqual(['late']);
  node.process('a', 'x', 110);
  expect(shown(node)).toEqual([['a@100-110', 1, 110]]);
});

test('a record that is late for all its windows is dropped once', async () => {
  const node = await open(0);
  node.process('a', 'x', 100);
  node.process('a', 'x', 80);
  expect(node.dropped).toEqual(['late']);
});

test('records without key or value are dropped and counted', async () => {
  const node = await open(0);
  node.process(null, 'x', 1);
  node.process('a', null, 1);
  expect(node.dropped).toEqual(['nullKey', 'skipped']);
});

test('reduce begins with the first value, and onCommit shows each window once', async () => {
  const node = await open(50, { initial: undefined, add: (a, b) => `${a}${b}` }, 'onCommit');
  node.process('a', 'x', 20);
  node.process('a', 'y', 25);
  node.process('a', 'z', 25);
  node.commit();
  expect(shown(node)).toEqual([
    ['a@10-20', 'x', 20],
    ['a@21-31', 'yz', 25],
    ['a@15-25', 'xyz', 25],
  ]);
});

test('after a restart a late record does not begin windows anew whose rows are gone', async () => {
  const node = await open(50);
  node.process('b', 'x', 2000);
  node.commit();
  node.beginAgain();
  node.process('a', 'late', 900); // the retention of the store is 1000
  node.process('a', 'in time', 1980);
  expect(shown(node).map(([key]) => key)).toEqual(['b@1990-2000', 'a@1970-1980']);
  expect(node.dropped).toEqual(['late']);
});
