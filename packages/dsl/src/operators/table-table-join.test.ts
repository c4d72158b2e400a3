import { type ErasedSerde, serde } from '@millrace/core';
import type { StoreSpec } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { ChangeCell } from '../change.ts';
import { LoneNode } from '../testing/lone-node.ts';
import { readStored } from './row-readers.ts';
import { tableJoinSideOperator } from './table-table-join.ts';

const text = serde.string() as ErasedSerde;
const other: StoreSpec = { kind: 'keyValue', name: 'other', key: text, value: text, changelog: false, queryable: false };
const view = {
  stores: ['other'],
  open: (context: Parameters<typeof readStored>[0], asOf?: Parameters<typeof readStored>[2]) => readStored(context, 'other', asOf),
};
const joiner = (own: unknown, there: unknown): unknown => `${String(own)}+${String(there)}`;

function side(aloneHere: boolean, aloneThere: boolean): Promise<LoneNode> {
  return LoneNode.open(tableJoinSideOperator({ view, joiner, aloneHere, aloneThere, sendsPrior: true }), other);
}
const change = (value: string | null, prior: string | null): ChangeCell => new ChangeCell().withPrior(value, prior);

describe('a side of a table join', () => {
  test('inner: nothing without partner, a delete with one; the time is the later of both', async () => {
    const node = await side(false, false);
    node.process('k', change('A', null), 5);
    expect(node.take()).toEqual([]);
    node.keyValue('other').write('k', 'x', 9);
    node.process('k', change('B', 'A'), 5);
    node.process('k', change(null, 'B'), 12);
    expect(node.take()).toEqual([
      { key: 'k', value: { kind: 'put', value: 'B+x', priorKind: 'present', prior: 'A+x' }, at: 9 },
      { key: 'k', value: { kind: 'delete', value: null, priorKind: 'present', prior: 'B+x' }, at: 12 },
    ]);
  });

  test('alone here: a delete of nothing shows nothing, a delete of a row does', async () => {
    const node = await side(true, false);
    node.process('k', change(null, null), 1);
    expect(node.take()).toEqual([]);
    node.process('k', change('A', null), 2);
    node.process('k', change(null, 'A'), 3);
    expect(node.take().map(({ value }) => value)).toEqual([
      { kind: 'put', value: 'A+undefined', priorKind: 'absent', prior: null },
      { kind: 'delete', value: null, priorKind: 'present', prior: 'A+undefined' },
    ]);
  });

  test('alone there: a delete here leaves the other side alone', async () => {
    const node = await side(true, true);
    node.keyValue('other').write('k', 'x', 1);
    node.process('k', change(null, 'A'), 2);
    expect(node.take().map(({ value }) => value)).toEqual([{ kind: 'put', value: 'undefined+x', priorKind: 'present', prior: 'A+x' }]);
  });

  test('a change of the other side that waits for the commit is not seen before it is handed on', async () => {
    const node = await side(false, false);
    const there = node.keyValue('other');
    there.keepPrior();
    there.write('k', 'x', 1);
    there.forEachOpen(() => undefined); // handed on
    there.write('k', null, 7); // waits
    node.process('k', change(null, 'A'), 5);
    expect(node.take()).toEqual([{ key: 'k', value: { kind: 'delete', value: null, priorKind: 'present', prior: 'A+x' }, at: 5 }]);
    there.forEachOpen(() => undefined);
    node.process('k', change('B', null), 8);
    expect(node.take()).toEqual([]);
  });
});
