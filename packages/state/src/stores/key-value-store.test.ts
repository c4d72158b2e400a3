import { serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { META_STORE, memoryEngine, type OpenDatabase, StagedKeyValueStore, WriteBatch } from '../index.ts';

async function open(options: { cacheBytesMax?: number; logEveryWrite?: boolean } = {}) {
  const database = await memoryEngine.open({ directory: '', stores: [META_STORE, 's'], cacheBytes: 0 });
  return { database, store: reopen(database, options) };
}

function reopen(database: OpenDatabase, options: { cacheBytesMax?: number; logEveryWrite?: boolean } = {}) {
  return new StagedKeyValueStore<string, number>({ name: 's', key: serde.string(), value: serde.safeInt(), database, currentTimestamp: () => 7, ...options });
}

function sink() {
  const records: [string, string | null, number][] = [];
  return {
    records,
    append(key: Uint8Array, value: Uint8Array | null, timestamp: number) {
      records.push([Buffer.from(key).toString(), value === null ? null : Buffer.from(value).toString('hex'), timestamp]);
    },
  };
}

function settle(database: OpenDatabase, store: StagedKeyValueStore<string, number>): void {
  const batch = new WriteBatch();
  store.settle(batch);
  database.write(batch);
  store.settled();
}

describe('a key-value store', () => {
  test('reads its own writes before anything is on disk', async () => {
    const { database, store } = await open();
    store.put('a', 1);
    store.put('b', 2, 99);
    expect(store.get('a')).toBe(1);
    expect(store.entry('b')).toEqual({ key: 'b', value: 2, timestamp: 99 });
    expect(store.get('c')).toBeUndefined();
    expect(database.store('s').get(Buffer.from('a'))).toBeUndefined();
  });

  test('logs each dirty key once, in order of last write', async () => {
    const { store } = await open();
    store.put('a', 1, 10);
    store.put('b', 2, 11);
    store.put('a', 3, 12);
    store.delete('c');
    const log = sink();
    store.close(log);
    expect(log.records).toEqual([
      ['b', '0000000000000002', 11],
      ['a', '0000000000000003', 12],
      ['c', null, 7],
    ]);
  });
});
