// The session store: a value per key and session [start, end], both included, gone after `retention`. Rows on disk lie in segments of time.
// Owns: the entries and the staging of one store of one task.  Never: awaits, or writes to the engine itself.
// Observed time is the largest session end ever written. A session whose end is at or below observed - retention is hidden:
// such a write is logged like any other (as Kafka Streams does) but never reaches the disk.
// S1 the newest row of a session is in its entry if there is one; a read of several lays entries over the disk.
import { asBuffer, copyBytes, MillraceError, type RecordHeaders, type Window, type Windowed } from '@millrace/core';
import type { ByteStore, WriteBatch } from '../byte-store.ts';
import { timestampedValue } from '../layouts/key-value.ts';
import { LayoutMark } from '../layouts/layout-mark.ts';
import { parseSessionKey, SESSION_SUFFIX_BYTES, sessionDiskKey, sessionLayout, sessionOfDiskKey, sessionScanBounds } from '../layouts/session.ts';
import { SEGMENT_BYTES, segmentInterval } from '../layouts/window.ts';
import { GONE, IN_NONE, IN_OPEN, StagedEntry } from '../staged-entry.ts';
import type { ChangelogSink, StagedStore, StoreMemory } from '../staged-store.ts';
import { Staging } from '../staging.ts';
import type { Entry, Rows, SessionStore, TimeRange } from './contract.ts';
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

export interface SessionStoreOptions extends KeyValueStoreOptions {
  readonly retentionMs: number;
  /** Sessions stay until `releaseBelow` has passed them, however old: see `closedRows`. */
  readonly holdsClosed?: boolean | undefined;
  /** A write older than the retention was refused (and logged). */
  readonly onExpired?: (() => void) | undefined;
}

/** Entries of one key, in no order: few sessions of a key are in hand at a time. `sequence` of an entry is its session's length. */
interface Sessions<V, K> {
  readonly key: K;
  readonly text: string;
  readonly bytes: Buffer;
  readonly entries: StagedEntry<V, K>[];
}

export class StagedSessionStore<K, V> implements SessionStore<K, V>, StagedStore {
  readonly kind = 'session';
  readonly name: string;
  readonly retentionMs: number;
  readonly #intervalMs: number;
  readonly #onExpired: (() => void) | undefined;
  readonly #keys: KeyForm;
  readonly #values: ValueForm;
  readonly #disk: ByteStore;
  readonly #mark: LayoutMark;
  readonly #now: () => number;
  readonly #byKey = new Map<string, Sessions<V, K>>();
  readonly #staging: Staging<V, K>;
  readonly #openRows: OpenRows;
  readonly #checkKey: (key: Uint8Array) => void;
  readonly #held: HeldRows;
  readonly #expiry: SegmentExpiry;
  #keepPrior = false;
  readonly #memory = new SpanMemory();

