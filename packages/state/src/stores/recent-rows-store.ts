// A key-value store that keeps its `entriesMax` rows used last: one more row deletes the one that was read or written longest ago.
// Owns: the order of use, in memory.  Never: more rows than the bound once it has written.
// After a restart or a dropped span the order begins as that of the rows' times, since nothing else is on disk.
import type { StagedEntry } from '../staged-entry.ts';
import type { Written } from './contract.ts';
import { type KeyValueStoreOptions, StagedKeyValueStore } from './key-value-store.ts';

export interface RecentRowsStoreOptions extends KeyValueStoreOptions {
  /** At least 1; Infinity: no bound, and no order is kept. */
  readonly entriesMax: number;
}

export class RecentRowsStore<K, V> extends StagedKeyValueStore<K, V> {
  readonly #entriesMax: number;
  readonly #now: () => number;
  /** Keys of present rows by their map key, used longest ago first; undefined until something asks. */
  #used: Map<string, K> | undefined;

  constructor(options: RecentRowsStoreOptions) {
    super(options);
    this.#entriesMax = options.entriesMax;
    this.#now = options.currentTimestamp;
  }

  override find(key: K): StagedEntry<V, K> {
    const entry = super.find(key);
    if (entry.present && this.#isBounded) this.#use(entry);
    return entry;
  }

  override writeEntry(found: StagedEntry<V, K>, value: V | null | undefined, timestamp: number): Written {
    if (!this.#isBounded) return super.writeEntry(found, value, timestamp);
    const used = this.#order();
    if (value === null || value === undefined) used.delete(found.text);
    else {
      // The room is made first, so that the changelog never holds more rows than the store.
      if (!used.has(found.text)) this.#makeRoom(used, timestamp);
      this.#use(found);
    }
    return super.writeEntry(found, value, timestamp);
  }

  /** Room for all of them first: a changelog of every write shows the deletes in front. */
  override putAll(entries: Iterable<{ readonly key: K; readonly value: V }>): void {
    const rows = [...entries];
    if (!this.#isBounded) {
      super.putAll(rows);
      return;
    }
    const used = this.#order();
    const fresh = new Set(rows.map(({ key }) => super.find(key).text).filter((text) => !used.has(text)));
    if (fresh.size > 0) this.#makeRoom(used, this.#now(), Math.min(fresh.size, this.#entriesMax));
    super.putAll(rows);
  }

  override drop(): void {
    this.#used = undefined;
    super.drop();
  }

  override applyRestored(...record: Parameters<StagedKeyValueStore<K, V>['applyRestored']>): void {
    this.#used = undefined;
    super.applyRestored(...record);
  }

  get #isBounded(): boolean {
    return this.#entriesMax !== Number.POSITIVE_INFINITY;
  }

  #use({ text, key }: StagedEntry<V, K>): void {
    const used = this.#order();
    used.delete(text);
    used.set(text, key);
  }

  #makeRoom(used: Map<string, K>, timestamp: number, rows = 1): void {
    for (const [text, key] of used) {
      if (used.size + rows <= this.#entriesMax) return;
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
