import { MillraceError, serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { META_STORE, memoryEngine, type OpenDatabase, StagedKeyValueStore, type StagedStore, WriteBatch } from '../index.ts';
import { RecordingLog } from '../testing/recording-log.ts';

type Options = Partial<ConstructorParameters<typeof StagedKeyValueStore>[0]>;

const openDatabase = () => memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });

function counts(database: OpenDatabase, options: Options = {}): StagedKeyValueStore<string, number> {
  return new StagedKeyValueStore<string, number>({ name: 's', key: serde.string(), value: serde.safeInt(), database, currentTimestamp: () => 7, ...options });
}

function objects(database: OpenDatabase, options: Options = {}): StagedKeyValueStore<string, { n: number }> {
  return new StagedKeyValueStore<string, { n: number }>({
    name: 's',
    key: serde.string(),
    value: serde.json<{ n: number }>(),
    database,
    currentTimestamp: () => 7,
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

function commitAll(database: OpenDatabase, store: StagedStore): void {
  store.close(undefined);
  store.committed();
  settle(database, store);
}

const logged = (log: RecordingLog): unknown[] =>
  log.closing.map((record) => [record.key.toString(), record.value === null ? null : Number(record.value.readBigInt64BE(0)), record.timestamp]);

describe('reads and writes', () => {
  test('a store reads its own writes before anything is on disk', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1);
    store.put('b', 2, 99);
    expect(store.get('a')).toBe(1);
    expect(store.entry('b')).toEqual({ key: 'b', value: 2, timestamp: 99 });
    expect(store.get('c')).toBeUndefined();
    expect(database.store('s').get(Buffer.from('a'))).toBeUndefined();
  });

  test('a put without a timestamp takes the current record’s', async () => {
    const store = counts(await openDatabase());
    store.putAll([
      { key: 'a', value: 1 },
      { key: 'b', value: 2 },
    ]);
    expect(store.entry('b')?.timestamp).toBe(7);
  });

  test('a null key is an error that names the store', async () => {
    const store = counts(await openDatabase());
    expect(() => store.get(null as unknown as string)).toThrow(expect.objectContaining({ code: 'ERR_UNEXPECTED_NULL_KEY' }));
  });

  test('bytes are copied in: the batch they came from may be reused', async () => {
    const database = await openDatabase();
    const store = new StagedKeyValueStore<Uint8Array, Uint8Array>({ name: 's', key: serde.bytes(), value: serde.bytes(), database, currentTimestamp: () => 7 });
    const frame = Buffer.from('keyvalue');
    store.put(frame.subarray(0, 3), frame.subarray(3));
    frame.fill(0);
    expect(store.get(Buffer.from('key'))).toEqual(Buffer.from('value'));
    commitAll(database, store);
    expect([...store.range()]).toEqual([{ key: Buffer.from('key'), value: Buffer.from('value'), timestamp: 7 }]);
  });

  test('ill-formed text and the replacement character it is written as are one key', async () => {
    const store = counts(await openDatabase());
    store.put('\ud800', 1);
    store.put('\ufffd', 2);
    expect(store.get('\ud800')).toBe(2);
    expect([...store.range()]).toEqual([{ key: '\ufffd', value: 2, timestamp: 7 }]);
  });

  test('number keys and structured keys find their rows', async () => {
    const database = await openDatabase();
    const byNumber = new StagedKeyValueStore<number, number>({ name: 's', key: serde.safeInt(), value: serde.safeInt(), database, currentTimestamp: () => 7 });
    byNumber.put(300, 1);
    expect([byNumber.get(300), byNumber.get(301)]).toEqual([1, undefined]);
    const byObject = new StagedKeyValueStore<{ a: number; b: number }, number>({
      name: 's',
      key: serde.json<{ a: number; b: number }>(),
      value: serde.safeInt(),
      database,
      currentTimestamp: () => 7,
    });
    byObject.put({ a: 1, b: 2 }, 5);
    expect(byObject.get({ b: 2, a: 1 })).toBe(5);
  });

  test('a value its serde cannot write is refused when it is bytes, and leaves no trace', async () => {
    const database = await openDatabase();
    const store = new StagedKeyValueStore<string, Uint8Array>({ name: 's', key: serde.string(), value: serde.bytes(), database, currentTimestamp: () => 7 });
    store.put('k', Buffer.from('old'));
    commitAll(database, store);
    const fresh = new StagedKeyValueStore<string, Uint8Array>({ name: 's', key: serde.string(), value: serde.bytes(), database, currentTimestamp: () => 7 });
    expect(() => fresh.put('k', 'text' as unknown as Uint8Array)).toThrow(MillraceError);
    expect(fresh.get('k')).toEqual(Buffer.from('old'));
  });
});

describe('the life of a span', () => {
  test('each dirty key is logged once, in order of last write, tombstones of keys that came and went included', async () => {
    const store = counts(await openDatabase());
    store.put('a', 1, 10);
    store.put('b', 2, 11);
    store.put('c', 3, 11);
    store.put('a', 4, 12);
    store.delete('c');
    const log = new RecordingLog();
    store.close(log);
    expect(logged(log)).toEqual([
      ['b', 2, 11],
      ['a', 4, 12],
      ['c', null, 7],
    ]);
  });

  test('where priors are kept, a key that came and went leaves no tombstone; one that was there does', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.keepPrior();
    store.put('there', 1);
    commitAll(database, store);
    store.put('came', 1);
    store.delete('came');
    store.put('there', 2);
    store.delete('there');
    const log = new RecordingLog();
    store.close(log);
    expect(logged(log)).toEqual([['there', null, 7]]);
  });

  test('in every-write mode each write is logged, in order', async () => {
    const store = counts(await openDatabase(), { logEveryWrite: true });
    store.put('a', 1, 10);
    store.put('b', 2, 11);
    store.put('a', 3, 12);
    const log = new RecordingLog();
    store.close(log);
    expect(logged(log)).toEqual([
      ['a', 1, 10],
      ['b', 2, 11],
      ['a', 3, 12],
    ]);
    store.committed();
    const next = new RecordingLog();
    store.close(next);
    expect(next.closing).toEqual([]);
  });

  test('what a closed span froze is not changed by the next one, and only the newest committed row is settled', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1, 1);
    store.close(undefined);
    store.put('a', 2, 2);
    store.committed();
    store.close(undefined);
    store.put('a', 3, 3);
    store.committed();
    expect(store.get('a')).toBe(3);
    const batch = settle(database, store);
    expect(batch.operations.filter((operation) => operation.store === 's')).toHaveLength(1);
    expect(database.store('s').get(Buffer.from('a'))?.toString('hex')).toBe('00000000000000020000000000000002');
    expect(store.get('a')).toBe(3);
    expect(store.dirty).toBe(true);
  });

  test('a settle that fails is asked for again and loses nothing', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1);
    store.close(undefined);
    store.committed();
    store.settle(new WriteBatch()); // the write of this batch failed
    store.put('b', 2);
    store.close(undefined);
    store.committed();
    expect(() => store.settled()).toThrow(/settle/);
    settle(database, store);
    expect([...counts(database).range()].map((row) => [row.key, row.value])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
  });

  test('a drop forgets the open, the closing and the unsettled span, and the cache', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1);
    commitAll(database, store);
    store.put('a', 2);
    store.close(undefined);
    store.committed();
    store.put('b', 3);
    store.close(undefined);
    store.put('c', 4);
    const held = store.find('a');
    store.drop();
    expect([store.get('a'), store.get('b'), store.get('c')]).toEqual([1, undefined, undefined]);
    expect([store.stagedBytes, store.dirty]).toEqual([0, false]);
    store.writeEntry(held, 9, 9); // an entry held over a drop leads to the live one
    expect(store.get('a')).toBe(9);
  });

  test('closing while a span is closing is a broken invariant', async () => {
    const store = counts(await openDatabase());
    store.close(undefined);
    expect(() => store.close(undefined)).toThrow(/closing/);
  });

  test('staged bytes grow with writes and are gone when all is settled', async () => {
    const database = await openDatabase();
    const store = counts(database);
    for (let index = 0; index < 100; index++) store.put(`key-${index}`, index);
    expect(store.stagedBytes).toBeGreaterThan(100 * 13);
    store.close(undefined);
    expect(store.stagedBytes).toBeGreaterThan(100 * 13);
    store.committed();
    settle(database, store);
    expect(store.stagedBytes).toBe(0);
    expect(store.cachedBytes).toBeGreaterThan(100 * 13);
  });
});

