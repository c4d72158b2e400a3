import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import {
  keyValueView,
  META_STORE,
  memoryEngine,
  type OpenDatabase,
  putCheckpoint,
  StagedKeyValueStore,
  type StagedStore,
  StagedWindowStore,
  WriteBatch,
  windowView,
} from './index.ts';

const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });
const serdes = { name: 's', key: serde.string(), value: serde.json<number>() };

function settle(database: OpenDatabase, store: StagedStore): void {
  store.close(undefined);
  store.committed();
  const batch = new WriteBatch();
  store.settle(batch);
  putCheckpoint(batch, 's', { changelogOffset: 1, topicId: 't', leaderEpoch: 0, ...store.memory(), levelAtMs: 0 });
  database.write(batch);
  store.settled();
}

describe('a key-value view', () => {
  test('shows settled rows only, by key, range, prefix, backward and limited', async () => {
    const database = await openDatabase();
    const store = new StagedKeyValueStore<string, number>({ ...serdes, database, currentTimestamp: () => 3 });
    for (const [index, key] of ['a', 'ab', 'b', 'c'].entries()) store.put(key, index);
    const view = keyValueView<string, number>(database, serdes);
    expect(view.get('a')).toBeUndefined();
    settle(database, store);
    store.put('a', 100);
    expect(view.get('a')).toEqual({ key: 'a', value: 0, timestamp: 3 });
    expect(Array.from(view.range({ prefix: 'a' }), (row) => row.key)).toEqual(['a', 'ab']);
    expect(Array.from(view.range({ from: 'ab', to: 'b', reverse: true }), (row) => row.key)).toEqual(['b', 'ab']);
    expect(Array.from(view.range({ limit: 3 }), (row) => row.key)).toEqual(['a', 'ab', 'b']);
    expect(view.approximateCount()).toBe(4);
  });
});

describe('a window view', () => {
  test('shows settled windows that retention leaves, over all segments and both ways', async () => {
    const database = await openDatabase();
    const shape = { ...serdes, windowSizeMs: 10_000, retentionMs: 200_000 };
    const store = new StagedWindowStore<string, number>({ ...shape, database, currentTimestamp: () => 3 });
    for (const start of [0, 90_000, 110_000, 210_000]) for (const key of ['a', 'ab']) store.put(key, start, start);
    settle(database, store);
    const view = windowView<string, number>(database, shape);
    const starts = (rows: Iterable<{ key: { key: string; window: { start: number; end: number } } }>) =>
      Array.from(rows, (row) => `${row.key.key}${row.key.window.start}`);
    expect(view.get('a', 0)).toBeUndefined(); // at observed - retention - 10 s
    expect(view.get('a', 90_000)).toEqual({ key: { key: 'a', window: { start: 90_000, end: 100_000 } }, value: 90_000, timestamp: 3 });
    expect(starts(view.fetch('a'))).toEqual(['a90000', 'a110000', 'a210000']);
    expect(starts(view.fetch('a', { reverse: true, limit: 2 }))).toEqual(['a210000', 'a110000']);
    expect(starts(view.fetch('a', { from: 100_000, to: 110_000 }))).toEqual(['a110000']);
    expect(starts(view.fetchAll())).toEqual(['a90000', 'ab90000', 'a110000', 'ab110000', 'a210000', 'ab210000']);
    expect(starts(view.fetchAll({ from: 100_000, limit: 3 }))).toEqual(['a110000', 'ab110000', 'a210000']);
    expect(starts(view.fetch('nobody'))).toEqual([]);
  });
});
