// The key-value store: latest value per key, with its timestamp. One map over entries; what is not there is on disk.
// Owns: the map and the staging of one store of one task.  Never: awaits, or writes to the engine itself.
// An entry for an absent key is kept too: the next miss of a hot key costs no read.
import { copyBytes, type ErasedSerde, prefixEnd, type RecordHeaders } from '@millrace/core';
import type { ByteRows, ByteStore, Database, ScanOptions, WriteBatch } from '../byte-store.ts';
import { KEY_VALUE_LAYOUT, rowTimestamp, timestampedValue } from '../layouts/key-value.ts';
import { LayoutMark } from '../layouts/layout-mark.ts';
import { scanBounds } from '../scan-bounds.ts';
import { GONE, IN_NONE, IN_OPEN, StagedEntry } from '../staged-entry.ts';
import type { ChangelogSink, StagedStore, StoreMemory } from '../staged-store.ts';
import { Staging } from '../staging.ts';
import type { Entry, KeyValueStore, Range, Rows, Written } from './contract.ts';
import { keyBound } from './key-bound.ts';
import { createKeyForm, type KeyForm } from './key-form.ts';
import { type CapturedRow, captureRow, MergedRows, sortCaptured } from './merged-rows.ts';
import { OpenRows } from './open-rows.ts';
import { capturePrior } from './prior.ts';
import { NO_MEMORY } from './span-memory.ts';
import { createValueForm, type ValueForm } from './value-form.ts';

export interface KeyValueStoreOptions {
  readonly name: string;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly database: Database;
  /** Changelog topic, for serdes that ask and for messages. Default: the store's name. */
  readonly topic?: string | undefined;
  /** Bound of clean entries, bytes. Default 16 MiB. */
  readonly cacheBytesMax?: number | undefined;
  /** Event time of the record in hand: the default timestamp of writes. */
  readonly currentTimestamp: () => number;
  /** A changelog record for every write, not one per key and span (Kafka Streams without its cache). */
  readonly logEveryWrite?: boolean | undefined;
  /** Told when an iterator opens: somebody has to end it. */
  readonly onRows?: (() => void) | undefined;
  /** Headers for the changelog records of what is being written; none unless given. */
  readonly currentHeaders?: ((present: boolean) => RecordHeaders) | undefined;
}

export const CACHE_BYTES_MAX = 16 * 1024 * 1024;

const COUNT_SAMPLE = 256;

export class StagedKeyValueStore<K, V> implements KeyValueStore<K, V>, StagedStore {
  readonly kind = 'keyValue';
  readonly name: string;
  readonly #keys: KeyForm;
  readonly #values: ValueForm;
  readonly #disk: ByteStore;
  readonly #mark: LayoutMark;
  readonly #now: () => number;
  readonly #currentHeaders: ((present: boolean) => RecordHeaders) | undefined;
  readonly #entries = new Map<string, StagedEntry<V, K>>();
  readonly #staging: Staging<V, K>;
  readonly #openRows: OpenRows;
  readonly #checkKey: (key: Uint8Array) => void;
  #keepPrior = false;

