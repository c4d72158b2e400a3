import { MillraceError, serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { store, storeDeclaration } from './store-handle.ts';

test('a handle is a frozen value that holds what it was declared with', () => {
  const handle = store.window('per-day', {
    key: serde.string(),
    value: serde.safeInt(),
    retention: '2 days',
    changelog: { config: { 'segment.ms': 5 } },
  });
  expect(Object.isFrozen(handle)).toBe(true);
  expect(storeDeclaration(handle)).toMatchObject({
    kind: 'window',
    name: 'per-day',
    retentionMs: 172_800_000,
    changelog: { config: { 'segment.ms': '5' } },
    queryable: true,
  });
});

test('a session store has a retention like a window store', () => {
  const handle = store.session('visits', { key: serde.string(), value: serde.safeInt(), retention: '1s' });
  expect(storeDeclaration(handle)).toMatchObject({ kind: 'session', retentionMs: 1000 });
});

test('logging is on unless it is turned off', () => {
  const options = { key: serde.string(), value: serde.string() };
  expect(storeDeclaration(store.keyValue('a', options)).changelog).toEqual({ config: {} });
  expect(storeDeclaration(store.keyValue('b', { ...options, changelog: false })).changelog).toBe(false);
});

test('an illegal name and a wrong duration are refused where they are written', () => {
  const options = { key: serde.string(), value: serde.string() };
  expect(() => store.keyValue('a/b', options)).toThrow(expect.objectContaining({ code: 'ERR_NAME' }));
  expect(() => store.window('w', { ...options, retention: -1 })).toThrow(MillraceError);
});
