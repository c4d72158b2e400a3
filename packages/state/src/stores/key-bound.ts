// Keys that the engine cannot hold are refused when they are written: there the record's policy can judge it. After the commit nobody could.
import { MillraceError } from '@millrace/core';
import type { Database } from '../byte-store.ts';

/** Throws ERR_RECORD_TOO_LARGE for a row key that is too long. `extraBytes`: what the layout adds to the bytes that are asked about. */
export function keyBound(database: Database, store: string, extraBytes = 0): (key: Uint8Array) => void {
  const keyBytesMax = database.keyBytesMaxOf === undefined ? database.keyBytesMax : database.keyBytesMaxOf(store);
  if (keyBytesMax === undefined) return () => {};
  return (key) => {
    if (key.length + extraBytes <= keyBytesMax) return;
    throw new MillraceError(
      'ERR_RECORD_TOO_LARGE',
      `store ${store} was given a key that takes ${key.length + extraBytes} bytes on disk; this engine holds keys of up to ${keyBytesMax}. Use shorter keys, or the rocksdb engine.`,
      { store },
    );
  };
}