describe('the clean cache', () => {
  test('stays within its bound, keeps what is read again, and gives the rest up', async () => {
    const database = await openDatabase();
    const store = counts(database, { cacheBytesMax: 2000 });
    for (let index = 0; index < 50; index++) store.put(`k${index}`, index);
    commitAll(database, store);
    expect(store.cachedBytes).toBeLessThanOrEqual(2000);
    for (let index = 0; index < 50; index++) {
      store.get('k7');
      expect(store.get(`k${index}`)).toBe(index);
    }
    const before = database.store('s').get;
    let reads = 0;
    database.store('s').get = (key) => {
      reads++;
      return before.call(database.store('s'), key);
    };
    store.get('k7');
    expect(reads).toBe(0);
    store.setCacheMax(0);
    expect(store.cachedBytes).toBe(0);
    expect(store.get('k7')).toBe(7);
  });

  test('with no room at all, find and writeEntry still work together', async () => {
    const database = await openDatabase();
    const store = counts(database, { cacheBytesMax: 0 });
    const entry = store.find('a');
    store.find('b');
    store.writeEntry(entry, 1, 1);
    expect(store.get('a')).toBe(1);
    commitAll(database, store);
    expect(store.find('a').value).toBe(1);
  });
});

describe('drains', () => {
  test('visit entries in order of last write, with what stood there before the span', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.keepPrior();
    store.put('a', 1, 1);
    store.put('b', 1, 1);
    commitAll(database, store);
    store.put('a', 2, 2);
    store.put('c', 5, 2);
    store.put('b', 2, 3);
    store.put('a', 3, 4);
    const seen: unknown[] = [];
    store.forEachOpen((entry) => seen.push([entry.key, entry.priorPresent, entry.priorValue, entry.priorTimestamp, entry.value, entry.timestamp]));
    expect(seen).toEqual([
      ['c', false, undefined, -1, 5, 2],
      ['b', true, 1, 1, 2, 3],
      ['a', true, 1, 1, 3, 4],
    ]);
    const again: unknown[] = [];
    store.forEachOpen((entry) => again.push(entry.key));
    expect(again).toEqual([]);
  });

  test('an entry written during a visit is visited too, from what the visit before it has seen', async () => {
    const store = counts(await openDatabase());
    store.keepPrior();
    store.put('a', 1);
    store.put('b', 1);
    const seen: unknown[] = [];
    store.forEachOpen((entry) => {
      seen.push([entry.key, entry.priorValue, entry.value]);
      if (seen.length === 1) {
        store.put('a', 2);
        store.put('new', 1);
      }
    });
    expect(seen).toEqual([
      ['a', undefined, 1],
      ['b', undefined, 1],
      ['a', 1, 2],
      ['new', undefined, 1],
    ]);
  });

  test('a blind write reads what stood there when priors are kept', async () => {
    const database = await openDatabase();
    const first = counts(database);
    first.put('a', 1);
    commitAll(database, first);
    const store = counts(database);
    store.keepPrior();
    store.put('a', 2);
    store.forEachOpen((entry) => expect(entry.priorValue).toBe(1));
  });

  test('an object changed in place still has its old self as prior, from the bytes', async () => {
    const database = await openDatabase();
    const store = objects(database);
    store.keepPrior();
    store.put('a', { n: 1 });
    commitAll(database, store);
    const change = (): void => {
      const entry = store.find('a');
      const value = entry.value as { n: number };
      value.n++;
      store.writeEntry(entry, value, 9);
    };
    change();
    const seen: unknown[] = [];
    store.forEachOpen((entry) => seen.push([{ ...(entry.priorValue as object) }, { ...(entry.value as object) }]));
    store.close(undefined);
    change(); // its bytes are those of the closing span
    store.forEachOpen((entry) => seen.push([{ ...(entry.priorValue as object) }, { ...(entry.value as object) }]));
    expect(seen).toEqual([
      [{ n: 1 }, { n: 2 }],
      [{ n: 2 }, { n: 3 }],
    ]);
  });
});

