// The life of staged writes, shared by all typed stores: open list, closing rows, committed rows, clean cache.
// Owns: the lists, the byte accounts, eviction.  Never: looks a key up, or touches the engine (`settle` only fills a batch).
// S1 an entry is in the open list iff the open span wrote it; its place there is its last write.
// S2 a closing or committed row never changes; of several committed rows of a key only the newest is settled.
// S3 the clean cache is within its bound after every settle and every load.
import { assert, noHeaders, type RecordHeaders } from '@millrace/core';
import type { WriteBatch } from './byte-store.ts';
import { EntryList } from './entry-list.ts';
import { unwritable } from './serde-refusals.ts';
import { GONE, IN_CLEAN, IN_NONE, IN_OPEN, type StagedEntry } from './staged-entry.ts';
import type { ChangelogSink } from './staged-store.ts';

/** Charged per entry besides key and value: the object, its map slot, its strings. */
export const ENTRY_BYTES = 160;

/** What a typed store does for its staging. */
export interface StagingHost<V, K> {
  readonly name: string;
  /** Bytes of a disk key that the changelog's key leaves out at the front. */
  readonly keyOffset: number;
  /** The row of an entry's newest value; null when absent. */
  freeze(entry: StagedEntry<V, K>): Buffer | null;
  /** Bytes of the newest value, about. */
  sizeOf(entry: StagedEntry<V, K>): number;
  /** The entry leaves memory: forget it in the index. */
  forget(entry: StagedEntry<V, K>): void;
}

interface StagingOptions {
  readonly cacheBytesMax: number;
  readonly logEveryWrite: boolean;
  /** A key written again in a span keeps the place of its first write. */
  readonly keepsPlace?: boolean | undefined;
}

interface LoggedWrite {
  readonly key: Buffer;
  readonly row: Buffer | null;
  readonly timestamp: number;
  readonly headers: RecordHeaders | undefined;
}

export class Staging<V, K> {
  readonly #host: StagingHost<V, K>;
  readonly #everyWrite: boolean;
  readonly #keepsPlace: boolean;
  readonly open = new EntryList<V, K>();
  readonly #clean = new EntryList<V, K>();
  #closing: StagedEntry<V, K>[] = [];
  #committed: StagedEntry<V, K>[] = [];
  #log: LoggedWrite[] = [];
  #spanClosing = false;
  #settling = false;
  #openBytes = 0;
  #frozenBytes = 0;
  #cleanBytes = 0;
  #cacheMax: number;
  #currentHeaders: (() => RecordHeaders) | undefined;

  constructor(host: StagingHost<V, K>, options: StagingOptions) {
    this.#host = host;
    this.#cacheMax = options.cacheBytesMax;
    this.#everyWrite = options.logEveryWrite;
    this.#keepsPlace = options.keepsPlace ?? false;
  }

  get stagedBytes(): number {
    return this.#openBytes + this.#frozenBytes;
  }

  get cachedBytes(): number {
    return this.#cleanBytes;
  }

  /** From now on an entry that waits for a drain knows the headers of its last write. */
  keepHeaders(currentHeaders: () => RecordHeaders): void {
    this.#currentHeaders = currentHeaders;
  }

