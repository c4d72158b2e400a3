import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { META_STORE, memoryEngine, type OpenDatabase, StagedSessionStore, type StagedStore, WriteBatch } from '../index.ts';
import { RecordingLog } from '../testing/recording-log.ts';

const RETENTION = 120_000; // segments of 60 s
const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });

function sessions(database: OpenDatabase, onExpired?: () => void): StagedSessionStore<string, string> {
  return new StagedSessionStore<string, string>({
    name: 's',
    key: serde.string(),
    value: serde.string(),
    database,
    currentTimestamp: () => 7,
    retentionMs: RETENTION,
    onExpired,
  });
}

function commitAll(database: OpenDatabase, store: StagedStore, log?: RecordingLog): void {
  store.close(log);
  store.committed();
  const batch = new WriteBatch();
  store.settle(batch);
  database.write(batch);
  store.settled();
}

const diskKeys = (database: OpenDatabase): string[] => {
  const rows = database.store('s').scan({});
  const found: string[] = [];
  while (rows.next()) found.push(rows.key.toString('hex'));
  return found;
};
const session = (key: string, start: number, end: number) => ({ key, window: { start, end } });

test('changelog key is key, end, start under the time of the record that wrote it; the row on disk lies in the segment of its end', async () => {
  const database = await openDatabase();
  const store = sessions(database);
  store.write('k', { start: 1, end: 70_000 }, 'v', 71_234);
  const log = new RecordingLog();
  commitAll(database, store, log);
  expect(log.closing).toEqual([{ key: Buffer.from('6b00000000000111700000000000000001', 'hex'), value: Buffer.from('v'), timestamp: 71_234 }]);
  expect(diskKeys(database)).toEqual(['00000000000000016b00000000000111700000000000000001']);
});

test('both bounds of a search are included, and a key that begins with another is not found under it', async () => {
  const database = await openDatabase();
  const store = sessions(database);
  store.put(session('k', 10, 20), 'first');
  store.put(session('k', 30, 40), 'second');
  store.put(session('kk', 10, 20), 'other');
  const found = (earliestEnd: number, latestStart: number) => Array.from(store.findSessions('k', { earliestEnd, latestStart }), (row) => row.value);
  for (const settled of [false, true]) {
    if (settled) commitAll(database, store);
    expect(found(20, 30)).toEqual(['first', 'second']);
    expect(found(21, 30)).toEqual(['second']);
    expect(found(20, 29)).toEqual(['first']);
  }
});

test('a deleted session is gone before it is committed and after', async () => {
  const database = await openDatabase();
  const store = sessions(database);
  store.put(session('k', 10, 20), 'v');
  commitAll(database, store);
  store.delete(session('k', 10, 20));
  expect([...store.fetch('k')]).toEqual([]);
  expect(store.get('k', { start: 10, end: 20 })).toBeUndefined();
  commitAll(database, store);
  expect(diskKeys(database)).toEqual([]);
});

test('sessions that end at or below observed - retention are hidden; a write down there is counted and logged only', async () => {
  const database = await openDatabase();
  let expired = 0;
  const store = sessions(database, () => expired++);
  store.put(session('k', 0, 1_000), 'old');
  store.put(session('k', 0, 1_001), 'edge');
  commitAll(database, store);
  store.put(session('k', 121_000, 121_000), 'new');
  expect(Array.from(store.fetch('k'), (row) => row.value)).toEqual(['edge', 'new']);
  expect(store.get('k', { start: 0, end: 1_000 })).toBeUndefined();
  store.put(session('k', 500, 1_000), 'late');
  expect(expired).toBe(1);
  const log = new RecordingLog();
  commitAll(database, store, log);
  expect(log.closing.map((record) => record.value?.toString())).toEqual(['new', 'late']);
});

test('whole segments leave the disk once the commit that moved time is settled', async () => {
  const database = await openDatabase();
  const store = sessions(database);
  for (let end = 0; end < 200_000; end += 20_000) store.put(session('k', end, end), `${end}`);
  commitAll(database, store);
  store.put(session('k', 400_000, 400_000), 'later');
  commitAll(database, store);
  expect(diskKeys(database)).toHaveLength(1);
});

test('a session that ends before it starts is refused', async () => {
  const store = sessions(await openDatabase());
  expect(() => store.put(session('k', 2, 1), 'v')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_TIMESTAMP' }));
});

test('a prior value is what the last drain has left', async () => {
  const database = await openDatabase();
  const store = sessions(database);
  store.keepPrior();
  store.put(session('k', 1, 2), 'a');
  commitAll(database, store);
  store.put(session('k', 1, 2), 'b');
  store.put(session('k', 1, 2), 'c');
  const seen: unknown[] = [];
  store.forEachOpen((entry) => seen.push([entry.priorValue, entry.value]));
  expect(seen).toEqual([['a', 'c']]);
});
