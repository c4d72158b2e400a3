// A store whose rows nobody can read any more is emptied, with all that is known of it: what opens it next finds none.
import { copyBytes } from '@millrace/core';
import { type Database, WriteBatch } from './byte-store.ts';
import { forgetCheckpoint } from './checkpoint.ts';
import { forgetLayout } from './layouts/layout-mark.ts';

/** One batch: a crash leaves the old rows or none. Never while a typed store is open on it. */
export function clearStore(database: Database, store: string): void {
  const batch = new WriteBatch();
  const last = database.store(store).scan({ reverse: true, limit: 1 });
  try {
    if (last.next()) batch.deleteRange(store, Buffer.alloc(0), copyBytes(Buffer.concat([last.key, Buffer.from([0])])));
  } finally {
    last.close();
  }
  forgetCheckpoint(batch, store);
  forgetLayout(batch, store);
  database.write(batch);
}
