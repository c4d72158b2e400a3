import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { META_STORE, memoryEngine, type OpenDatabase, RecentRowsStore, WriteBatch } from '../index.ts';
import { RecordingLog } from '../testing/recording-log.ts';

const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });

function recent(database: OpenDatabase, entriesMax = 3, logEveryWrite = false): RecentRowsStore<string, number> {
  return new RecentRowsStore<string, number>({
    name: 's',
    key: serde.string(),
    value: serde.safeInt(),
    database,
    currentTimestamp: () => 7,
    entriesMax,
    logEveryWrite,
  });
}

const keys = (store: RecentRowsStore<string, number>): string[] => [...store.range()].map(({ key }) => key);

describe('a store with entriesMax', () => {
  test('lets go of the row used longest ago; reading is using', async () => {
    const store = recent(await openDatabase());
    for (const [at, key] of ['a', 'b', 'c'].entries()) store.put(key, at);
    expect(store.get('a')).toBe(0);
    store.put('d', 3);
    expect(keys(store)).toEqual(['a', 'c', 'd']);
    expect(store.putIfAbsent('c', 9)).toBe(2);
    store.put('e', 4);
    expect(keys(store)).toEqual(['c', 'd', 'e']);
  });

  test('a deleted row makes room, and a miss uses nothing', async () => {
    const store = recent(await openDatabase());
    for (const key of ['a', 'b', 'c']) store.put(key, 1);
    store.delete('b');
    store.get('x');
    store.put('d', 1);
    expect(keys(store)).toEqual(['a', 'c', 'd']);
  });

  test('an eviction is a tombstone in the changelog, before the row that needed the room', async () => {
    const store = recent(await openDatabase(), 1, true);
    const log = new RecordingLog();
    store.put('a', 1);
    store.put('b', 2);
    store.close(log);
    expect(log.closing.map(({ key, value }) => [key.toString(), value === null])).toEqual([
      ['a', false],
      ['a', true],
      ['b', false],
    ]);
  });

  test('after a dropped span the rows on disk are in the order of their times', async () => {
    const database = await openDatabase();
    const store = recent(database);
    store.put('late', 1, 30);
    store.put('early', 2, 10);
    store.put('middle', 3, 20);
    store.close(undefined);
    store.committed();
    const batch = new WriteBatch();
    store.settle(batch);
    database.write(batch);
    store.settled();
    store.put('lost', 4, 40);
    store.drop();
    store.put('next', 5, 50);
    expect(keys(store)).toEqual(['late', 'middle', 'next']);
  });

  test('a bound that was lowered is kept from the next write on', async () => {
    const database = await openDatabase();
    const wide = recent(database, 5);
    for (let at = 0; at < 5; at++) wide.put(`k${at}`, at, at);
    wide.close(undefined);
    wide.committed();
    const batch = new WriteBatch();
    wide.settle(batch);
    database.write(batch);
    wide.settled();
    const narrow = recent(database, 2);
    narrow.put('n', 9, 9);
    expect(keys(narrow)).toEqual(['k4', 'n']);
  });
});
