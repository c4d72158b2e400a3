import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { META_STORE, openMemoryDatabase, putCheckpoint, StagedVersionedStore, versionedView, WriteBatch } from '../index.ts';

test('as of a time before the epoch there is no value, whatever the history', () => {
  const database = openMemoryDatabase({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });
  const spec = { name: 's', key: serde.string() as never, value: serde.string() as never, historyMs: 100_000 };
  const store = new StagedVersionedStore<string, string>({ ...spec, database, currentTimestamp: () => 0 });
  store.put('k', 'old', 10);
  store.put('k', 'new', 50);
  store.close(undefined);
  store.committed();
  const batch = new WriteBatch();
  store.settle(batch);
  putCheckpoint(batch, 's', { changelogOffset: 2, topicId: '', leaderEpoch: -1, ...store.memory(), levelAtMs: 0 });
  database.write(batch);
  store.settled();
  expect([store.get('k', 5), store.get('k', 10), store.get('k', 50)]).toEqual([undefined, 'old', 'new']);
  expect(store.get('k', -5)).toBeUndefined();
  expect(versionedView<string, string>(database, spec).get('k', -5)).toBeUndefined();
});
