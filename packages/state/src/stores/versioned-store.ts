// The versioned store: per key every value it has had within `history`, each valid from its time to the next one's (semantics 14).
// Owns: the staged versions and the staging of one store of one task.  Never: awaits, or writes to the engine itself.
// Observed time is the largest version time accepted. A write older than observed - history is refused, but logged, as in Kafka Streams.
// V1 what a key is, is its versions on disk with the staged ones laid over them: equal times, the staged one counts.
// V2 a staged version is one entry; settle hands committed ones to the history in order of last write.
import { copyBytes } from '@millrace/core';
import type { WriteBatch } from '../byte-store.ts';
import { VALUE_AT } from '../layouts/key-value.ts';
import { LayoutMark } from '../layouts/layout-mark.ts';
import { HISTORY_KEY_BYTES, OPEN_END, type StoredVersion, versionedLayout } from '../layouts/versioned.ts';
import { GONE, IN_NONE, StagedEntry } from '../staged-entry.ts';
import type { ChangelogSink, StagedStore, StoreMemory } from '../staged-store.ts';
import { Staging } from '../staging.ts';
import { selectVersions } from '../versioned-view.ts';
import type { Rows, TimeRange, Version, VersionedStore, Written } from './contract.ts';
import { keyBound } from './key-bound.ts';
import { createKeyForm, type KeyForm } from './key-form.ts';
import type { KeyValueStoreOptions } from './key-value-store.ts';
import { OpenRows } from './open-rows.ts';
import { SpanMemory } from './span-memory.ts';
import { createValueForm, type ValueForm } from './value-form.ts';
import { type KnownVersions, VersionHistory } from './version-history.ts';

export interface VersionedStoreOptions extends KeyValueStoreOptions {
  /** How far back versions are kept, and writes accepted, ms of event time. */
  readonly historyMs: number;
  /** A write older than the history was refused (and logged). */
  readonly onExpired?: (() => void) | undefined;
}

/** Staged versions of one key, by time. */
interface Run<V, K> {
  readonly key: K;
  readonly text: string;
  readonly bytes: Buffer;
  readonly entries: StagedEntry<V, K>[];
}

/** `sequence` of an entry that was refused: it is logged and nothing else. */
const REFUSED = 1;

/** A row as operators look at it. */
export interface VersionedRow<K, V> {
  readonly key: K;
  readonly present: boolean;
  readonly value: V | undefined;
  /** -1 when absent. */
  readonly timestamp: number;
}

export class StagedVersionedStore<K, V> implements VersionedStore<K, V>, StagedStore {
  readonly kind = 'versioned';
  readonly name: string;
  readonly historyMs: number;
  readonly #onExpired: (() => void) | undefined;
  readonly #keys: KeyForm;
  readonly #values: ValueForm;
  readonly #history: VersionHistory;
  readonly #mark: LayoutMark;
  readonly #runs = new Map<string, Run<V, K>>();
  readonly #staging: Staging<V, K>;
  /** Keys as far as a batch that is being filled has changed them. */
  readonly #known = new WeakMap<WriteBatch, Map<string, KnownVersions>>();
  readonly #openRows: OpenRows;
  readonly #checkKey: (key: Uint8Array) => void;
  readonly #memory = new SpanMemory();
  #expiredBelow = -1;
  #expiringBelow = -1;

