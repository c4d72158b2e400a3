import { serde } from '@millrace/core';
import type { KeyValueSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import { LoneNode } from '../testing/lone-node.ts';
import { type ErasedTransformerSpec, type TableTransformSettings, tableTransformOperator } from './table-transform.ts';

const rows: KeyValueSpec = { kind: 'keyValue', name: 'rows', key: serde.string(), value: serde.string(), changelog: { config: {} }, queryable: true };
const trace: ErasedTransformerSpec = { create: () => (value, key) => (value === 'gone' ? null : `${String(key)}:${String(value)}`) };
const open = (settings: Partial<TableTransformSettings>): Promise<LoneNode> =>
  LoneNode.open(tableTransformOperator({ spec: trace, sendsPrior: false, store: undefined, emit: 'onUpdate', ...settings }), rows);
const put = (value: string, prior: string | null = null): ChangeCell => new ChangeCell().withPrior(value, prior);

describe('transformed values of a table', () => {
  test('deletes are transformed too, and may become rows', async () => {
    const node = await open({});
    node.process('k', put('a'));
    node.process('k', new ChangeCell().withPrior(null, 'a'));
    node.process('k', put('gone', 'a'));
    expect(node.take().map(({ value }) => (value as ChangeCell).value)).toEqual(['k:a', 'k:null', null]);
  });

  test('the row before is transformed again where none is kept', async () => {
    const node = await open({ sendsPrior: true });
    node.process('k', put('b', 'a'));
    expect(node.take()).toMatchObject([{ value: { value: 'k:b', prior: 'k:a' } }]);
  });

  test('the row before is the one kept, where rows are', async () => {
    let calls = 0;
    const counting: ErasedTransformerSpec = { create: () => (value) => `${String(value)}${++calls}` };
    const node = await open({ spec: counting, sendsPrior: true, store: 'rows' });
    node.process('k', put('a'), 5);
    node.process('k', put('b', 'a'), 6);
    expect(node.take()).toMatchObject([
      { value: { value: 'a1', priorKind: 'absent' }, at: 5 },
      { value: { value: 'b2', prior: 'a1' }, at: 6 },
    ]);
    expect(node.keyValue('rows').get('k')).toBe('b2');
  });

  test('goes on once per key and commit by default', async () => {
    const node = await open({ store: 'rows', emit: 'onCommit' });
    node.process('k', put('a'));
    node.process('k', put('b', 'a'));
    expect(node.take()).toEqual([]);
    node.commit();
    expect(node.take()).toMatchObject([{ value: { value: 'k:b' } }]);
  });
});