  /** After a write: the entry is open, and last. */
  touch(entry: StagedEntry<V, K>): void {
    entry.pending = true;
    if (this.#currentHeaders !== undefined) entry.writtenWith = this.#currentHeaders();
    if (entry.place === IN_OPEN) {
      if (this.open.tail !== entry && !this.#keepsPlace) {
        this.open.remove(entry);
        this.open.append(entry);
      }
    } else {
      if (entry.place === IN_CLEAN) {
        this.#clean.remove(entry);
        this.#cleanBytes -= entry.size;
      }
      assert(entry.place !== GONE, 'a write to an entry that has left memory');
      entry.place = IN_OPEN;
      entry.size = entry.diskKey.length + ENTRY_BYTES + this.#host.sizeOf(entry);
      this.#openBytes += entry.size;
      this.open.append(entry);
    }
    if (this.#everyWrite) this.#log.push({ key: entry.diskKey, row: this.#freeze(entry), timestamp: entry.timestamp, headers: entry.headers });
  }

  /** An entry just read from disk. May leave memory again at once when the cache has no room. */
  addClean(entry: StagedEntry<V, K>): void {
    entry.place = IN_CLEAN;
    entry.size = entry.diskKey.length + ENTRY_BYTES + this.#host.sizeOf(entry);
    this.#cleanBytes += entry.size;
    this.#clean.append(entry);
    if (this.#cleanBytes > this.#cacheMax) this.#evict();
  }

  /** A clean entry whose row on disk is about to change without the staging. */
  forgetClean(entry: StagedEntry<V, K>): void {
    assert(entry.place === IN_CLEAN, `store ${this.#host.name} restores a key that has staged writes`);
    this.#removeClean(entry);
  }

  setCacheMax(bytes: number): void {
    this.#cacheMax = bytes;
    this.#evict();
  }

  /** In the order of their last write; entries written during a visit are visited (again) before it returns. */
  drain(visit: (entry: StagedEntry<V, K>) => void): void {
    for (;;) {
      const due: StagedEntry<V, K>[] = [];
      for (let entry = this.open.head; entry !== undefined; entry = entry.next) if (entry.pending) due.push(entry);
      if (due.length === 0) return;
      for (const entry of due) {
        if (!entry.pending) continue;
        entry.pending = false;
        visit(entry);
        if (!entry.pending) entry.writtenWith = noHeaders;
      }
    }
  }

  close(sink: ChangelogSink | undefined): void {
    assert(!this.#spanClosing, `store ${this.#host.name} closes a span while another is closing`);
    this.#spanClosing = true;
    const { keyOffset } = this.#host;
    for (let entry = this.open.head; entry !== undefined; entry = this.open.head) {
      const row = this.#freeze(entry);
      this.open.remove(entry);
      this.#openBytes -= entry.size;
      entry.place = IN_NONE;
      entry.pending = false;
      entry.closing = row;
      entry.size = entry.diskKey.length + ENTRY_BYTES + (row?.length ?? 0);
      this.#frozenBytes += entry.size;
      this.#closing.push(entry);
      // A key that came and went within the span has left no trace for anybody to forget.
      const nothingToSay = row === null && entry.isNew;
      entry.isNew = false;
      if (sink !== undefined && !this.#everyWrite && !nothingToSay)
        sink.append(logKey(entry.diskKey, keyOffset), row === null ? null : row.subarray(8), entry.timestamp, entry.headers);
      entry.headers = undefined;
    }
    if (sink !== undefined)
      for (const write of this.#log)
        sink.append(logKey(write.key, keyOffset), write.row === null ? null : write.row.subarray(8), write.timestamp, write.headers);
    this.#log = [];
  }

  committed(): void {
    assert(this.#spanClosing, `store ${this.#host.name} is told of a commit, but no span is closing`);
    this.#spanClosing = false;
    this.#settling = false;
    for (const entry of this.#closing) {
      if (entry.committed === undefined) this.#committed.push(entry);
      else this.#frozenBytes -= rowBytes(entry, entry.committed);
      entry.committed = entry.closing;
      entry.closing = undefined;
    }
    this.#closing = [];
  }

  /** True if some committed row is not on disk yet. */
  get unsettled(): boolean {
    return this.#committed.length > 0;
  }

  settle(batch: WriteBatch, isExpired: ((entry: StagedEntry<V, K>) => boolean) | undefined): void {
    this.#settling = true;
    const { name } = this.#host;
    for (const entry of this.#committed) {
      if (isExpired?.(entry) === true) continue;
      const row = entry.committed as Buffer | null;
      if (row === null) batch.delete(name, entry.diskKey);
      else batch.put(name, entry.diskKey, row);
    }
  }

  /** `settle` for a store whose rows are not one to one with its entries: it writes them itself. In order of last write. */
  settleEach(write: (entry: StagedEntry<V, K>, row: Buffer | null) => void): void {
    this.#settling = true;
    for (const entry of this.#committed) write(entry, entry.committed as Buffer | null);
  }

  settled(): void {
    assert(this.#settling, `store ${this.#host.name} is told of a settle that it was not asked for, or that a commit has overtaken`);
    this.#settling = false;
    for (const entry of this.#committed) {
      const row = entry.committed as Buffer | null;
      this.#frozenBytes -= rowBytes(entry, row);
      entry.committed = undefined;
      if (entry.place !== IN_NONE || entry.closing !== undefined) continue;
      entry.place = IN_CLEAN;
      entry.size = rowBytes(entry, row);
      this.#cleanBytes += entry.size;
      this.#clean.append(entry);
    }
    this.#committed = [];
    this.#evict();
  }

  /** Every entry that the disk does not hold as it is: open, closing, committed. Each once, in no order. */
  *staged(): Generator<StagedEntry<V, K>> {
    for (let entry = this.open.head; entry !== undefined; entry = entry.next) yield entry;
    for (const entry of this.#closing) if (entry.place !== IN_OPEN) yield entry;
    for (const entry of this.#committed) if (entry.place !== IN_OPEN && entry.closing === undefined) yield entry;
  }

  /** Forgets everything; the host clears its index and marks the entries gone. */
  drop(): void {
    this.open.clear();
    this.#clean.clear();
    this.#closing = [];
    this.#committed = [];
    this.#log = [];
    this.#spanClosing = false;
    this.#settling = false;
    this.#openBytes = 0;
    this.#frozenBytes = 0;
    this.#cleanBytes = 0;
  }

  /** A value its serde refuses is known only now; the error names the store, and the span is lost. */
  #freeze(entry: StagedEntry<V, K>): Buffer | null {
    try {
      return this.#host.freeze(entry);
    } catch (error) {
      throw unwritable(this.#host.name, error);
    }
  }

  /** Second chance: what was read since the last pass goes to the end once. */
  #evict(): void {
    while (this.#cleanBytes > this.#cacheMax) {
      const entry = this.#clean.head;
      if (entry === undefined) return;
      if (entry.referenced) {
        entry.referenced = false;
        this.#clean.remove(entry);
        this.#clean.append(entry);
      } else this.#removeClean(entry);
    }
  }

  #removeClean(entry: StagedEntry<V, K>): void {
    this.#clean.remove(entry);
    this.#cleanBytes -= entry.size;
    entry.place = GONE;
    this.#host.forget(entry);
  }
}

function rowBytes<V, K>(entry: StagedEntry<V, K>, row: Buffer | null): number {
  return entry.diskKey.length + ENTRY_BYTES + (row?.length ?? 0);
}

function logKey(diskKey: Buffer, keyOffset: number): Buffer {
  return keyOffset === 0 ? diskKey : diskKey.subarray(keyOffset);
}
