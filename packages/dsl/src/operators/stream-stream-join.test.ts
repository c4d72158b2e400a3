import { type ErasedSerde, serde } from '@millrace/core';
import type { StoreSpec } from '@millrace/topology';
import { expect, test } from 'vitest';
import { LoneNode } from '../testing/lone-node.ts';
import { streamJoinSideOperator } from './stream-stream-join.ts';
import { SharedUnmatchedRows } from './unmatched-rows.ts';
import { unmatchedKeySerde, unmatchedValuesSerde } from './unmatched-serdes.ts';

const text = serde.string() as ErasedSerde;
const common = { changelog: false, queryable: false } as const;
const buffer: StoreSpec = { kind: 'window', name: 'other', key: text, value: text, ...common, windowSizeMs: 10, retentionMs: 10, duplicates: true };
const waiting: StoreSpec = { kind: 'keyValue', name: 'waiting', key: unmatchedKeySerde(text), value: unmatchedValuesSerde(text, text), ...common };
const window = { beforeMs: 5, afterMs: 5, graceMs: 0 };

function leftSide(): Promise<LoneNode> {
  const unmatched = new SharedUnmatchedRows('waiting', window);
  const joiner = (l: unknown, r: unknown): unknown => `${String(l)}+${String(r)}`;
  return LoneNode.open(
    streamJoinSideOperator({ isLeft: true, otherStore: 'other', joiner, window, leftAlone: true, rightAlone: false, unmatched }),
    buffer,
    waiting,
  );
}

test('a record without partner comes once, with its own time, when stream time has passed its window', async () => {
  const node = await leftSide();
  node.process('a', 'A', 10);
  node.process('b', 'B', 15);
  expect(node.take()).toEqual([]);
  node.process('c', 'C', 16);
  expect(node.take()).toEqual([{ key: 'a', value: 'A+undefined', at: 10 }]);
  node.process('d', 'D', 17);
  expect(node.take()).toEqual([]);
});

test('a record that comes when its window is over goes on alone at once', async () => {
  const node = await leftSide();
  node.process('a', 'A', 20);
  node.process('b', 'B', 14);
  expect(node.take()).toEqual([{ key: 'b', value: 'B+undefined', at: 14 }]);
});

test('records without key stand alone at once, records without value are dropped', async () => {
  const node = await leftSide();
  node.process(null, 'A', 1);
  node.process('a', null, 2);
  node.process(null, null, 3);
  expect(node.take()).toEqual([{ key: null, value: 'A+undefined', at: 1 }]);
  expect(node.dropped).toEqual(['skipped', 'nullKey']);
});
