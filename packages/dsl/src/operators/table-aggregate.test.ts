import { serde } from '@millrace/core';
import type { KeyValueSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import { LoneNode } from '../testing/lone-node.ts';
import { type TableAggregateSettings, tableAggregateOperator, tableCountFold } from './table-aggregate.ts';
import { tableRegroupOperator } from './table-regroup.ts';

const spec: KeyValueSpec = { kind: 'keyValue', name: 's', key: serde.string(), value: serde.string(), changelog: { config: {} }, queryable: true };
const counts: KeyValueSpec = { ...spec, value: serde.safeInt() };
const trace: TableAggregateSettings['fold'] = {
  initial: () => '',
  add: (sum, value) => `${String(sum)}+${String(value)}`,
  subtract: (sum, value) => (value === 'last' ? null : `${String(sum)}-${String(value)}`),
};
const open = (fold: TableAggregateSettings['fold'], store: KeyValueSpec, more: Partial<TableAggregateSettings> = {}): Promise<LoneNode> =>
  LoneNode.open(tableAggregateOperator({ store: 's', fold, sendsPrior: false, emit: 'onUpdate', ...more }), store);
const values = (node: LoneNode): unknown[] => node.take().map((each) => (each.value as ChangeCell).value);
const added = (value: string): ChangeCell => new ChangeCell().withoutPrior(value);
const removed = (value: string): ChangeCell => new ChangeCell().withPrior(null, value);
const changed = (value: string, prior: string): ChangeCell => new ChangeCell().withPrior(value, prior);

describe('an aggregate of a regrouped table', () => {
  test('subtracts before it adds, and begins with the initial value', async () => {
    const node = await open(trace, spec);
    node.process('g', added('a'), 5);
    node.process('g', changed('b', 'a'), 3);
    expect(node.take()).toMatchObject([
      { key: 'g', value: { value: '+a' }, at: 5 },
      { key: 'g', value: { value: '+a-a+b' }, at: 5 },
    ]);
  });

  test('has nothing to subtract from where there is no row', async () => {
    const node = await open(trace, spec);
    node.process('g', removed('a'), 7);
    node.process('g', changed('b', 'a'), 6);
    expect(node.take()).toMatchObject([
      { value: { kind: 'delete' }, at: 7 },
      { value: { value: '+b' }, at: 6 },
    ]);
  });

  test('is deleted by a null from subtract, and begins anew in the same change', async () => {
    const node = await open(trace, spec, { sendsPrior: true });
    node.process('g', added('a'));
    node.process('g', removed('last'));
    expect(node.keyValue('s').get('g')).toBeUndefined();
    node.process('g', added('a'));
    node.process('g', changed('b', 'last'));
    expect(node.take().at(-1)).toMatchObject({ value: { value: '+b', prior: '+a' } });
  });

  test('counts to zero and stays there', async () => {
    const node = await open(tableCountFold, counts);
    node.process('g', added('a'));
    node.process('g', removed('a'));
    expect(values(node)).toEqual([1, 0]);
    expect(node.keyValue('s').get('g')).toBe(0);
  });

  test('reduces from the first value as it is', async () => {
    const node = await open({ ...trace, initial: undefined }, spec);
    node.process('g', added('a'));
    node.process('g', added('b'));
    node.process('g', removed('a'));
    expect(values(node)).toEqual(['a', 'a+b', 'a+b-a']);
  });

  test('goes on once per key and commit by default', async () => {
    const node = await open(tableCountFold, counts, { emit: 'onCommit' });
    node.process('g', added('a'));
    node.process('g', added('b'));
    expect(node.take()).toEqual([]);
    node.commit();
    expect(values(node)).toEqual([2]);
  });

  test('is not given a record without a key', async () => {
    const node = await open(tableCountFold, counts);
    expect(() => node.process(null, added('a'))).toThrow(/without a key/);
  });
});

describe('a regrouped row', () => {
  const byValue = (key: TableRegroupKey = serde.string()): Promise<LoneNode> =>
    LoneNode.open(tableRegroupOperator({ selector: (value) => (value === 'none' ? null : { key: (value as Row).group, value: (value as Row).value }), key }));
  type TableRegroupKey = Parameters<typeof tableRegroupOperator>[0]['key'];
  interface Row {
    readonly group: unknown;
    readonly value: unknown;
  }
  const row = (group: unknown, value: unknown): Row => ({ group, value });

  test('that stays in its group is one message', async () => {
    const node = await byValue();
    node.process('k', new ChangeCell().withPrior(row('g', 2), row('g', 1)));
    expect(node.take()).toEqual([{ key: 'g', value: { kind: 'put', value: 2, priorKind: 'present', prior: 1 }, at: 0 }]);
  });

  test('that moves leaves its old group before it enters the new one', async () => {
    const node = await byValue();
    node.process('k', new ChangeCell().withPrior(row('h', 2), row('g', 1)));
    expect(node.take()).toMatchObject([
      { key: 'g', value: { kind: 'delete', prior: 1 } },
      { key: 'h', value: { kind: 'put', value: 2, priorKind: 'notRead' } },
    ]);
  });

  test('without group or value is in no group', async () => {
    const node = await byValue();
    node.process('k', new ChangeCell().withPrior(row(null, 1), 'none'));
    node.process('k', new ChangeCell().withPrior(row('g', null), null));
    node.process('k', new ChangeCell().withPrior(null, null));
    expect(node.take()).toEqual([]);
  });

  test('under a key that is an object is compared by its bytes', async () => {
    const node = await byValue(serde.json<{ a: number }>());
    node.process('k', new ChangeCell().withPrior(row({ a: 1 }, 2), row({ a: 1 }, 1)));
    expect(node.take()).toHaveLength(1);
    node.process('k', new ChangeCell().withPrior(row({ a: 2 }, 2), row({ a: 1 }, 1)));
    expect(node.take()).toHaveLength(2);
  });
});
