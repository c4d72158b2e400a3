import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serde } from '@millrace/core';
import { META_STORE, StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, StagedWindowStore, WriteBatch } from '@millrace/state';
import { afterAll, expect, test } from 'vitest';
import { KEY_BYTES_MAX } from './lmdb-database.ts';
import { lmdbEngine } from './lmdb-engine.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-lmdb-keys-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('a key that the engine cannot hold is refused when it is written, where a policy can judge it, and not after the commit', async () => {
  const database = await lmdbEngine.open({ directory: root, stores: [META_STORE, 's', 'w', 'e', 'v'], cacheBytes: 0 });
  const options = { key: serde.string() as never, value: serde.string() as never, database, currentTimestamp: () => 5 };
  const rows = new StagedKeyValueStore<string, string>({ ...options, name: 's' });
  const windows = new StagedWindowStore<string, string>({ ...options, name: 'w', windowSizeMs: 10, retentionMs: 100 });
  const sessions = new StagedSessionStore<string, string>({ ...options, name: 'e', retentionMs: 100 });
  const versions = new StagedVersionedStore<string, string>({ ...options, name: 'v', historyMs: 100 });
  const long = 'x'.repeat(KEY_BYTES_MAX);
  const refused = expect.objectContaining({ code: 'ERR_RECORD_TOO_LARGE', message: expect.stringContaining('rocksdb') });
  expect(() => rows.put(`${long}x`, '1')).toThrow(refused);
  expect(() => windows.put(long, '1', 0)).toThrow(refused);
  expect(() => sessions.put({ key: long, window: { start: 0, end: 0 } }, '1')).toThrow(refused);
  expect(() => versions.put(long, '1', 0)).toThrow(refused);
  expect([rows.get(`${long}x`), windows.get(long, 0), sessions.get(long, { start: 0, end: 0 }), versions.get(long)]).toEqual(Array(4).fill(undefined));
  rows.put(long, '1');
  const all = [rows, windows, sessions, versions];
  for (const store of all) store.close(undefined);
  for (const store of all) store.committed();
  const batch = new WriteBatch();
  for (const store of all) store.settle(batch);
  database.write(batch);
  for (const store of all) store.settled();
  expect(rows.get(long)).toBe('1');
  await database.close();
});
