import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WriteBatch } from '@millrace/state';
import { afterAll, expect, test } from 'vitest';
import { checkDataFile } from './data-file.ts';
import { lmdbEngine } from './lmdb-engine.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-lmdb-file-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function filled(name: string): Promise<string> {
  const directory = join(folder, name);
  const database = await lmdbEngine.open({ directory, stores: ['rows'], cacheBytes: 1024 * 1024 });
  for (let round = 0; round < 4; round++) {
    const batch = new WriteBatch();
    for (let index = 0; index < 500; index++) batch.put('rows', Buffer.from(`key-${round}-${index}`), Buffer.alloc(200, index));
    database.write(batch);
  }
  await database.close();
  return directory;
}

test('a whole file, an empty one and none are fine', async () => {
  const directory = await filled('whole');
  checkDataFile(join(directory, 'lmdb/data.mdb'), directory);
  checkDataFile(join(directory, 'lmdb/nothing.mdb'), directory);
  truncateSync(join(directory, 'lmdb/data.mdb'), 0);
  checkDataFile(join(directory, 'lmdb/data.mdb'), directory);
});

test('a file that was cut short is called damaged before LMDB maps it', async () => {
  const directory = await filled('cut');
  const file = join(directory, 'lmdb/data.mdb');
  for (const bytes of [statSync(file).size - 1, 8192, 5000, 100]) {
    truncateSync(file, bytes);
    await expect(lmdbEngine.open({ directory, stores: ['rows'], cacheBytes: 1024 * 1024 })).rejects.toMatchObject({
      code: 'ERR_STORE_CORRUPT',
      where: { directory },
    });
  }
});
