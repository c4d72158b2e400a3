// The layout of each store, kept in `$meta`: rows written under one layout must never be read under another
// (a key-value store renamed into a window store; a retention that moves the segment bounds).
import { MillraceError } from '@millrace/core';
import type { Database, WriteBatch } from '../byte-store.ts';
import { META_STORE } from '../checkpoint.ts';

export class LayoutMark {
  readonly #store: string;
  readonly #layout: string;
  #written: boolean;
  readonly #marked = new WeakSet<WriteBatch>();

  /** Throws ERR_STORE_CORRUPT if the rows on disk have another layout: the store is to be rebuilt. */
  constructor(database: Database, store: string, layout: string) {
    this.#store = store;
    this.#layout = layout;
    const found = database.store(META_STORE).get(markKey(store))?.toString('utf8');
    this.#written = found === layout;
    if (found !== undefined && found !== layout) {
      throw new MillraceError(
        'ERR_STORE_CORRUPT',
        `store ${store} lies on disk as ${found}, but the topology now reads it as ${layout} (its kind or retention has changed); it has to be rebuilt from its changelog`,
        { store },
      );
    }
  }

  /** Into the first batch that writes rows. */
  into(batch: WriteBatch): void {
    if (this.#written || this.#marked.has(batch)) return;
    this.#marked.add(batch);
    batch.put(META_STORE, markKey(this.#store), Buffer.from(this.#layout, 'utf8'));
  }

  /** A batch with the mark has been written. */
  settled(): void {
    this.#written = true;
  }
}

/** As if no row had ever been written. */
export function forgetLayout(batch: WriteBatch, store: string): void {
  batch.delete(META_STORE, markKey(store));
}

function markKey(store: string): Buffer {
  return Buffer.from(`layout/${store}`, 'utf8');
}
