import { serde } from '@millrace/core';
import type { SessionSpec } from '@millrace/topology';
import { expect, test } from 'vitest';
import { LoneNode } from '../testing/lone-node.ts';
import { windowSettings, windows } from '../windows.ts';
import { type ErasedSessionFold, sessionAggregateOperator } from './session-aggregate.ts';

const spec: SessionSpec = {
  kind: 'session',
  name: 'st',
  key: serde.string(),
  value: serde.json<string>(),
  changelog: false,
  queryable: false,
  retentionMs: 1000,
};
const text: ErasedSessionFold = { initial: () => '', add: (a, v) => `${a}${v}`, merge: (a, b) => `${a}${b}` };
const open = (grace: number, fold = text, emit: 'onUpdate' | 'onCommit' = 'onUpdate', sendsPrior = false) =>
  LoneNode.open(sessionAggregateOperator({ store: 'st', fold, windows: windowSettings(windows.session({ gap: 10, grace })), sendsPrior, emit }), spec);
const shown = (node: LoneNode) =>
  node.take().map(({ key, value, at }) => {
    const { key: inner, window } = key as { key: string; window: { start: number; end: number } };
    return [`${inner}@${window.start}-${window.end}`, (value as { value: unknown }).value, at];
  });

test('a record at exactly the gap joins a session, one ms later it begins its own', async () => {
  const node = await open(100);
  node.process('a', '1', 100);
  node.process('a', '2', 110);
  node.process('a', '3', 121);
  expect(shown(node)).toEqual([
    ['a@100-100', '1', 100],
    ['a@100-100', null, 100],
    ['a@100-110', '12', 110],
    ['a@121-121', '3', 121],
  ]);
});

test('a late record between two sessions makes one of them, and both are deleted first', async () => {
  const node = await open(100);
  node.process('a', '1', 100);
  node.process('a', '3', 118);
  node.take();
  node.process('a', '2', 109);
  expect(shown(node)).toEqual([
    ['a@100-100', null, 100],
    ['a@118-118', null, 118],
    ['a@100-118', '132', 118],
  ]);
});

test('a second record at the same instant overwrites the session without a delete', async () => {
  const node = await open(100);
  node.process('a', '1', 100);
  node.process('a', '2', 100);
  expect(shown(node)).toEqual([
    ['a@100-100', '1', 100],
    ['a@100-100', '12', 100],
  ]);
});

test('a late record is dropped and counted unless it touches a session that is still open', async () => {
  const node = await open(0);
  node.process('b', 'x', 100);
  node.process('a', '1', 90);
  node.process('a', '2', 85);
  node.process('c', '3', 89);
  expect(shown(node).map(([key]) => key)).toEqual(['b@100-100', 'a@90-90', 'a@90-90', 'a@85-90']);
  expect(node.dropped).toEqual(['late']);
});

test('deletes carry the row before when somebody asks', async () => {
  const node = await open(0, text, 'onUpdate', true);
  node.process('a', '1', 100);
  node.process('a', '2', 105);
  expect(node.take().map(({ value }) => value)).toEqual([
    { kind: 'put', value: '1', priorKind: 'absent', prior: null },
    { kind: 'delete', value: null, priorKind: 'present', prior: '1' },
    { kind: 'put', value: '12', priorKind: 'absent', prior: null },
  ]);
});

test('onCommit shows only what is left at the commit; sessions that came and went in between are never seen', async () => {
  const node = await open(100, text, 'onCommit');
  node.process('a', '1', 100);
  node.process('a', '2', 105);
  node.commit();
  expect(shown(node)).toEqual([['a@100-105', '12', 105]]);
  node.process('a', '3', 110);
  node.commit();
  expect(shown(node)).toEqual([
    ['a@100-105', null, 105],
    ['a@100-110', '123', 110],
  ]);
});

test('reduce takes the first value as it is and combines sessions like values', async () => {
  const combine = (a: unknown, b: unknown): unknown => `${a}+${b}`;
  const node = await open(100, { initial: undefined, add: combine, merge: combine });
  node.process('a', '1', 100);
  node.process('a', '3', 118);
  node.process('a', '2', 109);
  expect(shown(node).at(-1)).toEqual(['a@100-118', '1+3+2', 118]);
});

test('null keys are dropped, null values reach the fold, and null deletes the session', async () => {
  const node = await open(100, { ...text, add: (_a, v) => v });
  node.process(null, '1', 100);
  node.process('a', '1', 100);
  node.process('a', null, 100);
  node.process('a', '2', 105);
  expect(node.dropped).toEqual(['nullKey']);
  expect(shown(node)).toEqual([
    ['a@100-100', '1', 100],
    ['a@100-100', null, 100],
    ['a@105-105', '2', 105],
  ]);
});

test('after a restart a late record does not begin a session anew that has closed', async () => {
  const node = await open(0);
  node.process('b', 'x', 2000);
  node.commit();
  node.beginAgain();
  node.process('a', 'late', 1989);
  node.process('a', 'in time', 1990);
  expect(shown(node).map(([key]) => key)).toEqual(['b@2000-2000', 'a@1990-1990']);
  expect(node.dropped).toEqual(['late']);
});
