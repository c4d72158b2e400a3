// One key of a store in memory: its newest value, and frozen rows of older spans only until they are on disk.
// Operators hold an entry between `find` and `writeEntry`; they read the public fields and write through the store.
import { noHeaders, type RecordHeaders } from '@millrace/core';

/** Where an entry stands. In no list: a closing or committed row holds it. Gone: evicted or dropped; a write goes to its successor. */
export const IN_NONE = 0;
export const IN_OPEN = 1;
export const IN_CLEAN = 2;
export const GONE = 3;

export class StagedEntry<V = unknown, K = unknown> {
  readonly key: K;
  /** Window or session start, ms; 0 in a key-value store. */
  readonly start: number;
  /** Tells apart several values of one key and start (a counter; in a session store the session's length); 0 otherwise. */
  readonly sequence: number;
  /** The newest value; undefined when absent. Do not change it in place: give a new one to `writeEntry`. */
  value: V | undefined = undefined;
  /** Event time of the value, ms; -1 when absent from the start. */
  timestamp = -1;
  present = false;
  /** With `keepPrior`: what stood here before the first write of the span that is being filled (or since the last drain). */
  priorValue: V | undefined = undefined;
  priorTimestamp = -1;
  priorPresent = false;
  /** With `keepPrior`: headers of the record behind the last write since the last drain. */
  writtenWith: RecordHeaders = noHeaders;

  /** @internal Headers for the changelog record, where the store logs them (windows with duplicates). */
  headers: RecordHeaders | undefined = undefined;
  /** @internal Map key of `key`. */
  readonly text: string;
  /** @internal Key on disk, own bytes. */
  readonly diskKey: Buffer;
  /** @internal Known not to have been there before the span that is being filled. */
  isNew = false;
  /** @internal Written since the last drain. */
  pending = false;
  /** @internal */
  place = IN_NONE;
  /** @internal Read since the last pass of eviction. */
  referenced = false;
  /** @internal Bytes charged for it. */
  size = 0;
  /** @internal The row of the closing span: null a tombstone, undefined none. */
  closing: Buffer | null | undefined = undefined;
  /** @internal The newest committed row that is not on disk yet. */
  committed: Buffer | null | undefined = undefined;
  /** @internal */
  previous: StagedEntry<V, K> | undefined = undefined;
  /** @internal */
  next: StagedEntry<V, K> | undefined = undefined;

  constructor(key: K, text: string, diskKey: Buffer, start: number, sequence: number) {
    this.key = key;
    this.text = text;
    this.diskKey = diskKey;
    this.start = start;
    this.sequence = sequence;
  }
}
