import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rocksdbEngine } from './rocksdb-engine.ts';
import { readStoreNames, writeStoreNames } from './store-names.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-names-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (stores: readonly string[]) => rocksdbEngine.open({ directory: folder, stores, cacheBytes: 0 });

test('names come back; a missing or damaged file gives none', () => {
  expect(readStoreNames(folder)).toBeUndefined();
  writeStoreNames(folder, ['a', '$meta']);
  expect(readStoreNames(folder)).toEqual(['a', '$meta']);
  const path = join(folder, 'STORES');
  writeFileSync(path, readFileSync(path, 'utf8').replace('$meta', '$metb'));
  expect(readStoreNames(folder)).toBeUndefined();
});

test('a store named before a crash kept it from being made is made at the next opening', async () => {
  await (await open(['a'])).close();
  writeStoreNames(folder, ['a', 'announced']);
  const database = await open(['a']);
  expect(database.ticket.stores).toEqual(['a', 'announced']);
  expect(database.store('announced').get(Buffer.from('k'))).toBeUndefined();
  await database.close();
});

test('without its side file a database opens when all its stores are asked for, and else is called corrupt', async () => {
  await (await open(['a', 'b'])).close();
  rmSync(join(folder, 'STORES'));
  await expect(open(['a'])).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' });
  rmSync(join(folder, 'STORES'));
  const database = await open(['a', 'b']);
  await database.close();
});

test('a database that is open already says so, and is not called damaged', async () => {
  const database = await open(['a']);
  await expect(open(['a'])).rejects.toMatchObject({ code: 'ERR_STORE_IO', message: expect.stringContaining('has it open') });
  await database.close();
});

test("a store called 'default' is refused with the reason", async () => {
  await expect(open(['default'])).rejects.toMatchObject({ code: 'ERR_NAME' });
});

test('a damaged database is called corrupt', async () => {
  await (await open(['a'])).close();
  writeFileSync(join(folder, 'rocksdb', 'CURRENT'), 'MANIFEST-999999\n');
  await expect(open(['a'])).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' });
});

test('a database that has lost its manifest is called corrupt: nothing but a rebuild would help', async () => {
  await (await open(['a'])).close();
  const files = join(folder, 'rocksdb');
  for (const name of readdirSync(files)) if (name.startsWith('MANIFEST')) rmSync(join(files, name));
  await expect(open(['a'])).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' });
});
