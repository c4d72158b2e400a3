// Batches that tell of themselves: batch n writes n under one key of two stores, deletes another, and notes n in a third store.
// After any number of batches the content is known, so a torn or lost one shows.
import { type Database, WriteBatch } from '@millrace/state';
import { KEYS } from './engines.ts';

const LAST = Buffer.from('last');

export function numberedBatch(number: number): WriteBatch {
  const batch = new WriteBatch();
  const value = Buffer.from(String(number).padStart(100, '.'));
  for (const store of ['one', 'two']) {
    batch.put(store, Buffer.from(`k${number % KEYS}`), value);
    batch.delete(store, Buffer.from(`k${(number * 7 + 3) % KEYS}`));
    batch.put(store, Buffer.from(`big${number % 5}`), Buffer.alloc(20_000, number & 0xff));
  }
  batch.put('$meta', LAST, Buffer.from(String(number)));
  return batch;
}

export function lastBatch(database: Database): number {
  return Number(database.store('$meta').get(LAST) ?? '0');
}

/** What is wrong with the content; undefined when it is that of batches 1 to `last`. */
export function contentFault(database: Database): string | undefined {
  const last = lastBatch(database);
  const expected = new Map<string, number>();
  for (let number = 1; number <= last; number++) {
    expected.set(`k${number % KEYS}`, number);
    expected.delete(`k${(number * 7 + 3) % KEYS}`);
    expected.set(`big${number % 5}`, number);
  }
  for (const store of ['one', 'two']) {
    const rows = database.store(store).scan({});
    let seen = 0;
    while (rows.next()) {
      const key = rows.key.toString();
      const number = expected.get(key);
      if (number === undefined) return `${store} holds ${key}, which batch ${last} leaves out`;
      const right = key.startsWith('big')
        ? rows.value.equals(Buffer.alloc(20_000, number & 0xff))
        : Number(rows.value.toString().replaceAll('.', '')) === number;
      if (!right) return `${store} holds a wrong value for ${key} after batch ${last}`;
      seen++;
    }
    if (seen !== expected.size) return `${store} holds ${seen} rows after batch ${last}, ${expected.size} expected`;
  }
  return undefined;
}
