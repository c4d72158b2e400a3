// Rows of a session store. On the changelog: key | 8-byte session end | 8-byte session start, as Kafka Streams writes them.
// On disk the same behind 8 bytes of segment number; a session lies in the segment of its end. Source: semantics 17.4 to 17.7.
import { MillraceError, readSafeInteger, writeSafeInteger } from '@millrace/core';
import { SEGMENT_BYTES, segmentOf } from './window.ts';

/** End and start behind the key. */
export const SESSION_SUFFIX_BYTES = 16;

export function sessionLayout(intervalMs: number): string {
  return `session/1/${intervalMs}`;
}

/** The key on disk. Its bytes from SEGMENT_BYTES on are the changelog's key. */
export function sessionDiskKey(key: Uint8Array, start: number, end: number, intervalMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES + key.length + SESSION_SUFFIX_BYTES);
  writeSafeInteger(segmentOf(end, intervalMs), bytes, 0);
  writeSuffix(bytes, key, end, start);
  return bytes;
}

export interface SessionKeyParts {
  readonly key: Buffer;
  readonly start: number;
  readonly end: number;
}

/** The parts of a changelog key. Throws ERR_STORE_CORRUPT for one that is too short. */
export function parseSessionKey(bytes: Buffer, store: string): SessionKeyParts {
  const split = bytes.length - SESSION_SUFFIX_BYTES;
  if (split < 0) {
    throw new MillraceError('ERR_STORE_CORRUPT', `a key of session store ${store} has ${bytes.length} bytes, at least ${SESSION_SUFFIX_BYTES} are needed`, {
      store,
    });
  }
  return { key: bytes.subarray(0, split), end: readSafeInteger(bytes, split), start: readSafeInteger(bytes, split + 8) };
}

/** Key bytes, end and start of a key on disk. The key is a view. */
export function sessionOfDiskKey(diskKey: Buffer): SessionKeyParts {
  const split = diskKey.length - SESSION_SUFFIX_BYTES;
  return { key: diskKey.subarray(SEGMENT_BYTES, split), end: readSafeInteger(diskKey, split), start: readSafeInteger(diskKey, split + 8) };
}

/** Bounds of one key's rows within one segment, both inclusive, by session end. */
export function sessionScanBounds(key: Uint8Array, segment: number, fromEnd: number, toEnd: number): { readonly gte: Buffer; readonly lte: Buffer } {
  return { gte: bound(key, segment, fromEnd, 0), lte: bound(key, segment, toEnd, Number.MAX_SAFE_INTEGER) };
}

function bound(key: Uint8Array, segment: number, end: number, start: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES + key.length + SESSION_SUFFIX_BYTES);
  writeSafeInteger(segment, bytes, 0);
  writeSuffix(bytes, key, end, start);
  return bytes;
}

function writeSuffix(bytes: Buffer, key: Uint8Array, end: number, start: number): void {
  bytes.set(key, SEGMENT_BYTES);
  writeSafeInteger(end, bytes, SEGMENT_BYTES + key.length);
  writeSafeInteger(start, bytes, SEGMENT_BYTES + key.length + 8);
}
