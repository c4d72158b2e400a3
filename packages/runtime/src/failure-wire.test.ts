import { createHeaders, MillraceError, noHeaders, virtualTime } from '@millrace/core';
import type { Failure } from '@millrace/topology';
import { expect, test } from 'vitest';
import { createFailureGate, failureFromWire, failureToWire } from './failure-wire.ts';

const failure: Failure = {
  stage: 'process',
  error: new MillraceError('ERR_SCHEMA', 'no match', { path: 'a.b' }, new TypeError('deep')),
  node: 'n',
  taskId: '0_1',
  timestamp: 5,
  headers: createHeaders([['h', Buffer.from('x')]]),
  source: { topic: 'in', partition: 1, offset: 7 },
  rawKey: Buffer.from('k'),
  rawValue: null,
  deliveries: 2,
};

test('a failure comes whole through structured clone: the error with code, place and cause, the headers as a list', () => {
  const back = failureFromWire(structuredClone(failureToWire(failure)));
  expect(back).toMatchObject({ stage: 'process', node: 'n', source: { offset: 7 }, deliveries: 2, rawValue: null });
  expect(MillraceError.is(back.error) && [back.error.code, back.error.where, (back.error.cause as Error).message]).toEqual([
    'ERR_SCHEMA',
    { path: 'a.b' },
    'deep',
  ]);
  expect([...back.headers].map(([name, value]) => [name, Buffer.from(value ?? []).toString()])).toEqual([['h', 'x']]);
  expect([...failureFromWire(failureToWire({ ...failure, headers: noHeaders })).headers]).toEqual([]);
});

test('at most a hundred a second are told', async () => {
  const { clock, advance } = virtualTime();
  const gate = createFailureGate(clock);
  const count = () => Array.from({ length: 150 }, () => gate()).filter(Boolean).length;
  expect(count()).toBe(100);
  await advance(999);
  expect(count()).toBe(0);
  await advance(1);
  expect(count()).toBe(100);
});
