import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineConformance, WriteBatch } from '@millrace/state';
import { afterAll, expect, test } from 'vitest';
import { KEY_BYTES_MAX } from './lmdb-database.ts';
import { lmdbEngine } from './lmdb-engine.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-lmdb-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
engineConformance({ engine: lmdbEngine, freshDirectory: () => join(root, String(++folders)), test, keyBytesMax: 1978 });

test('a key longer than LMDB takes is refused with a way out, and nothing of its batch is written', async () => {
  const database = await lmdbEngine.open({ directory: join(root, 'long'), stores: ['one'], cacheBytes: 0 });
  const batch = new WriteBatch();
  batch.put('one', Buffer.from('a'), Buffer.from('1'));
  batch.put('one', Buffer.alloc(KEY_BYTES_MAX + 1), Buffer.from('1'));
  expect(() => database.write(batch)).toThrow(expect.objectContaining({ code: 'ERR_RECORD_TOO_LARGE', message: expect.stringContaining('rocksdb') }));
  expect(database.store('one').get(Buffer.from('a'))).toBeUndefined();
  await database.close();
});

test('many expired rows leave in several batches, and the range is empty in the end', async () => {
  const database = await lmdbEngine.open({ directory: join(root, 'expire'), stores: ['one'], cacheBytes: 0 });
  const batch = new WriteBatch();
  for (let index = 0; index < 25_000; index++) batch.put('one', Buffer.from(String(index).padStart(6, '0')), Buffer.alloc(0));
  database.write(batch);
  const expire = new WriteBatch();
  expire.expireRange('one', Buffer.from('0'), Buffer.from('1'));
  database.write(expire);
  let rounds = 1;
  for (; database.store('one').approximateCount() > 1; rounds++) {
    const next = new WriteBatch();
    next.put('one', Buffer.from('kept'), Buffer.alloc(0));
    database.write(next);
  }
  expect(rounds).toBe(2);
  await database.close();
});

test('opening a folder again while it is open with other stores is refused', async () => {
  const database = await lmdbEngine.open({ directory: join(root, 'twice'), stores: ['one'], cacheBytes: 0 });
  await expect(lmdbEngine.open({ directory: join(root, 'twice'), stores: ['two'], cacheBytes: 0 })).rejects.toMatchObject({ code: 'ERR_STATE_LOCKED' });
  await database.close();
});