describe('rows', () => {
  test('are a snapshot, and end with the callback', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1);
    store.put('c', 3);
    commitAll(database, store);
    store.put('b', 2);
    const rows = store.range();
    expect(rows.next().value).toMatchObject({ key: 'a' });
    store.put('b', 20);
    store.put('bb', 21);
    store.delete('c');
    expect(rows.next().value).toMatchObject({ key: 'b', value: 2 });
    store.endRows();
    expect(rows.next().done).toBe(true);
  });

  test('approximateCount counts what is staged over what is on disk', async () => {
    const database = await openDatabase();
    const store = counts(database);
    for (let index = 0; index < 1000; index++) store.put(`k${index}`, index);
    expect(store.approximateCount()).toBe(1000);
    commitAll(database, store);
    for (let index = 0; index < 10; index++) store.put(`k${index}`, 0);
    store.delete('k99');
    store.put('new', 1);
    store.put('newer', 1);
    expect(store.approximateCount()).toBe(1001);
  });

  test('a drop ends them', async () => {
    const store = counts(await openDatabase());
    store.put('a', 1);
    const rows = store.range();
    store.drop();
    expect(rows.next().done).toBe(true);
  });

  test('staged deletes and a limit work together', async () => {
    const database = await openDatabase();
    const store = counts(database);
    for (const key of ['a', 'b', 'c', 'd']) store.put(key, 1);
    commitAll(database, store);
    store.delete('a');
    store.delete('c');
    expect(Array.from(store.range({ limit: 2 }), (row) => row.key)).toEqual(['b', 'd']);
    expect(Array.from(store.range({ limit: 1, reverse: true }), (row) => row.key)).toEqual(['d']);
    expect(Array.from(store.range({ from: 'd', to: 'a' }), (row) => row.key)).toEqual([]);
  });
});

