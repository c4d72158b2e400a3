import { serde } from '@millrace/core';
import { type ByteRows, META_STORE, memoryEngine, type OpenDatabase, WriteBatch } from '@millrace/state';
import type { StoreSpec } from '@millrace/topology';
import { beforeEach, expect, test } from 'vitest';
import { readStore } from './store-reads.ts';

const ROWS = 100;
const VALUE_BYTES = 1000;
const spec = { kind: 'keyValue', name: 'rows', key: serde.string(), value: serde.bytes(), changelog: false, queryable: true } as unknown as StoreSpec;
const all = { kind: 'range', from: undefined, to: undefined, prefix: undefined, reverse: false, limit: 10_001 } as const;

let database: OpenDatabase;
/** Rows that the engine has handed out. */
let read = 0;
beforeEach(async () => {
  const inner = await memoryEngine.open({ directory: 'reads', stores: [META_STORE, 'rows'], cacheBytes: 0 });
  const batch = new WriteBatch();
  const row = Buffer.alloc(8 + VALUE_BYTES); // a time, then the value
  for (let at = 0; at < ROWS; at++) batch.put('rows', Buffer.from(`k${String(at).padStart(3, '0')}`), row);
  inner.write(batch);
  read = 0;
  const counted = (rows: ByteRows): ByteRows => ({
    next() {
      read += 1;
      return rows.next();
    },
    get key() {
      return rows.key;
    },
    get value() {
      return rows.value;
    },
    close: () => rows.close(),
    [Symbol.dispose]: () => rows.close(),
  });
  database = Object.assign(Object.create(inner) as OpenDatabase, {
    store: (name: string) => Object.assign(Object.create(inner.store(name)), { scan: (options: object) => counted(inner.store(name).scan(options)) }),
  });
});

test('a range is read up to the row that passes the bound in bytes, and no further', () => {
  const rows = readStore(database, spec, { ...all, bytesMax: 10 * VALUE_BYTES });
  expect(rows.reduce((bytes, row) => bytes + (row.bytes ?? 0), 0)).toBeGreaterThan(10 * VALUE_BYTES);
  expect([rows.length, read]).toEqual([10, 10]);
});

test('a bound of nothing reads one row: it shows that there is more', () => {
  expect(readStore(database, spec, { ...all, bytesMax: 0 })).toHaveLength(1);
  expect(read).toBe(1);
});

test('without a bound in bytes rows are what they were, all of them', () => {
  const rows = readStore(database, spec, all);
  expect(rows).toHaveLength(ROWS);
  expect(rows[0]).not.toHaveProperty('bytes');
});