  constructor(options: SessionStoreOptions) {
    const topic = options.topic ?? options.name;
    this.name = options.name;
    this.retentionMs = options.retentionMs;
    this.#intervalMs = segmentInterval(options.retentionMs);
    this.#onExpired = options.onExpired;
    this.#held = new HeldRows(options.holdsClosed ?? false);
    this.#expiry = new SegmentExpiry(options.name, this.#intervalMs, options.retentionMs);
    this.#keys = createKeyForm(options.key, options.name, topic);
    this.#openRows = new OpenRows(options.onRows);
    this.#values = createValueForm(options.value, options.name, topic, options.logEveryWrite);
    this.#disk = options.database.store(options.name);
    this.#checkKey = keyBound(options.database, options.name);
    this.#mark = new LayoutMark(options.database, options.name, sessionLayout(this.#intervalMs));
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

  // ---- for operators ----

  /** The live entry of a session; `present` false where there is none, or where retention hides it. `sequence` is the session's length. */
  find(key: K, window: Window): StagedEntry<V, K> {
    const sessions = this.#sessionsOf(key);
    const entry = findSession(sessions, window.start, window.end);
    if (entry === undefined || this.#isHidden(window.end)) return this.#load(sessions, window.start, window.end);
    entry.referenced = true;
    return entry;
  }

  /** `value` null or undefined deletes. `timestamp` is that of the changelog record. */
  write(key: K, window: Window, value: V | null | undefined, timestamp: number): void {
    const sessions = this.#sessionsOf(key);
    const { start, end } = window;
    const known = findSession(sessions, start, end);
    this.writeEntry(known ?? (this.#keepPrior ? this.#load(sessions, start, end) : this.#entryFor(sessions, start, end)), value, timestamp);
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
    const end = sessionEnd(entry);
    if (end > this.#memory.observed) this.#memory.observed = end;
    if (this.#isHidden(end)) this.#onExpired?.();
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

  /** Sessions whose end lies in [from, to], by end, start, then key bytes; those that retention hides included while they are held. */
  closedRows(from: number, to: number): Entry<Windowed<K>, V>[] {
    const rows = [...this.#rowsBetween(from, {}, (end) => end <= to)];
    // Sound: sessions of one end and start come in order of key bytes, and the sort is stable.
    return rows.sort((a, b) => a.key.window.end - b.key.window.end || a.key.window.start - b.key.window.start);
  }

  /** Sessions that end before `end` have been handed on: retention may have them. */
  releaseBelow(end: number): void {
    this.#held.releaseBelow(end);
  }

  /** Largest session end written; -1 before any. */
  get observedTime(): number {
    return this.#memory.observed;
  }

  // ---- for user code ----

  get(key: K, window: Window): V | undefined {
    return this.find(key, window).value;
  }

  put(session: Windowed<K>, value: V): void {
    this.write(session.key, session.window, value, this.#now());
  }

  delete(session: Windowed<K>): void {
    this.write(session.key, session.window, undefined, this.#now());
  }

  fetch(key: K, range: TimeRange = {}): Rows<Entry<Windowed<K>, V>> {
    return this.#rowsOf(key, { fromEnd: range.from ?? 0, fromStart: range.from ?? 0, toStart: range.to ?? Number.MAX_SAFE_INTEGER }, range);
  }

  findSessions(key: K, bounds: { readonly earliestEnd: number; readonly latestStart: number }): Rows<Entry<Windowed<K>, V>> {
    return this.#rowsOf(key, { fromEnd: bounds.earliestEnd, fromStart: 0, toStart: bounds.latestStart }, {});
  }

  /** Every session that retention leaves: by segment, then key bytes, end, start. */
  fetchAll(range: TimeRange = {}): Rows<Entry<Windowed<K>, V>> {
    const fits = (_end: number, start: number): boolean => start >= (range.from ?? 0) && start <= (range.to ?? Number.MAX_SAFE_INTEGER);
    return this.#rowsBetween(Math.max(range.from ?? 0, this.#visibleFrom()), range, fits);
  }

  #rowsBetween(fromEnd: number, range: TimeRange, fits: (end: number, start: number) => boolean): Rows<Entry<Windowed<K>, V>> {
    const accepts = (diskKey: Buffer): boolean => {
      const { start, end } = sessionOfDiskKey(diskKey);
      return end >= fromEnd && fits(end, start);
    };
    const staged: CapturedRow<V, K>[] = [];
    for (const entry of this.#staging.staged()) if (accepts(entry.diskKey)) staged.push(captureRow(entry));
    return this.#rows(range, staged, 'whole segments', fromEnd, accepts, (diskKey) => this.#keys.fromBytes(copyBytes(sessionOfDiskKey(diskKey).key)) as K);
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
    this.#staging.settle(batch, (entry) => sessionEnd(entry) <= hiddenUpTo && sessionEnd(entry) < this.#held.from);
  }

  settled(): void {
    if (this.#staging.unsettled) this.#mark.settled();
    this.#staging.settled();
    this.#memory.settle();
    this.#expiry.settled();
  }

  drop(): void {
    this.endRows();
    for (const sessions of this.#byKey.values()) for (const entry of sessions.entries) entry.place = GONE;
    this.#byKey.clear();
    this.#staging.drop();
    this.#held.drop();
    this.#memory.drop();
  }

  /** Ends every iterator still open: its callback has returned. */
  endRows(): void {
    this.#openRows.end();
  }

  applyRestored(batch: WriteBatch, key: Uint8Array, value: Uint8Array | null, timestamp: number): void {
    const parts = parseSessionKey(asBuffer(key), this.name);
    if (parts.end > this.#memory.observed) this.#memory.restore({ observedTime: parts.end, duplicates: 0 });
    this.#mark.into(batch);
    this.#expiry.into(batch, this.#memory.committed.observedTime, this.#held.from);
    this.#expiry.settled();
    if (this.#isHidden(parts.end) && parts.end < this.#held.from) return;
    if (this.#byKey.size > 0) this.#forgetBytes(parts.key, parts.start, parts.end);
    const diskKey = sessionDiskKey(parts.key, parts.start, parts.end, this.#intervalMs);
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

  #isHidden(end: number): boolean {
    return end <= this.#memory.observed - this.retentionMs;
  }

  #visibleFrom(): number {
    return Math.max(0, this.#memory.observed - this.retentionMs + 1);
  }

  #sessionsOf(key: K): Sessions<V, K> {
    const text = this.#keys.textOf(key);
    const known = this.#byKey.get(text);
    if (known !== undefined) return known;
    const own = this.#keys.own(key, text);
    return this.#byKey.get(own.text) ?? { key: own.key as K, text: own.text, bytes: own.bytes, entries: [] };
  }

  #entryFor(sessions: Sessions<V, K>, start: number, end: number): StagedEntry<V, K> {
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
      throw new MillraceError(
        'ERR_INVALID_TIMESTAMP',
        `session store ${this.name} was given the session [${start}, ${end}]; both are whole numbers of ms from 0, and the end is not before the start`,
        { store: this.name },
      );
    }
    return new StagedEntry<V, K>(sessions.key, sessions.text, sessionDiskKey(sessions.bytes, start, end, this.#intervalMs), start, end - start);
  }

  #load(sessions: Sessions<V, K>, start: number, end: number): StagedEntry<V, K> {
    const entry = this.#entryFor(sessions, start, end);
    if (this.#isHidden(end)) {
      entry.place = GONE; // hidden: nothing to read, nothing to keep
      return entry;
    }
    const row = this.#disk.get(entry.diskKey);
    entry.present = row !== undefined;
    entry.value = row === undefined ? undefined : (this.#values.thaw(row) as V);
    this.#admit(entry);
    this.#staging.addClean(entry);
    return entry;
  }

  /** Who stands in for an entry that has left memory. */
  #successor(gone: StagedEntry<V, K>): StagedEntry<V, K> {
    const sessions = this.#sessionsOf(gone.key);
    const end = sessionEnd(gone);
    return findSession(sessions, gone.start, end) ?? (this.#isHidden(end) ? this.#entryFor(sessions, gone.start, end) : this.#load(sessions, gone.start, end));
  }

  #admit(entry: StagedEntry<V, K>): void {
    entry.place = IN_NONE;
    let sessions = this.#byKey.get(entry.text);
    if (sessions === undefined) {
      sessions = { key: entry.key, text: entry.text, bytes: sessionOfDiskKey(entry.diskKey).key, entries: [] };
      this.#byKey.set(entry.text, sessions);
    }
    if (!sessions.entries.includes(entry)) sessions.entries.push(entry);
  }

  #forget(entry: StagedEntry<V, K>): void {
    const sessions = this.#byKey.get(entry.text);
    const at = sessions === undefined ? -1 : sessions.entries.indexOf(entry);
    if (sessions === undefined || at < 0) return;
    sessions.entries.splice(at, 1);
    if (sessions.entries.length === 0) this.#byKey.delete(entry.text);
  }

  #forgetBytes(key: Buffer, start: number, end: number): void {
    const entry = findSession(this.#sessionsOf(this.#keys.fromBytes(copyBytes(key)) as K), start, end);
    if (entry !== undefined) this.#staging.forgetClean(entry);
  }

  /** Sessions of one key by end, then start, as of the call. */
  #rowsOf(key: K, within: { readonly fromEnd: number; readonly fromStart: number; readonly toStart: number }, range: TimeRange): Rows<Entry<Windowed<K>, V>> {
    const sessions = this.#sessionsOf(key);
    const fromEnd = Math.max(within.fromEnd, this.#visibleFrom());
    const fits = (start: number, end: number): boolean => end >= fromEnd && start >= within.fromStart && start <= within.toStart;
    const staged: CapturedRow<V, K>[] = [];
    for (const entry of sessions.entries) {
      if (fits(entry.start, sessionEnd(entry)) && (entry.place === IN_OPEN || entry.closing !== undefined || entry.committed !== undefined))
        staged.push(captureRow(entry));
    }
    const rowBytes = SEGMENT_BYTES + sessions.bytes.length + SESSION_SUFFIX_BYTES;
    const accepts = (diskKey: Buffer): boolean => {
      if (diskKey.length !== rowBytes) return false; // a longer key may begin with this one
      const { start, end } = sessionOfDiskKey(diskKey);
      return fits(start, end);
    };
    const to = this.#memory.observed;
    return this.#rows(
      range,
      staged,
      (segment) => sessionScanBounds(sessions.bytes, segment, fromEnd, to),
      fromEnd,
      accepts,
      () => sessions.key,
    );
  }

  #rows(
    range: TimeRange,
    staged: CapturedRow<V, K>[],
    bounds: KeyBounds | 'whole segments',
    fromEnd: number,
    accepts: (diskKey: Buffer) => boolean,
    keyOf: (diskKey: Buffer) => K,
  ): Rows<Entry<Windowed<K>, V>> {
    const reverse = range.reverse === true;
    sortCaptured(staged, reverse);
    const entry = (diskKey: Buffer, key: K, value: V): Entry<Windowed<K>, V> => {
      const { start, end } = sessionOfDiskKey(diskKey);
      return { key: { key, window: { start, end } }, value, timestamp: end };
    };
    const rows = new MergedRows<Entry<Windowed<K>, V>, V, K>({
      scans: segmentScans(this.#disk, { from: fromEnd, to: this.#memory.observed, intervalMs: this.#intervalMs }, bounds, reverse),
      staged,
      reverse,
      limit: range.limit ?? Number.POSITIVE_INFINITY,
      fromStaged: (row) => entry(row.diskKey, row.key, row.value as V),
      fromDisk: (diskKey, row) => (accepts(diskKey) ? entry(diskKey, keyOf(diskKey), this.#values.thaw(row) as V) : undefined),
      onClose: this.#openRows.closed,
    });
    return this.#openRows.add(rows);
  }
}

/** End of the session that an entry stands for. */
export function sessionEnd(entry: { readonly start: number; readonly sequence: number }): number {
  return entry.start + entry.sequence;
}

function findSession<V, K>(sessions: Sessions<V, K>, start: number, end: number): StagedEntry<V, K> | undefined {
  return sessions.entries.find((entry) => entry.start === start && sessionEnd(entry) === end);
}