describe('bytes', () => {
  test('a row is the timestamp and the value; the changelog has the value alone', async () => {
    const database = await openDatabase();
    const store = new StagedKeyValueStore<string, string>({ name: 's', key: serde.string(), value: serde.string(), database, currentTimestamp: () => 7 });
    store.put('ké', 'wért', 1_700_000_000_000);
    const log = new RecordingLog();
    store.close(log);
    store.committed();
    settle(database, store);
    expect(log.closing[0]).toEqual({ key: Buffer.from('6bc3a9', 'hex'), value: Buffer.from('77c3a97274', 'hex'), timestamp: 1_700_000_000_000 });
    expect(database.store('s').get(Buffer.from('ké'))?.toString('hex')).toBe('0000018bcfe5680077c3a97274');
  });

  test('a restored record becomes the same row, a restored tombstone removes it, and a cached entry gives way', async () => {
    const database = await openDatabase();
    const store = counts(database);
    store.put('a', 1, 5);
    commitAll(database, store);
    expect(store.get('a')).toBe(1);
    const batch = new WriteBatch();
    store.applyRestored(batch, Buffer.from('a'), Buffer.from('0000000000000002', 'hex'), 6);
    store.applyRestored(batch, Buffer.from('b'), null, 6);
    database.write(batch);
    expect(store.entry('a')).toEqual({ key: 'a', value: 2, timestamp: 6 });
  });

  test('rows of another layout are refused as corrupt', async () => {
    const database = await openDatabase();
    const batch = new WriteBatch();
    batch.put(META_STORE, Buffer.from('layout/s'), Buffer.from('window/1/60000'));
    database.write(batch);
    expect(() => counts(database)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }));
  });

  test('a value that fails to encode at the close names itself, and the span can be dropped', async () => {
    const store = objects(await openDatabase());
    store.put('a', { n: 1n } as unknown as { n: number });
    expect(() => store.close(undefined)).toThrow(expect.objectContaining({ code: 'ERR_VALUE_NOT_JSON', where: { store: 's' } }));
    store.drop();
    store.put('a', { n: 1 });
    store.close(undefined);
    expect(store.get('a')).toEqual({ n: 1 });
  });
});

test('while writes are checked, one that the serde refuses changes nothing', async () => {
  const store = counts(await openDatabase());
  store.put('a', 1);
  store.checkWrites(true);
  expect(() => store.put('a', 0.5)).toThrow(/store s cannot write a value it was given/);
  expect(() => store.put('b', 0.5)).toThrow(expect.objectContaining({ where: { store: 's' } }));
  expect([...store.range()].map(({ key, value }) => [key, value])).toEqual([['a', 1]]);
  store.close(undefined);
});

test('a row that the serde does not read is the store’s own failure: no record is to blame for it', async () => {
  const database = await openDatabase();
  const store = counts(database);
  store.put('a', 1);
  commitAll(database, store);
  const other = new StagedKeyValueStore<string, { n: number }>({ name: 's', key: serde.string(), value: serde.json(), database, currentTimestamp: () => 7 });
  expect(() => other.get('a')).toThrow(expect.objectContaining({ code: 'ERR_STORE_UNREADABLE', where: { store: 's' } }));
  expect(() => other.get('a')).toThrow(/store s holds a row whose value its serde does not read: .*written with another serde/);
  expect(other.get('b')).toBeUndefined();
});
