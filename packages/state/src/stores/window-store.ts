// The window store: a value per key and window start, gone after `retention`. Rows on disk lie in segments of time.
// Owns: the runs of entries and the staging of one store of one task.  Never: awaits, or writes to the engine itself.
// Observed time is the largest window start ever written. A row whose start is at or below observed - retention is hidden:
// such a write is logged like any other (as Kafka Streams does) but never reaches the disk.
import { asBuffer, copyBytes, MillraceError, type RecordHeaders, type Windowed } from '@millrace/core';
import type { ByteStore, WriteBatch } from '../byte-store.ts';
import { rowTimestamp, timestampedValue } from '../layouts/key-value.ts';
import { LayoutMark } from '../layouts/layout-mark.ts';
import {
  diskKeyStart,
  parseWindowKey,
  SEGMENT_BYTES,
  segmentInterval,
  WINDOW_SUFFIX_BYTES,
  windowDiskKey,
  windowLayout,
  windowScanBounds,
} from '../layouts/window.ts';
import { GONE, IN_NONE, IN_OPEN, StagedEntry } from '../staged-entry.ts';
import type { ChangelogSink, StagedStore, StoreMemory } from '../staged-store.ts';
import { Staging } from '../staging.ts';
import type { Entry, Rows, TimeRange, WindowStore } from './contract.ts';
import { HeldRows } from './held-rows.ts';
import { keyBound } from './key-bound.ts';
import { createKeyForm, type KeyForm } from './key-form.ts';
import { CACHE_BYTES_MAX, type KeyValueStoreOptions } from './key-value-store.ts';
import { type CapturedRow, captureRow, MergedRows, sortCaptured } from './merged-rows.ts';
import { OpenRows } from './open-rows.ts';
import { capturePrior } from './prior.ts';
import { SegmentExpiry } from './segment-expiry.ts';
import { type KeyBounds, segmentScans } from './segment-scans.ts';
import { SpanMemory } from './span-memory.ts';
import { createValueForm, type ValueForm } from './value-form.ts';
import { findInRun, runPosition, type WindowRun } from './window-index.ts';

export interface WindowStoreOptions extends KeyValueStoreOptions {
  readonly windowSizeMs: number;
  readonly retentionMs: number;
  /** Several values per key and start. */
  readonly duplicates?: boolean | undefined;
  /** Headers of the record in hand: changelog records of a store with duplicates carry them, as Kafka Streams' do. */
  readonly currentHeaders?: (() => RecordHeaders) | undefined;
  /** Rows stay until `releaseBelow` has passed them, however old: see `closedRows`. */
  readonly holdsClosed?: boolean | undefined;
  /** A write older than the retention was refused (and logged). */
  readonly onExpired?: (() => void) | undefined;
}

const SEQUENCE_MASK = 0x7fffffff;

export class StagedWindowStore<K, V> implements WindowStore<K, V>, StagedStore {
  readonly kind = 'window';
  readonly name: string;
  readonly windowSizeMs: number;
  readonly retentionMs: number;
  readonly #intervalMs: number;
  readonly #duplicatesKept: boolean;
  readonly #currentHeaders: (() => RecordHeaders) | undefined;
  readonly #onExpired: (() => void) | undefined;
  readonly #keys: KeyForm;
  readonly #values: ValueForm;
  readonly #disk: ByteStore;
  readonly #mark: LayoutMark;
  readonly #now: () => number;
  readonly #runs = new Map<string, WindowRun<V, K>>();
  readonly #staging: Staging<V, K>;
  readonly #openRows: OpenRows;
  readonly #checkKey: (key: Uint8Array) => void;
  readonly #held: HeldRows;
  readonly #expiry: SegmentExpiry;
  #keepPrior = false;
  readonly #memory = new SpanMemory();

