// What a versioned store has on disk: finds versions there, and turns writes into changes of rows.
// Owns nothing but the way into the rows.  Never: knows staging, serdes or who asks.
// H1 versions of a key never overlap: a write below a newer one ends where that begins, and ends what it falls into.
// H2 nothing is put into a segment that has expired: what would go there is gone.
import { asBuffer } from '@millrace/core';
import type { ByteRows, ByteStore, WriteBatch } from '../byte-store.ts';
import { rowTimestamp, timestampedValue, VALUE_AT } from '../layouts/key-value.ts';
import { historyInterval, historyKey, historyRow, historySegment, latestKey, OPEN_END, parseHistoryRow, type StoredVersion } from '../layouts/versioned.ts';

/** Versions of one key, oldest first, as far as they are known. */
export interface KnownVersions {
  versions: StoredVersion[];
  /** All that are on disk are here; else the newest one only. */
  complete: boolean;
}

export class VersionHistory {
  readonly intervalMs: number;
  readonly #disk: ByteStore;
  readonly #name: string;
  readonly #historyMs: number;

  constructor(disk: ByteStore, name: string, historyMs: number) {
    this.#disk = disk;
    this.#name = name;
    this.#historyMs = historyMs;
    this.intervalMs = historyInterval(historyMs);
  }

  /** The newest version, unless it is a tombstone. */
  latest(key: Uint8Array): StoredVersion | undefined {
    const row = this.#disk.get(latestKey(key));
    return row === undefined ? undefined : { from: rowTimestamp(row, this.#name), to: OPEN_END, value: row.subarray(VALUE_AT) };
  }

  /** The version below the newest one that held at `asOf`. Cost: one seek per segment from there to `observed`. */
  superseded(key: Uint8Array, asOf: number, observed: number): StoredVersion | undefined {
    if (asOf < 0) return undefined; // as bytes it would be the latest of all
    for (let segment = this.#segmentOf(asOf); segment <= this.#segmentOf(observed); segment++) {
      const found = this.#first(this.#disk.scan({ gte: historyKey(segment, key, 0), lte: historyKey(segment, key, asOf), reverse: true, limit: 1 }));
      // A tombstone may have been left with an open end: a value in a later segment may still hold.
      if (found !== undefined && found.to > asOf && found.value !== null) return found;
    }
    return undefined;
  }

  /** Is there a version, or a tombstone, that begins after `from`? */
  hasNewer(key: Uint8Array, from: number, observed: number): boolean {
    const latest = this.latest(key);
    if (latest !== undefined) return latest.from > from;
    for (let segment = this.#segmentOf(observed); segment >= this.#segmentOf(from); segment--) {
      if (this.#first(this.#disk.scan({ gte: historyKey(segment, key, from + 1), lte: historyKey(segment, key, OPEN_END), limit: 1 })) !== undefined)
        return true;
    }
    return false;
  }

  /** Every version that is not expired, oldest first. */
  all(key: Uint8Array, observed: number): StoredVersion[] {
    const found: StoredVersion[] = [];
    for (let segment = this.liveFrom(observed); segment <= this.#segmentOf(observed); segment++) {
      const rows = this.#disk.scan({ gte: historyKey(segment, key, 0), lte: historyKey(segment, key, OPEN_END) });
      while (rows.next()) found.push(parseHistoryRow(rows.key, rows.value, this.#name));
      rows.close();
    }
    const latest = this.latest(key);
    if (latest !== undefined) found.push(latest);
    return found.sort((a, b) => a.from - b.from);
  }

  /** The first segment whose rows may still be asked for. */
  liveFrom(observed: number): number {
    return this.#segmentOf(Math.max(0, observed - this.#historyMs));
  }

  /** Whole segments below the history leave the disk. Returns the first that stays. */
  expire(batch: WriteBatch, expiredBelow: number, observed: number): number {
    const live = this.liveFrom(observed);
    if (live > Math.max(0, expiredBelow)) batch.expireRange(this.#name, historySegment(Math.max(0, expiredBelow)), historySegment(live));
    return live;
  }

  /** Adds one version. `known` is the key as of this point in the batch and is brought up to date; `observed` the time before the write. */
  write(batch: WriteBatch, key: Uint8Array, known: KnownVersions, from: number, value: Uint8Array | null, observed: number): void {
    const own = value === null ? null : asBuffer(value);
    this.#learn(key, known, from, observed);
    const { versions } = known;
    let at = versions.length;
    while (at > 0 && (versions[at - 1] as StoredVersion).from > from) at--;
    const before = versions[at - 1];
    const live = this.liveFrom(Math.max(observed, from));
    if (before?.from === from) {
      this.#remove(batch, key, before);
      versions[at - 1] = { from, to: Math.min(before.to, versions[at]?.from ?? OPEN_END), value: own };
      this.#place(batch, key, versions[at - 1] as StoredVersion, live);
      return;
    }
    const version: StoredVersion = { from, to: versions[at]?.from ?? OPEN_END, value: own };
    // A tombstone may keep its open end: whatever is newer is found before it.
    if (before !== undefined && before.value !== null && before.to > from) {
      this.#remove(batch, key, before);
      versions[at - 1] = { ...before, to: from };
      this.#place(batch, key, versions[at - 1] as StoredVersion, live);
    }
    this.#place(batch, key, version, live);
    versions.splice(at, 0, version);
  }

  /** Reads as much of the key as a write at `from` needs: in order of time the newest version is enough. */
  #learn(key: Uint8Array, known: KnownVersions, from: number, observed: number): void {
    if (known.complete) return;
    if (known.versions.length === 0) {
      const latest = this.latest(key);
      if (latest !== undefined) known.versions.push(latest);
    }
    const newest = known.versions[known.versions.length - 1];
    if (newest !== undefined ? from >= newest.from : from > observed) return;
    const have = new Set(known.versions.map((version) => version.from));
    known.versions = [...this.all(key, observed).filter((version) => !have.has(version.from)), ...known.versions].sort((a, b) => a.from - b.from);
    known.complete = true;
  }

  #place(batch: WriteBatch, key: Uint8Array, version: StoredVersion, live: number): void {
    if (version.to === OPEN_END && version.value !== null) {
      batch.put(this.#name, latestKey(key), timestampedValue(version.value, version.from));
      return;
    }
    const segment = this.#segmentHolding(version);
    if (segment >= live) batch.put(this.#name, historyKey(segment, key, version.from), historyRow(version));
  }

  #remove(batch: WriteBatch, key: Uint8Array, version: StoredVersion): void {
    if (version.to === OPEN_END && version.value !== null) batch.delete(this.#name, latestKey(key));
    else batch.delete(this.#name, historyKey(this.#segmentHolding(version), key, version.from));
  }

  #segmentHolding(version: StoredVersion): number {
    return this.#segmentOf(version.to === OPEN_END ? version.from : version.to);
  }

  #segmentOf(at: number): number {
    return Math.floor(Math.max(0, at) / this.intervalMs);
  }

  #first(rows: ByteRows): StoredVersion | undefined {
    const found = rows.next() ? parseHistoryRow(rows.key, rows.value, this.#name) : undefined;
    rows.close();
    return found;
  }
}
