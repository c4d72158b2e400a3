// A key-value store that keeps its `entriesMax` rows used last: one more row deletes the one that was read or written longest ago.
// Owns: the order of use, in memory.  Never: more rows than the bound once it has written.
// After a restart or a dropped span the order begins as that of the rows' times, since nothing else is on disk.
import type { StagedEntry } from '../staged-entry.ts';
import type { Written } from './contract.ts';
import { type KeyValueStoreOptions, StagedKeyValueStore } from './key-value-store.ts';

export interface RecentRowsStoreOptions extends KeyValueStoreOptions {
  /** At least 1. */
  readonly entriesMax: number;
}

export class RecentRowsStore<K, V> extends StagedKeyValueStore<K, V> {
  readonly #entriesMax: number;
  /** Keys of present rows by their map key, used longest ago first; undefined until something asks. */
  #used: Map<string, K> | undefined;

  constructor(options: RecentRowsStoreOptions) {
    super(options);
    this.#entriesMax = options.entriesMax;
  }

  override find(key: K): StagedEntry<V, K> {
    const entry = super.find(key);
    if (entry.present) this.#use(entry);
    return entry;
  }

  override writeEntry(found: StagedEntry<V, K>, value: V | null | undefined, timestamp: number): Written {
    const used = this.#order();
    if (value === null || value === undefined) used.delete(found.text);
    else {
      // The room is made first, so that the changelog never holds more rows than the store.
      if (!used.has(found.text)) this.#makeRoom(used, timestamp);
      this.#use(found);
    }
    return super.writeEntry(found, value, timestamp);
  }

  override drop(): void {
    this.#used = undefined;
    super.drop();
  }

  override applyRestored(...record: Parameters<StagedKeyValueStore<K, V>['applyRestored']>): void {
    this.#used = undefined;
    super.applyRestored(...record);
  }

  #use({ text, key }: StagedEntry<V, K>): void {
    const used = this.#order();
    used.delete(text);
    used.set(text, key);
  }

  #makeRoom(used: Map<string, K>, timestamp: number): void {
    for (const [text, key] of used) {
      if (used.size < this.#entriesMax) return;
      used.delete(text);
      super.writeEntry(super.find(key), undefined, timestamp);
    }
  }

  #order(): Map<string, K> {
    if (this.#used !== undefined) return this.#used;
    const rows = [...this.range()].sort((left, right) => left.timestamp - right.timestamp);
    this.#used = new Map(rows.map(({ key }) => [super.find(key).text, key]));
    return this.#used;
  }
}
