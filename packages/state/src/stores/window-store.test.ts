import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { META_STORE, memoryEngine, type OpenDatabase, type StagedStore, StagedWindowStore, WriteBatch } from '../index.ts';
import { RecordingLog } from '../testing/recording-log.ts';

type Options = Partial<ConstructorParameters<typeof StagedWindowStore>[0]>;

const RETENTION = 120_000; // segments of 60 s
const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 'w'], cacheBytes: 0 });

function windows(database: OpenDatabase, options: Options = {}): StagedWindowStore<string, string> {
  return new StagedWindowStore<string, string>({
    name: 'w',
    key: serde.string(),
    value: serde.string(),
    database,
    currentTimestamp: () => 7,
    windowSizeMs: 10_000,
    retentionMs: RETENTION,
    ...options,
  });
}

function settle(database: OpenDatabase, store: StagedStore): WriteBatch {
  const batch = new WriteBatch();
  store.settle(batch);
  database.write(batch);
  store.settled();
  return batch;
}

function commitAll(database: OpenDatabase, store: StagedStore, log?: RecordingLog): void {
  store.close(log);
  store.committed();
  settle(database, store);
}

const diskRows = (database: OpenDatabase): string[] => {
  const rows = database.store('w').scan({});
  const found: string[] = [];
  while (rows.next()) found.push(`${rows.key.toString('hex')} ${rows.value.toString('hex')}`);
  return found;
};

describe('bytes', () => {
  test('changelog key is key, start, sequence; the row on disk lies behind its segment with its timestamp', async () => {
    const database = await openDatabase();
    const store = windows(database);
    store.write('k', 70_000, 'v', 71_234);
    const log = new RecordingLog();
    commitAll(database, store, log);
    expect(log.closing).toEqual([{ key: Buffer.from('6b000000000001117000000000', 'hex'), value: Buffer.from('v'), timestamp: 71_234 }]);
    expect(diskRows(database)).toEqual(['00000000000000016b000000000001117000000000 000000000001164276']);
  });

  test('with duplicates the sequence counts from 1, goes with the checkpoint, and a delete takes a number but no row', async () => {
    const database = await openDatabase();
    const store = windows(database, { duplicates: true });
    const log = new RecordingLog();
    store.put('k', 'a', 0);
    store.put('k', 'b', 0);
    store.delete('k', 0);
    commitAll(database, store, log);
    expect(log.closing.map((record) => record.key.toString('hex'))).toEqual([
      '6b000000000000000000000001',
      '6b000000000000000000000002',
      '6b000000000000000000000003',
    ]);
    expect(log.closing.at(-1)?.value).toBeNull();
    expect(store.memory()).toEqual({ observedTime: 0, duplicates: 3 });
    expect(Array.from(store.fetch('k'), (row) => row.value)).toEqual(['a', 'b']);
    expect(store.get('k', 0)).toBe('b');
    const again = windows(database, { duplicates: true });
    again.restoreMemory(store.memory());
    again.put('k', 'c', 0);
    expect(Array.from(again.fetch('k'), (row) => row.value)).toEqual(['a', 'b', 'c']);
  });
});

describe('retention', () => {
  test('rows at or below observed - retention are hidden, one ms later is not', async () => {
    const database = await openDatabase();
    const store = windows(database);
    store.put('k', 'old', 1_000);
    store.put('k', 'edge', 1_001);
    commitAll(database, store);
    store.put('k', 'new', 121_000);
    expect([store.get('k', 1_000), store.get('k', 1_001)]).toEqual([undefined, 'edge']);
    expect(Array.from(store.fetch('k'), (row) => row.value)).toEqual(['edge', 'new']);
    expect(Array.from(store.fetchAll(), (row) => row.value)).toEqual(['edge', 'new']);
  });

  test('a retention of 0 keeps nothing, not even the newest row, and counts each', async () => {
    let expired = 0;
    const store = windows(await openDatabase(), { retentionMs: 0, onExpired: () => expired++ });
    store.put('k', 'first', 5);
    store.put('k', 'newer', 6);
    expect([store.get('k', 5), store.get('k', 6), expired]).toEqual([undefined, undefined, 2]);
  });

  test('a write older than that is counted and logged, and reaches neither reader nor disk', async () => {
    const database = await openDatabase();
    let expired = 0;
    const store = windows(database, { onExpired: () => expired++ });
    store.put('k', 'new', 300_000);
    store.put('k', 'old', 180_000);
    const found = store.find('k', 170_000);
    expect(found.present).toBe(false);
    store.writeEntry(found, 'older', 1);
    expect(expired).toBe(2);
    expect([store.get('k', 180_000), store.get('k', 170_000)]).toEqual([undefined, undefined]);
    const log = new RecordingLog();
    commitAll(database, store, log);
    expect(log.closing.map((record) => record.value?.toString())).toEqual(['new', 'old', 'older']);
    expect(diskRows(database)).toHaveLength(1);
  });

  test('whole segments leave the disk once the commit that moved time is settled', async () => {
    const database = await openDatabase();
    const store = windows(database);
    for (let start = 0; start < 200_000; start += 20_000) store.put('k', `${start}`, start);
    commitAll(database, store);
    const before = diskRows(database).length;
    store.put('k', 'later', 400_000);
    store.close(undefined);
    settle(database, store); // not committed yet: nothing may go
    expect(diskRows(database)).toHaveLength(before);
    store.committed();
    settle(database, store);
    expect(diskRows(database)).toHaveLength(1);
    expect(Array.from(store.fetchAll(), (row) => row.key.window)).toEqual([{ start: 400_000, end: 410_000 }]);
  });

  test('a dropped span takes its observed time with it', async () => {
    const database = await openDatabase();
    const store = windows(database);
    store.put('k', 'kept', 10_000);
    commitAll(database, store);
    store.put('k', 'dropped', 500_000);
    expect(store.get('k', 10_000)).toBeUndefined();
    store.drop();
    expect(store.observedTime).toBe(10_000);
    expect(store.get('k', 10_000)).toBe('kept');
  });

  test('restored records move time, expire segments, and skip what is past retention', async () => {
    const database = await openDatabase();
    const source = windows(database);
    const log = new RecordingLog();
    for (const start of [0, 10_000, 100_000, 300_000, 20_000]) source.put('k', `${start}`, start);
    source.close(log);
    log.commit();
    const target = await openDatabase();
    const restored = windows(target);
    const batch = new WriteBatch();
    log.replay(restored, batch, 0);
    target.write(batch);
    expect(restored.memory()).toEqual({ observedTime: 300_000, duplicates: 0 });
    expect(Array.from(restored.fetchAll(), (row) => row.value)).toEqual(['300000']);
    expect(diskRows(target)).toHaveLength(1);
  });
});