  constructor(options: KeyValueStoreOptions) {
    const topic = options.topic ?? options.name;
    this.name = options.name;
    this.#keys = createKeyForm(options.key, options.name, topic);
    this.#openRows = new OpenRows(options.onRows);
    this.#values = createValueForm(options.value, options.name, topic, options.logEveryWrite);
    this.#disk = options.database.store(options.name);
    this.#checkKey = keyBound(options.database, options.name);
    this.#mark = new LayoutMark(options.database, options.name, KEY_VALUE_LAYOUT);
    this.#now = options.currentTimestamp;
    this.#currentHeaders = options.currentHeaders;
    this.#staging = new Staging<V, K>(
      {
        name: options.name,
        keyOffset: 0,
        freeze: (entry) => (entry.present ? this.#values.freeze(entry.value, entry.timestamp) : null),
        sizeOf: (entry) => (entry.present ? this.#values.sizeOf(entry.value) : 0),
        forget: (entry) => this.#entries.delete(entry.text),
      },
      { cacheBytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX, logEveryWrite: options.logEveryWrite ?? false },
    );
  }

  // ---- for operators: one lookup, no allocation on a hot key ----

  /** The live entry of a key; `present` false where there is none. Valid until the next `drop`; write through `writeEntry`. */
  find(key: K): StagedEntry<V, K> {
    const text = this.#keys.textOf(key);
    const entry = this.#entries.get(text);
    if (entry !== undefined) {
      entry.referenced = true;
      return entry;
    }
    return this.#load(key, text);
  }

  /** `value` null or undefined deletes. */
  write(key: K, value: V | null | undefined, timestamp: number): Written {
    const text = this.#keys.textOf(key);
    return this.writeEntry(this.#entries.get(text) ?? this.#create(key, text), value, timestamp);
  }

  /** Same entry, no second lookup. `value` null or undefined deletes. Every write stands: later arrivals win, whatever their time. */
  writeEntry(found: StagedEntry<V, K>, value: V | null | undefined, timestamp: number): Written {
    const present = value !== null && value !== undefined;
    const kept = present ? (this.#values.keep(value) as V) : undefined;
    const entry = found.place === GONE ? this.findQuietly(found.key) : found;
    if (entry.place !== IN_OPEN) this.#checkKey(entry.diskKey);
    if (this.#keepPrior && !entry.pending) capturePrior(entry, value, this.#disk, this.#values);
    entry.present = present;
    entry.value = kept;
    entry.timestamp = timestamp;
    if (this.#currentHeaders !== undefined) entry.headers = this.#currentHeaders(present);
    if (entry.place === IN_NONE || entry.place === GONE) this.#admit(entry);
    this.#staging.touch(entry);
    return 'latest';
  }

  deleteEntry(entry: StagedEntry<V, K>, timestamp: number): void {
    this.writeEntry(entry, undefined, timestamp);
  }

  /** From now on an entry keeps what stood there before its first write since the last drain or close, and the headers of its last one. */
  keepPrior(currentHeaders?: () => RecordHeaders): void {
    this.#keepPrior = true;
    if (currentHeaders !== undefined) this.#staging.keepHeaders(currentHeaders);
  }

  /** True of an entry whose last change waits for a drain: those who take the drained rows know the prior one. */
  awaitsDrain(entry: StagedEntry<V, K>): boolean {
    return this.#keepPrior && entry.pending;
  }

  /** Visits what the open span has written, in order of last write. `visit` may write to any store, this one included. */
  forEachOpen(visit: (entry: StagedEntry<V, K>) => void): void {
    this.#staging.drain(visit);
  }

  // ---- for user code ----

  get(key: K): V | undefined {
    return this.find(key).value;
  }

  entry(key: K): Entry<K, V> | undefined {
    const found = this.find(key);
    return found.present ? { key: found.key, value: found.value as V, timestamp: found.timestamp } : undefined;
  }

  put(key: K, value: V, timestamp: number = this.#now()): void {
    this.write(key, value, timestamp);
  }

  putIfAbsent(key: K, value: V): V | undefined {
    const found = this.find(key);
    if (found.present) return found.value;
    this.writeEntry(found, value, this.#now());
    return undefined;
  }

  putAll(entries: Iterable<{ readonly key: K; readonly value: V }>): void {
    for (const { key, value } of entries) this.put(key, value);
  }

  delete(key: K): V | undefined {
    const found = this.find(key);
    const { value } = found;
    this.deleteEntry(found, this.#now());
    return value;
  }

  range(range: Range<K> = {}): Rows<Entry<K, V>> {
    const reverse = range.reverse === true;
    const bounds = this.#scanOptions(range);
    const { from, to, empty } = scanBounds(bounds);
    const staged: CapturedRow<V, K>[] = [];
    for (const entry of this.#staging.staged()) {
      if ((from === undefined || Buffer.compare(entry.diskKey, from) >= 0) && (to === undefined || Buffer.compare(entry.diskKey, to) < 0))
        staged.push(captureRow(entry));
    }
    sortCaptured(staged, reverse);
    const limit = range.limit ?? Number.POSITIVE_INFINITY;
    const scans = function* (disk: ByteStore): Generator<ByteRows> {
      yield disk.scan({ ...bounds, reverse, ...(limit === Number.POSITIVE_INFINITY ? {} : { limit: limit + staged.length }) });
    };
    const rows = new MergedRows<Entry<K, V>, V, K>({
      scans: scans(this.#disk),
      staged,
      reverse,
      limit: empty ? 0 : limit,
      fromStaged: (row) => ({ key: row.key, value: row.value as V, timestamp: row.timestamp }),
      fromDisk: (key, row) => ({ key: this.#keys.fromBytes(key) as K, value: this.#values.thaw(row) as V, timestamp: rowTimestamp(row, this.name) }),
      onClose: this.#openRows.closed,
    });
    return this.#openRows.add(rows);
  }

  approximateCount(): number {
    // Rows on disk, corrected by what is staged; of many staged entries a sample is looked up.
    let staged = 0;
    let gained = 0;
    for (const entry of this.#staging.staged()) {
      if (staged++ < COUNT_SAMPLE) gained += Number(entry.present) - Number(this.#disk.get(entry.diskKey) !== undefined);
    }
    return Math.max(0, this.#disk.approximateCount() + Math.round(gained * Math.max(1, staged / COUNT_SAMPLE)));
  }

  // ---- the life of a span ----

  get stagedBytes(): number {
    return this.#staging.stagedBytes;
  }

  get cachedBytes(): number {
    return this.#staging.cachedBytes;
  }

  get dirty(): boolean {
    return this.#staging.open.length > 0;
  }

  close(changelog: ChangelogSink | undefined): void {
    this.#staging.close(changelog);
  }

  committed(): void {
    this.#staging.committed();
  }

  settle(batch: WriteBatch): void {
    if (this.#staging.unsettled) this.#mark.into(batch);
    this.#staging.settle(batch, undefined);
  }

  settled(): void {
    if (this.#staging.unsettled) this.#mark.settled();
    this.#staging.settled();
  }

  drop(): void {
    this.endRows();
    for (const entry of this.#entries.values()) entry.place = GONE;
    this.#entries.clear();
    this.#staging.drop();
  }

  /** Ends every iterator still open: its callback has returned. */
  endRows(): void {
    this.#openRows.end();
  }

  applyRestored(batch: WriteBatch, key: Uint8Array, value: Uint8Array | null, timestamp: number): void {
    if (this.#entries.size > 0) this.#forgetBytes(key);
    this.#mark.into(batch);
    const own = copyBytes(key);
    if (value === null) batch.delete(this.name, own);
    else batch.put(this.name, own, timestampedValue(value, timestamp));
  }

  memory(): StoreMemory {
    return NO_MEMORY;
  }

  restoreMemory(): void {}

  checkWrites(on: boolean): void {
    this.#values.checkWrites(on);
  }

  setCacheMax(bytes: number): void {
    this.#staging.setCacheMax(bytes);
  }

  // ---- inside ----

  /** `find` as it is here, whatever a store above makes of it. */
  protected findQuietly(key: K): StagedEntry<V, K> {
    const text = this.#keys.textOf(key);
    return this.#entries.get(text) ?? this.#load(key, text);
  }

  /** By which a key is told from others. */
  protected textOf(key: K): string {
    return this.#keys.own(key, this.#keys.textOf(key)).text;
  }

  /** An entry that is about to be overwritten: what the disk has is not read. In the map only once it is written. */
  #create(key: K, text: string): StagedEntry<V, K> {
    if (this.#keepPrior) return this.#load(key, text);
    const own = this.#keys.own(key, text);
    return this.#entries.get(own.text) ?? new StagedEntry<V, K>(own.key as K, own.text, own.bytes, 0, 0);
  }

  #load(key: K, text: string): StagedEntry<V, K> {
    const own = this.#keys.own(key, text);
    const known = this.#entries.get(own.text);
    if (known !== undefined) return known;
    const entry = new StagedEntry<V, K>(own.key as K, own.text, own.bytes, 0, 0);
    this.#readInto(entry, this.#disk.get(own.bytes));
    this.#entries.set(own.text, entry);
    this.#staging.addClean(entry);
    return entry;
  }

  #readInto(entry: StagedEntry<V, K>, row: Buffer | undefined): void {
    entry.present = row !== undefined;
    entry.value = row === undefined ? undefined : (this.#values.thaw(row) as V);
    entry.timestamp = row === undefined ? -1 : rowTimestamp(row, this.name);
  }

  /** A blind write's new entry, or one that a cache without room gave up at once: the write brings it into the map. */
  #admit(entry: StagedEntry<V, K>): void {
    entry.place = IN_NONE;
    this.#entries.set(entry.text, entry);
  }

  #scanOptions(range: Range<K>): ScanOptions {
    if (range.prefix !== undefined) {
      const prefix = this.#keys.bytesOf(range.prefix);
      return { gte: prefix, lt: prefixEnd(prefix) };
    }
    return {
      gte: range.from === undefined ? undefined : this.#keys.bytesOf(range.from),
      lte: range.to === undefined ? undefined : this.#keys.bytesOf(range.to),
    };
  }

  #forgetBytes(key: Uint8Array): void {
    const decoded = this.#keys.fromBytes(copyBytes(key)) as K;
    const entry = this.#entries.get(this.#keys.own(decoded, this.#keys.textOf(decoded)).text);
    if (entry !== undefined) this.#staging.forgetClean(entry);
  }
}
