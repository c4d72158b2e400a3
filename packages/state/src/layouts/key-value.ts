// Rows of a key-value store on disk: key bytes → 8-byte big-endian timestamp | value bytes.
// On the changelog: key bytes → value bytes, the timestamp being the record's. Source: semantics 17.1 (Kafka Streams' own bytes).
import { MillraceError, readSafeInteger, writeSafeInteger } from '@millrace/core';

/** Where the value begins in a row. */
export const VALUE_AT = 8;

export const KEY_VALUE_LAYOUT = 'key-value/1';

/** A row from a changelog record. */
export function timestampedValue(value: Uint8Array, timestamp: number): Buffer {
  const row = Buffer.allocUnsafe(VALUE_AT + value.length);
  writeSafeInteger(timestamp, row, 0);
  row.set(value, VALUE_AT);
  return row;
}

/** Timestamp of a row. Throws ERR_STORE_CORRUPT for one that is too short. */
export function rowTimestamp(row: Buffer, store: string): number {
  if (row.length < VALUE_AT)
    throw new MillraceError(
      'ERR_STORE_CORRUPT',
      `a row of store ${store} has ${row.length} bytes, which is less than its timestamp; the store has to be rebuilt from its changelog`,
      { store },
    );
  return readSafeInteger(row, 0);
}