describe('reads', () => {
  test('one key among keys that begin with it, across segments, staged over disk, both ways', async () => {
    const database = await openDatabase();
    const store = windows(database);
    for (const key of ['a', 'ab', 'a\0', 'b']) for (const start of [50_000, 60_000, 130_000]) store.put(key, `${key}@${start}`, start);
    commitAll(database, store);
    store.put('a', 'changed', 60_000);
    store.delete('a', 130_000);
    store.put('a', 'staged', 140_000);
    const seen = (options: object) => Array.from(store.fetch('a', options), (row) => row.value);
    expect(seen({})).toEqual(['a@50000', 'changed', 'staged']);
    expect(seen({ reverse: true })).toEqual(['staged', 'changed', 'a@50000']);
    expect(seen({ from: 60_000, to: 139_999 })).toEqual(['changed']);
    expect(seen({ limit: 2 })).toEqual(['a@50000', 'changed']);
    expect(seen({ from: 150_000, to: 10 })).toEqual([]);
  });

  test('several keys come by segment, key bytes, start', async () => {
    const database = await openDatabase();
    const store = windows(database);
    for (const start of [70_000, 10_000, 50_000]) for (const key of ['b', 'a']) store.put(key, '', start);
    const order = (rows: Iterable<{ key: { key: string; window: { start: number } } }>) => Array.from(rows, (row) => `${row.key.key}${row.key.window.start}`);
    const expected = ['a10000', 'a50000', 'b10000', 'b50000', 'a70000', 'b70000'];
    expect(order(store.fetchAll())).toEqual(expected);
    commitAll(database, store);
    expect(order(store.fetchAll())).toEqual(expected);
    expect(order(store.fetchAll({ reverse: true }))).toEqual([...expected].reverse());
    expect(order(store.fetchAll({ fromKey: 'b', from: 20_000 }))).toEqual(['b50000', 'b70000']);
    expect(order(store.fetchAll({ toKey: 'a', limit: 1 }))).toEqual(['a10000']);
  });

  test('a start that no window can have is refused', async () => {
    const store = windows(await openDatabase());
    for (const start of [-1, 1.5, Number.NaN]) expect(() => store.put('k', 'v', start)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_TIMESTAMP' }));
  });

  test('another retention means other segments: the rows on disk are refused as corrupt', async () => {
    const database = await openDatabase();
    const store = windows(database);
    store.put('k', 'v', 0);
    commitAll(database, store);
    expect(() => windows(database, { retentionMs: 600_000 })).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }));
    expect(() => windows(database)).not.toThrow();
  });

  test('drains give windows with what stood there before', async () => {
    const database = await openDatabase();
    const store = windows(database);
    store.keepPrior();
    store.put('k', 'one', 0);
    commitAll(database, store);
    store.put('k', 'two', 0);
    store.put('j', 'new', 10_000);
    const seen: unknown[] = [];
    store.forEachOpen((entry) => seen.push([entry.key, entry.start, entry.priorValue, entry.value]));
    expect(seen).toEqual([
      ['k', 0, 'one', 'two'],
      ['j', 10_000, undefined, 'new'],
    ]);
  });
});
