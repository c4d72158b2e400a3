// Rows of a versioned store on disk. The newest version of a key lies apart, so that it is one lookup and never expires; older ones lie in
// segments of the time at which they ceased to be valid, so that expiry removes whole ranges (semantics 14.3).
//   0 | key                                            → 8-byte valid-from | value
//   1 | 8-byte segment | 4-byte key length | key | 8-byte valid-from → 8-byte valid-to | 1 value, 0 tombstone | value
// A tombstone that is the newest version is a row of the second kind without an end. On the changelog: key → value at the version's time.
import { MillraceError, readSafeInteger, writeSafeInteger } from '@millrace/core';

/** Valid until further notice. */
export const OPEN_END = Number.MAX_SAFE_INTEGER;
const LATEST = 0;
const HISTORY = 1;
const SEGMENT_AT = 1;
const KEY_LENGTH_AT = 9;
const KEY_AT = 13;
/** Where the value begins in a row of the history. */
const HISTORY_VALUE_AT = 9;
const FROM_BYTES = 8;
/** What a row of the history has beside the key itself. */
export const HISTORY_KEY_BYTES: number = KEY_AT + FROM_BYTES;

export interface StoredVersion {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** Value bytes; null is a tombstone. */
  readonly value: Buffer | null;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** Width of a segment in ms: short histories in few segments, long ones in about a day's hours. */
export function historyInterval(historyMs: number): number {
  if (historyMs <= MINUTE_MS) return Math.max(Math.floor(historyMs / 3), 2 * SECOND_MS);
  if (historyMs <= 5 * MINUTE_MS) return Math.max(Math.floor(historyMs / 5), 20 * SECOND_MS);
  if (historyMs <= HOUR_MS) return Math.max(Math.floor(historyMs / 12), MINUTE_MS);
  return Math.max(Math.floor(historyMs / 24), 5 * MINUTE_MS);
}

export function versionedLayout(intervalMs: number): string {
  return `versioned/1/${intervalMs}`;
}

export function latestKey(key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + key.length);
  bytes[0] = LATEST;
  bytes.set(key, 1);
  return bytes;
}

export function historyKey(segment: number, key: Uint8Array, from: number): Buffer {
  const bytes = Buffer.allocUnsafe(KEY_AT + key.length + FROM_BYTES);
  bytes[0] = HISTORY;
  writeSafeInteger(segment, bytes, SEGMENT_AT);
  bytes.writeUInt32BE(key.length, KEY_LENGTH_AT);
  bytes.set(key, KEY_AT);
  writeSafeInteger(from, bytes, KEY_AT + key.length);
  return bytes;
}

/** First key of a segment: the bound for expiry. */
export function historySegment(segment: number): Buffer {
  const bytes = Buffer.allocUnsafe(KEY_LENGTH_AT);
  bytes[0] = HISTORY;
  writeSafeInteger(segment, bytes, SEGMENT_AT);
  return bytes;
}

export function historyRow(version: StoredVersion): Buffer {
  const { value } = version;
  const bytes = Buffer.allocUnsafe(HISTORY_VALUE_AT + (value?.length ?? 0));
  writeSafeInteger(version.to, bytes, 0);
  bytes[HISTORY_VALUE_AT - 1] = value === null ? 0 : 1;
  if (value !== null) bytes.set(value, HISTORY_VALUE_AT);
  return bytes;
}

/** Throws ERR_STORE_CORRUPT for a row that is too short. */
export function parseHistoryRow(diskKey: Buffer, row: Buffer, store: string): StoredVersion {
  if (row.length < HISTORY_VALUE_AT || diskKey.length < KEY_AT + FROM_BYTES)
    throw new MillraceError('ERR_STORE_CORRUPT', `a row of versioned store ${store} is too short; the store has to be rebuilt from its changelog`, { store });
  const value = row[HISTORY_VALUE_AT - 1] === 0 ? null : row.subarray(HISTORY_VALUE_AT);
  return { from: readSafeInteger(diskKey, diskKey.length - FROM_BYTES), to: readSafeInteger(row, 0), value };
}