  constructor(options: WindowStoreOptions) {
    const topic = options.topic ?? options.name;
    this.name = options.name;
    this.windowSizeMs = options.windowSizeMs;
    this.retentionMs = options.retentionMs;
    this.#intervalMs = segmentInterval(options.retentionMs);
    this.#duplicatesKept = options.duplicates ?? false;
    this.#currentHeaders = options.currentHeaders;
    this.#onExpired = options.onExpired;
    this.#held = new HeldRows(options.holdsClosed ?? false);
    this.#expiry = new SegmentExpiry(options.name, this.#intervalMs, options.retentionMs);
    this.#keys = createKeyForm(options.key, options.name, topic);
    this.#openRows = new OpenRows(options.onRows);
    this.#values = createValueForm(options.value, options.name, topic, options.logEveryWrite);
    this.#disk = options.database.store(options.name);
    this.#checkKey = keyBound(options.database, options.name);
    this.#mark = new LayoutMark(options.database, options.name, windowLayout(this.#intervalMs));
    this.#now = options.currentTimestamp;
    this.#staging = new Staging<V, K>(
      {
        name: options.name,
        keyOffset: SEGMENT_BYTES,
        freeze: (entry) => (entry.present ? this.#values.freeze(entry.value, entry.timestamp) : null),
        sizeOf: (entry) => (entry.present ? this.#values.sizeOf(entry.value) : 0),
        forget: (entry) => this.#forget(entry),
      },
      { cacheBytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX, logEveryWrite: options.logEveryWrite ?? false },
    );
  }

  // ---- for operators: one lookup, no allocation on a hot key ----

  /** The live entry of a key and window start; `present` false where there is none, or where retention hides it. */
  find(key: K, start: number): StagedEntry<V, K> {
    const text = this.#keys.textOf(key);
    const run = this.#runs.get(text);
    if (run !== undefined && start > this.#memory.observed - this.retentionMs) {
      const entry = findInRun(run, start, 0);
      if (entry !== undefined) {
        entry.referenced = true;
        return entry;
      }
    }
    return this.#load(run ?? this.#runOf(key, text), start);
  }

  /** `value` null or undefined deletes. */
  write(key: K, start: number, value: V | null | undefined, timestamp: number): void {
    const text = this.#keys.textOf(key);
    const run = this.#runs.get(text) ?? this.#runOf(key, text);
    if (this.#duplicatesKept) {
      this.#memory.sequence = (this.#memory.sequence + 1) & SEQUENCE_MASK;
      const entry = findInRun(run, start, this.#memory.sequence) ?? this.#entryFor(run, start, this.#memory.sequence);
      entry.headers = this.#currentHeaders?.();
      if (value === null || value === undefined) this.#logNothing(entry, timestamp);
      else this.writeEntry(entry, value, timestamp);
      return;
    }
    this.writeEntry(findInRun(run, start, 0) ?? (this.#keepPrior ? this.#load(run, start) : this.#entryFor(run, start, 0)), value, timestamp);
  }

  /** Null means no single row among duplicates: it takes a number and is logged, but moves no time, as in Kafka Streams. */
  #logNothing(entry: StagedEntry<V, K>, timestamp: number): void {
    entry.timestamp = timestamp;
    if (entry.place === IN_NONE) this.#admit(entry);
    this.#staging.touch(entry);
  }

  /** Same entry, no second lookup. `value` null or undefined deletes. */
  writeEntry(found: StagedEntry<V, K>, value: V | null | undefined, timestamp: number): void {
    const present = value !== null && value !== undefined;
    const kept = present ? (this.#values.keep(value) as V) : undefined;
    const entry = found.place === GONE ? this.#successor(found) : found;
    if (entry.place !== IN_OPEN) this.#checkKey(entry.diskKey);
    if (this.#keepPrior && !entry.pending) capturePrior(entry, value, this.#disk, this.#values);
    entry.present = present;
    entry.value = kept;
    entry.timestamp = timestamp;
    if (entry.place === IN_NONE || entry.place === GONE) this.#admit(entry);
    this.#staging.touch(entry);
    if (entry.start > this.#memory.observed) this.#memory.observed = entry.start;
    // With a retention of 0 even the newest is refused.
    if (entry.start <= this.#memory.observed - this.retentionMs) this.#onExpired?.();
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

  /** Rows whose window start lies in [from, to], by start, then key bytes; rows that retention hides included while they are held. */
  closedRows(from: number, to: number): Entry<Windowed<K>, V>[] {
    const rows = [...this.#rowsBetween(from, to, {})];
    // Sound: rows of one start come in order of key bytes, and the sort is stable.
    return rows.sort((a, b) => a.key.window.start - b.key.window.start);
  }

  /** Rows of windows that start before `start` have been handed on: retention may have them. */
  releaseBelow(start: number): void {
    this.#held.releaseBelow(start);
  }

  /** Largest window start written; -1 before any. */
  get observedTime(): number {
    return this.#memory.observed;
  }

  // ---- for user code ----

  get(key: K, windowStart: number): V | undefined {
    if (!this.#duplicatesKept) return this.find(key, windowStart).value;
    let last: V | undefined;
    for (const row of this.fetch(key, { from: windowStart, to: windowStart })) last = row.value;
    return last;
  }

  put(key: K, value: V, windowStart: number): void {
    this.write(key, windowStart, value, this.#now());
  }

  delete(key: K, windowStart: number): void {
    this.write(key, windowStart, undefined, this.#now());
  }

  fetch(key: K, range: TimeRange = {}): Rows<Entry<Windowed<K>, V>> {
    const [from, to] = this.#visible(range);
    const bytes = copyBytes(this.#keys.bytesOf(key));
    const own = this.#keys.own(key, this.#keys.textOf(key));
    const staged: CapturedRow<V, K>[] = [];
    for (const entry of this.#runs.get(own.text)?.entries ?? []) {
      if (entry.start >= from && entry.start <= to && (entry.place === IN_OPEN || entry.closing !== undefined || entry.committed !== undefined))
        staged.push(captureRow(entry));
    }
    const rowBytes = SEGMENT_BYTES + bytes.length + WINDOW_SUFFIX_BYTES;
    return this.#rows(
      range,
      staged,
      (segment) => windowScanBounds(bytes, segment, from, to),
      from,
      to,
      (diskKey) => diskKey.length === rowBytes, // a longer key may begin with this one
      () => own.key as K,
    );
  }

  fetchAll(range: TimeRange & { readonly fromKey?: K | undefined; readonly toKey?: K | undefined } = {}): Rows<Entry<Windowed<K>, V>> {
    const [from, to] = this.#visible(range);
    return this.#rowsBetween(from, to, range);
  }

  #rowsBetween(from: number, to: number, range: TimeRange & { readonly fromKey?: K | undefined; readonly toKey?: K | undefined }): Rows<Entry<Windowed<K>, V>> {
    const fromKey = range.fromKey === undefined ? undefined : copyBytes(this.#keys.bytesOf(range.fromKey));
    const toKey = range.toKey === undefined ? undefined : copyBytes(this.#keys.bytesOf(range.toKey));
    const accepts = (diskKey: Buffer): boolean => {
      const start = diskKeyStart(diskKey);
      if (start < from || start > to) return false;
      const key = diskKey.subarray(SEGMENT_BYTES, diskKey.length - WINDOW_SUFFIX_BYTES);
      return (fromKey === undefined || Buffer.compare(key, fromKey) >= 0) && (toKey === undefined || Buffer.compare(key, toKey) <= 0);
    };
    const staged: CapturedRow<V, K>[] = [];
    for (const entry of this.#staging.staged()) if (accepts(entry.diskKey)) staged.push(captureRow(entry));
    return this.#rows(
      range,
      staged,
      'whole segments',
      from,
      to,
      accepts,
      (diskKey) => this.#keys.fromBytes(copyBytes(diskKey.subarray(SEGMENT_BYTES, diskKey.length - WINDOW_SUFFIX_BYTES))) as K,
    );
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
    this.#memory.close();
    this.#held.close();
  }

  committed(): void {
    this.#staging.committed();
    this.#memory.commit();
    this.#held.committed();
  }

  settle(batch: WriteBatch): void {
    if (this.#staging.unsettled) this.#mark.into(batch);
    this.#expiry.into(batch, this.#memory.committed.observedTime, this.#held.from);
    const hiddenUpTo = this.#memory.committed.observedTime - this.retentionMs;
    this.#staging.settle(batch, (entry) => entry.start <= hiddenUpTo && entry.start < this.#held.from);
  }

  settled(): void {
    if (this.#staging.unsettled) this.#mark.settled();
    this.#staging.settled();
    this.#memory.settle();
    this.#expiry.settled();
  }

  drop(): void {
    this.endRows();
    for (const run of this.#runs.values()) for (const entry of run.entries) entry.place = GONE;
    this.#runs.clear();
    this.#staging.drop();
    this.#held.drop();
    this.#memory.drop();
  }

  /** Ends every iterator still open: its callback has returned. */
  endRows(): void {
    this.#openRows.end();
  }

  applyRestored(batch: WriteBatch, key: Uint8Array, value: Uint8Array | null, timestamp: number): void {
    const parts = parseWindowKey(asBuffer(key), this.name);
    const observedTime = Math.max(this.#memory.observed, parts.start);
    const duplicates = this.#duplicatesKept ? Math.max(this.#memory.sequence, parts.sequence) : this.#memory.sequence;
    if (observedTime !== this.#memory.observed || duplicates !== this.#memory.sequence) this.#memory.restore({ observedTime, duplicates });
    this.#mark.into(batch);
    this.#expiry.into(batch, this.#memory.committed.observedTime, this.#held.from);
    this.#expiry.settled();
    if (parts.start <= this.#memory.observed - this.retentionMs && parts.start < this.#held.from) return;
    if (this.#runs.size > 0) this.#forgetBytes(parts.key, parts.start, parts.sequence);
    const diskKey = windowDiskKey(parts.key, parts.start, parts.sequence, this.#intervalMs);
    if (value === null) batch.delete(this.name, diskKey);
    else batch.put(this.name, diskKey, timestampedValue(value, timestamp));
  }

  memory(): StoreMemory {
    return this.#memory.committed;
  }

  restoreMemory(memory: StoreMemory): void {
    this.#memory.restore(memory);
  }

  checkWrites(on: boolean): void {
    this.#values.checkWrites(on);
  }

  setCacheMax(bytes: number): void {
    this.#staging.setCacheMax(bytes);
  }

  // ---- inside ----

  #runOf(key: K, text: string): WindowRun<V, K> {
    const own = this.#keys.own(key, text);
    return this.#runs.get(own.text) ?? { key: own.key as K, text: own.text, bytes: own.bytes, entries: [] };
  }

  #entryFor(run: WindowRun<V, K>, start: number, sequence: number): StagedEntry<V, K> {
    if (!Number.isSafeInteger(start) || start < 0) {
      throw new MillraceError(
        'ERR_INVALID_TIMESTAMP',
        `window store ${this.name} was given the window start ${start}; a start is a whole number of ms, 0 or later`,
        { store: this.name },
      );
    }
    return new StagedEntry<V, K>(run.key, run.text, windowDiskKey(run.bytes, start, sequence, this.#intervalMs), start, sequence);
  }

  #load(run: WindowRun<V, K>, start: number): StagedEntry<V, K> {
    const entry = this.#entryFor(run, start, 0);
    if (start <= this.#memory.observed - this.retentionMs) {
      entry.place = GONE; // hidden: nothing to read, nothing to keep
      return entry;
    }
    const known = findInRun(run, start, 0); // the run may have been found only by its canonical text
    if (known !== undefined) return known;
    const row = this.#disk.get(entry.diskKey);
    entry.present = row !== undefined;
    entry.value = row === undefined ? undefined : (this.#values.thaw(row) as V);
    entry.timestamp = row === undefined ? -1 : rowTimestamp(row, this.name);
    this.#admit(entry);
    this.#staging.addClean(entry);
    return entry;
  }

  /** Who stands in for an entry that has left memory. */
  #successor(gone: StagedEntry<V, K>): StagedEntry<V, K> {
    const run = this.#runs.get(gone.text);
    const known = run === undefined ? undefined : findInRun(run, gone.start, gone.sequence);
    if (known !== undefined) return known;
    if (gone.start <= this.#memory.observed - this.retentionMs || gone.sequence > 0)
      return new StagedEntry<V, K>(gone.key, gone.text, gone.diskKey, gone.start, gone.sequence);
    return this.#load(run ?? this.#runOf(gone.key, gone.text), gone.start);
  }

  #admit(entry: StagedEntry<V, K>): void {
    entry.place = IN_NONE;
    let run = this.#runs.get(entry.text);
    if (run === undefined) {
      run = { key: entry.key, text: entry.text, bytes: entry.diskKey.subarray(SEGMENT_BYTES, entry.diskKey.length - WINDOW_SUFFIX_BYTES), entries: [] };
      this.#runs.set(entry.text, run);
    }
    const at = runPosition(run, entry.start, entry.sequence);
    if (run.entries[at] !== entry) run.entries.splice(at, 0, entry);
  }

  #forget(entry: StagedEntry<V, K>): void {
    const run = this.#runs.get(entry.text);
    const at = run === undefined ? -1 : run.entries.indexOf(entry);
    if (run === undefined || at < 0) return;
    run.entries.splice(at, 1);
    if (run.entries.length === 0) this.#runs.delete(entry.text);
  }

  #forgetBytes(key: Buffer, start: number, sequence: number): void {
    const decoded = this.#keys.fromBytes(copyBytes(key)) as K;
    const run = this.#runs.get(this.#keys.own(decoded, this.#keys.textOf(decoded)).text);
    const entry = run === undefined ? undefined : findInRun(run, start, sequence);
    if (entry !== undefined) this.#staging.forgetClean(entry);
  }

  /** The window starts of a range that retention leaves, and that can exist at all. */
  #visible(range: TimeRange): readonly [from: number, to: number] {
    return [Math.max(range.from ?? 0, this.#memory.observed - this.retentionMs + 1, 0), Math.min(range.to ?? this.#memory.observed, this.#memory.observed)];
  }

  #rows(
    range: TimeRange,
    staged: CapturedRow<V, K>[],
    bounds: KeyBounds | 'whole segments',
    from: number,
    to: number,
    accepts: (diskKey: Buffer) => boolean,
    keyOf: (diskKey: Buffer) => K,
  ): Rows<Entry<Windowed<K>, V>> {
    const reverse = range.reverse === true;
    sortCaptured(staged, reverse);
    const size = this.windowSizeMs;
    const rows = new MergedRows<Entry<Windowed<K>, V>, V, K>({
      scans: segmentScans(this.#disk, { from, to, intervalMs: this.#intervalMs }, bounds, reverse),
      staged,
      reverse,
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      fromStaged: (row) => ({ key: { key: row.key, window: { start: row.start, end: row.start + size } }, value: row.value as V, timestamp: row.timestamp }),
      fromDisk: (diskKey, row) => {
        if (!accepts(diskKey)) return undefined;
        const start = diskKeyStart(diskKey);
        return {
          key: { key: keyOf(diskKey), window: { start, end: start + size } },
          value: this.#values.thaw(row) as V,
          timestamp: rowTimestamp(row, this.name),
        };
      },
      onClose: this.#openRows.closed,
    });
    return this.#openRows.add(rows);
  }
}
