import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { ExpiringStore, keyValueView, META_STORE, memoryEngine, type OpenDatabase, putCheckpoint, WriteBatch } from '../index.ts';
import { runExpiringHistory } from '../testing/expiring-history.ts';
import { RecordingLog } from '../testing/recording-log.ts';
import { HISTORY_STORES } from '../testing/span-life.ts';
import { EarliestDue } from './earliest-due.ts';

const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });
const shape = { name: 's', key: serde.string(), value: serde.safeInt() };

function expiring(database: OpenDatabase, more: { entriesMax?: number; cacheBytesMax?: number } = {}) {
  const time = { now: 0, refused: 0 };
  const store = new ExpiringStore<string, number>({
    ...shape,
    ...more,
    database,
    ttlMs: 100,
    currentTimestamp: () => time.now,
    streamTime: () => time.now,
    onExpired: () => {
      time.refused += 1;
    },
  });
  return { store, time };
}

describe('a store with ttl', () => {
  test('shows a row until stream time reaches its time plus ttl, swept or not', async () => {
    const { store, time } = expiring(await openDatabase());
    store.put('a', 1, 0);
    store.put('b', 2, 50);
    time.now = 99;
    expect([store.get('a'), store.get('b')]).toEqual([1, 2]);
    time.now = 100;
    expect([...store.range()].map(({ key }) => key)).toEqual(['b']);
    expect([store.get('a'), store.entry('a'), store.get('b')]).toEqual([undefined, undefined, 2]);
    expect(store.expire(10)).toBe(0); // the lookup has let it go
  });

  test('a write begins the time anew, one with an older time shortens it, and a row that is due already is refused', async () => {
    const { store, time } = expiring(await openDatabase());
    store.put('a', 1, 0);
    time.now = 90;
    store.put('a', 2, 90);
    store.put('b', 1, 90);
    store.put('b', 2, 20);
    time.now = 120;
    expect([store.get('a'), store.get('b')]).toEqual([2, undefined]);
    store.put('a', 3, 20);
    expect([store.get('a'), time.refused]).toEqual([2, 1]);
  });

  test('sweeps in order of time, no more than asked for, with tombstones of the moment at which rows were due', async () => {
    const { store, time } = expiring(await openDatabase());
    for (const [at, key] of ['d', 'c', 'b', 'a'].entries()) store.put(key, at, at * 10);
    store.close(undefined);
    store.committed();
    time.now = 1000;
    expect([store.expire(3), store.expire(3)]).toEqual([3, 1]);
    const log = new RecordingLog();
    store.close(log);
    expect(log.closing.map(({ key, value, timestamp }) => [key.toString(), value, timestamp])).toEqual([
      ['d', null, 100],
      ['c', null, 110],
      ['b', null, 120],
      ['a', null, 130],
    ]);
  });

  test('whoever listens hears of each row once, before anything else is written under its key', async () => {
    const { store, time } = expiring(await openDatabase());
    const heard: unknown[] = [];
    store.onExpiry((key, value, at) => heard.push([key, value, at, store.get(key)]));
    store.onExpiry(() => heard.push('a second listener'));
    store.put('a', 1, 0);
    store.put('b', 2, 0);
    time.now = 100;
    expect(store.get('a')).toBeUndefined();
    expect(heard).toEqual([]);
    store.put('a', 3);
    expect(heard).toEqual([['a', 1, 100, undefined]]);
    store.expire(10);
    expect(heard).toEqual([
      ['a', 1, 100, undefined],
      ['b', 2, 100, undefined],
    ]);
    expect(store.get('a')).toBe(3);
  });

  test('rows that are due need no room under a bound, also without a cache', async () => {
    const { store, time } = expiring(await openDatabase(), { entriesMax: 2, cacheBytesMax: 0 });
    store.put('a', 1, 0);
    store.put('b', 2, 50);
    store.close(undefined);
    store.committed();
    time.now = 100;
    store.expire(10);
    store.put('c', 3);
    expect([...store.range()].map(({ key }) => key)).toEqual(['b', 'c']);
    store.put('d', 4);
    expect([...store.range()].map(({ key }) => key)).toEqual(['c', 'd']);
  });

  test('a view of another thread hides what is due by the time of the last settle', async () => {
    const database = await openDatabase();
    const { store, time } = expiring(database);
    store.put('a', 1, 0);
    store.put('b', 2, 60);
    const settle = (): void => {
      store.close(undefined);
      store.committed();
      const batch = new WriteBatch();
      store.settle(batch);
      putCheckpoint(batch, 's', { changelogOffset: 0, topicId: '', leaderEpoch: -1, levelAtMs: 0, ...store.memory() });
      database.write(batch);
      store.settled();
    };
    settle();
    const view = keyValueView<string, number>(database, { ...shape, ttlMs: 100 });
    expect(view.get('a')?.value).toBe(1);
    time.now = 120;
    settle();
    expect(view.get('a')).toBeUndefined();
    expect([...view.range({ limit: 1 })].map(({ key }) => key)).toEqual(['b']);
  });
});

test.each(Array.from({ length: 40 }, (_, index) => index + 1))(
  'it does what a list of writes filtered by time does, over commits, drops, crashes and restores (seed %i)',
  async (seed) => {
    const database = await memoryEngine.open({ directory: '', stores: HISTORY_STORES, cacheBytes: 0 });
    runExpiringHistory(seed, database);
    expect.hasAssertions();
  },
);

test('places of keys whose time shrinks again and again stay bounded', () => {
  const due = new EarliestDue<string>();
  for (let round = 0; round < 100; round++) for (const key of ['a', 'b']) due.put(key, key, 1000 - round);
  const taken: unknown[] = [];
  for (let next = due.takeDue(5000); next !== undefined; next = due.takeDue(5000)) taken.push(next.key);
  expect([taken.sort(), due.size]).toEqual([['a', 'b'], 0]);
});
