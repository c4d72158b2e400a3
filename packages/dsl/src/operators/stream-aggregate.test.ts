import { serde } from '@millrace/core';
import type { KeyValueSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { LoneNode } from '../testing/lone-node.ts';
import { countFold } from './fold.ts';
import { streamAggregateOperator } from './stream-aggregate.ts';

const spec: KeyValueSpec = { kind: 'keyValue', name: 'st', key: serde.string(), value: serde.json<string | number>(), changelog: false, queryable: false };
const concat = { initial: () => '', add: (before: unknown, value: unknown) => (value === 'gone' ? null : `${before}${value}`) };
const open = (emit: 'onUpdate' | 'onCommit' | 'never', sendsPrior = false) =>
  LoneNode.open(streamAggregateOperator({ store: 'st', fold: concat, sendsPrior, emit }), spec);

describe('onUpdate', () => {
  test('every record shows, with the largest time of its row', async () => {
    const node = await open('onUpdate');
    node.process('a', '1', 10);
    node.process('a', '2', 4);
    expect(node.take().map(({ value, at }) => [(value as { value: unknown }).value, at])).toEqual([
      ['1', 10],
      ['12', 10],
    ]);
  });

  test('the first change shows the initial value as the one before', async () => {
    const node = await open('onUpdate', true);
    node.process('a', '1');
    node.process('a', '2');
    expect(node.take().map(({ value }) => value)).toEqual([
      { kind: 'put', value: '1', priorKind: 'present', prior: '' },
      { kind: 'put', value: '12', priorKind: 'present', prior: '1' },
    ]);
  });
});

describe('onCommit', () => {
  test('only the last value of each key shows, in order of last write', async () => {
    const node = await open('onCommit');
    node.process('a', '1', 1);
    node.process('b', '1', 2);
    node.process('a', '2', 3);
    expect(node.take()).toEqual([]);
    node.commit();
    expect(node.take().map(({ key, value, at }) => [key, (value as { value: unknown }).value, at])).toEqual([
      ['b', '1', 2],
      ['a', '12', 3],
    ]);
    node.commit();
    expect(node.take()).toEqual([]);
  });

  test('the row before is the one of the last commit', async () => {
    const node = await open('onCommit', true);
    node.process('a', '1');
    node.commit();
    node.process('a', '2');
    node.process('a', '3');
    node.commit();
    expect(node.take().map(({ value }) => value)).toEqual([
      { kind: 'put', value: '1', priorKind: 'absent', prior: null },
      { kind: 'put', value: '123', priorKind: 'present', prior: '1' },
    ]);
  });

  test('a row that came and went between two commits is never seen; one that was seen is deleted', async () => {
    const node = await open('onCommit');
    node.process('a', '1');
    node.process('a', 'gone');
    node.commit();
    expect(node.take()).toEqual([]);
    node.process('a', '1');
    node.commit();
    node.process('a', 'gone');
    node.commit();
    expect(node.take().map(({ value }) => (value as { kind: string }).kind)).toEqual(['put', 'delete']);
  });
});

test('records without key or value are dropped and counted', async () => {
  const node = await open('onUpdate');
  node.process(null, '1');
  node.process('a', null);
  expect(node.dropped).toEqual(['nullKey', 'skipped']);
  expect(node.take()).toEqual([]);
});

test('a result nobody listens to is kept, not forwarded', async () => {
  const node = await LoneNode.open(streamAggregateOperator({ store: 'st', fold: countFold, sendsPrior: false, emit: 'never' }), spec);
  node.process('a', 'x');
  node.process('a', 'y');
  node.commit();
  expect(node.take()).toEqual([]);
  expect(node.keyValue('st').get('a')).toBe(2);
});