  constructor(options: VersionedStoreOptions) {
    const { name, database } = options;
    const topic = options.topic ?? name;
    this.name = name;
    this.historyMs = options.historyMs;
    this.#onExpired = options.onExpired;
    this.#keys = createKeyForm(options.key, name, topic);
    this.#openRows = new OpenRows(options.onRows);
    this.#values = createValueForm(options.value, name, topic, options.logEveryWrite);
    this.#history = new VersionHistory(database.store(name), name, options.historyMs);
    this.#checkKey = keyBound(database, name, HISTORY_KEY_BYTES);
    this.#mark = new LayoutMark(database, name, versionedLayout(this.#history.intervalMs));
    this.#staging = new Staging<V, K>(
      {
        name,
        keyOffset: 0,
        freeze: (entry) => (entry.present ? this.#values.freeze(entry.value, entry.timestamp) : null),
        sizeOf: (entry) => (entry.present ? this.#values.sizeOf(entry.value) : 0),
        forget: (entry) => this.#forget(entry),
      },
      // A version that is on disk is not kept: it would say nothing about those around it.
      { cacheBytesMax: 0, logEveryWrite: options.logEveryWrite ?? false, keepsPlace: true },
    );
  }

  // ---- for operators ----

  /** The newest version, or the one that held at `asOf`. */
  find(key: K, asOf?: number): VersionedRow<K, V> {
    const version = asOf === undefined ? this.#latest(key) : this.#asOf(key, asOf);
    return version === undefined ? { key, present: false, value: undefined, timestamp: -1 } : { key, present: true, ...version };
  }

  /** `value` null or undefined is a tombstone. */
  write(key: K, value: V | null | undefined, timestamp: number): Written {
    const text = this.#keys.textOf(key);
    const known = this.#runs.get(text);
    const own = known ?? { ...this.#keys.own(key, text), entries: [] };
    const run: Run<V, K> = known ?? this.#runs.get(own.text) ?? { key: own.key as K, text: own.text, bytes: own.bytes, entries: [] };
    this.#checkKey(run.bytes);
    const kept = value === null || value === undefined ? undefined : (this.#values.keep(value) as V);
    if (timestamp < this.#memory.observed - this.historyMs) {
      this.#stage(new StagedEntry<V, K>(run.key, run.text, run.bytes, timestamp, REFUSED), kept, timestamp);
      this.#onExpired?.();
      return 'tooOld';
    }
    const at = positionOf(run, timestamp);
    const there = run.entries[at - 1];
    const entry = there?.start === timestamp ? there : new StagedEntry<V, K>(run.key, run.text, run.bytes, timestamp, 0);
    const isLatest = this.#isNewest(run, timestamp);
    if (entry !== there) {
      run.entries.splice(at, 0, entry);
      this.#runs.set(run.text, run);
    }
    this.#stage(entry, kept, timestamp);
    if (timestamp > this.#memory.observed) this.#memory.observed = timestamp;
    return isLatest ? 'latest' : 'superseded';
  }

  /** The same for a row that was found. */
  writeEntry(found: { readonly key: K }, value: V | null | undefined, timestamp: number): Written {
    return this.write(found.key, value, timestamp);
  }

  /** Largest time of an accepted version; -1 before any. */
  get observedTime(): number {
    return this.#memory.observed;
  }

  // ---- for user code ----

  get(key: K, asOf?: number): V | undefined {
    return this.find(key, asOf).value;
  }

  put(key: K, value: V | null, timestamp: number): Written {
    return this.write(key, value, timestamp);
  }

  versions(key: K, range: TimeRange = {}): Rows<Version<V>> {
    const found = selectVersions(this.#merged(key), range, this.#memory.observed - this.historyMs).map(
      ({ from, to, value }): Version<V> => ({ value, validFrom: from, validTo: to === OPEN_END ? undefined : to }),
    );
    const rows = rowsOf(found, () => this.#openRows.closed(rows));
    return this.#openRows.add(rows);
  }

  // ---- the life of a span ----

  get stagedBytes(): number {
    return this.#staging.stagedBytes;
  }

  get cachedBytes(): number {
    return 0;
  }

  get dirty(): boolean {
    return this.#staging.open.length > 0;
  }

  close(changelog: ChangelogSink | undefined): void {
    this.#staging.close(changelog);
    this.#memory.close();
  }

  committed(): void {
    this.#staging.committed();
    this.#memory.commit();
  }

  settle(batch: WriteBatch): void {
    if (this.#staging.unsettled) this.#mark.into(batch);
    let observed = this.#memory.settled.observedTime;
    this.#expiringBelow = this.#history.expire(batch, this.#expiredBelow, this.#memory.committed.observedTime);
    this.#staging.settleEach((entry, row) => {
      if (entry.sequence === REFUSED) return;
      this.#history.write(batch, entry.diskKey, this.#knownOf(batch, entry.text), entry.start, row === null ? null : row.subarray(VALUE_AT), observed);
      observed = Math.max(observed, entry.start);
    });
  }

  settled(): void {
    if (this.#staging.unsettled) this.#mark.settled();
    this.#staging.settled();
    this.#memory.settle();
    this.#expiredBelow = this.#expiringBelow;
  }

  drop(): void {
    this.endRows();
    for (const run of this.#runs.values()) for (const entry of run.entries) entry.place = GONE;
    this.#runs.clear();
    this.#staging.drop();
    this.#memory.drop();
  }

  endRows(): void {
    this.#openRows.end();
  }

  applyRestored(batch: WriteBatch, key: Uint8Array, value: Uint8Array | null, timestamp: number): void {
    const observed = this.#memory.observed;
    if (timestamp < observed - this.historyMs) return; // refused when it was written
    this.#mark.into(batch);
    const own = copyBytes(key);
    this.#history.write(batch, own, this.#knownOf(batch, own.latin1Slice()), timestamp, value === null ? null : copyBytes(value), observed);
    if (timestamp > observed) this.#memory.restore({ observedTime: timestamp, duplicates: 0 });
    this.#expiredBelow = this.#history.expire(batch, this.#expiredBelow, this.#memory.observed);
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

  setCacheMax(): void {}

  // ---- inside ----

  /** `value` undefined is a tombstone. */
  #stage(entry: StagedEntry<V, K>, value: V | undefined, timestamp: number): void {
    entry.present = value !== undefined;
    entry.value = value;
    entry.timestamp = timestamp;
    if (entry.place === GONE) entry.place = IN_NONE;
    this.#staging.touch(entry);
  }

  #isNewest(run: Run<V, K>, timestamp: number): boolean {
    const last = run.entries[run.entries.length - 1];
    if (last !== undefined && last.start > timestamp) return false;
    if (timestamp >= this.#memory.observed) return true;
    return !this.#history.hasNewer(run.bytes, timestamp, this.#memory.settled.observedTime);
  }

  #latest(key: K): { readonly value: V; readonly timestamp: number } | undefined {
    const run = this.#runs.get(this.#textOf(key));
    const bytes = run?.bytes ?? copyBytes(this.#keys.bytesOf(key));
    const stored = this.#history.latest(bytes);
    const staged = run?.entries[run.entries.length - 1];
    if (
      staged !== undefined &&
      (stored === undefined ? !this.#history.hasNewer(bytes, staged.start, this.#memory.settled.observedTime) : staged.start >= stored.from)
    )
      return staged.present ? { value: staged.value as V, timestamp: staged.start } : undefined;
    return stored === undefined ? undefined : this.#thawed(stored);
  }

  #asOf(key: K, asOf: number): { readonly value: V; readonly timestamp: number } | undefined {
    const latest = this.#latest(key);
    if (latest !== undefined && latest.timestamp <= asOf) return latest;
    if (asOf < this.#memory.observed - this.historyMs) return undefined;
    if (this.#runs.has(this.#textOf(key))) {
      const found = this.#merged(key).findLast((version) => version.from <= asOf && version.to > asOf);
      return found === undefined || found.value === null ? undefined : { value: found.value, timestamp: found.from };
    }
    const stored = this.#history.superseded(this.#keys.bytesOf(key), asOf, this.#memory.settled.observedTime);
    return stored === undefined ? undefined : this.#thawed(stored);
  }

  /** All versions of a key, staged ones over those on disk, oldest first. */
  #merged(key: K): { readonly from: number; readonly to: number; readonly value: V | null }[] {
    const run = this.#runs.get(this.#textOf(key));
    const byTime = new Map<number, { readonly from: number; readonly to: number; readonly value: V | null }>();
    for (const version of this.#history.all(run?.bytes ?? copyBytes(this.#keys.bytesOf(key)), this.#memory.settled.observedTime))
      byTime.set(version.from, { ...version, value: version.value === null ? null : this.#thawed(version).value });
    for (const { start: from, present, value } of run?.entries ?? []) byTime.set(from, { from, to: OPEN_END, value: present ? (value as V) : null });
    const sorted = [...byTime.values()].sort((a, b) => a.from - b.from);
    return sorted.map((version, at) => ({ ...version, to: Math.min(version.to, sorted[at + 1]?.from ?? OPEN_END) }));
  }

  #thawed(version: StoredVersion): { readonly value: V; readonly timestamp: number } {
    return { value: this.#values.thawValue(version.value as Buffer) as V, timestamp: version.from };
  }

  #textOf(key: K): string {
    const text = this.#keys.textOf(key);
    return this.#runs.has(text) ? text : this.#keys.own(key, text).text;
  }

  #knownOf(batch: WriteBatch, text: string): KnownVersions {
    let keys = this.#known.get(batch);
    if (keys === undefined) {
      keys = new Map();
      this.#known.set(batch, keys);
    }
    let known = keys.get(text);
    if (known === undefined) {
      known = { versions: [], complete: false };
      keys.set(text, known);
    }
    return known;
  }

  #forget(entry: StagedEntry<V, K>): void {
    const run = this.#runs.get(entry.text);
    if (run === undefined || entry.sequence === REFUSED) return;
    const at = run.entries.indexOf(entry);
    if (at >= 0) run.entries.splice(at, 1);
    if (run.entries.length === 0) this.#runs.delete(entry.text);
  }
}

/** Index behind the last entry at or before `timestamp`: new ones mostly go to the end. */
function positionOf<V, K>(run: Run<V, K>, timestamp: number): number {
  let at = run.entries.length;
  while (at > 0 && (run.entries[at - 1] as StagedEntry<V, K>).start > timestamp) at--;
  return at;
}

function rowsOf<T>(list: readonly T[], onClose: () => void): Rows<T> {
  let at = 0;
  const close = (): void => {
    at = list.length;
    onClose();
  };
  return {
    next() {
      const value = list[at++];
      if (value !== undefined) return { done: false, value };
      close();
      return { done: true, value: undefined };
    },
    return() {
      close();
      return { done: true, value: undefined };
    },
    [Symbol.iterator]() {
      return this;
    },
    [Symbol.dispose]: close,
  };
}
