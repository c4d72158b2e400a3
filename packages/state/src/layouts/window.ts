// Rows of a window store. On the changelog: key | 8-byte window start | 4-byte sequence, as Kafka Streams writes them.
// On disk the same behind 8 bytes of segment number, so that expiry removes whole ranges and a scan of everything has the
// order of Kafka's segmented store: segment, key bytes, start. Source: semantics 17.3 to 17.5.
import { MillraceError, readSafeInteger, writeSafeInteger } from '@millrace/core';

export const SEGMENT_BYTES = 8;
/** Start and sequence behind the key. */
export const WINDOW_SUFFIX_BYTES = 12;

const SEGMENT_MS_MIN = 60_000;

/** Width of a segment in ms of window start. */
export function segmentInterval(retentionMs: number): number {
  return Math.max(Math.floor(retentionMs / 2), SEGMENT_MS_MIN);
}

export function segmentOf(start: number, intervalMs: number): number {
  return Math.floor(start / intervalMs);
}

export function windowLayout(intervalMs: number): string {
  return `window/1/${intervalMs}`;
}

/** The key on disk. Its bytes from SEGMENT_BYTES on are the changelog's key. */
export function windowDiskKey(key: Uint8Array, start: number, sequence: number, intervalMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES + key.length + WINDOW_SUFFIX_BYTES);
  writeSafeInteger(segmentOf(start, intervalMs), bytes, 0);
  bytes.set(key, SEGMENT_BYTES);
  writeSafeInteger(start, bytes, SEGMENT_BYTES + key.length);
  bytes.writeUInt32BE(sequence, SEGMENT_BYTES + key.length + 8);
  return bytes;
}

/** First key of a segment: the bound for expiry and for scans. */
export function segmentStart(segment: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES);
  writeSafeInteger(segment, bytes, 0);
  return bytes;
}

/** Number of the segment that a key on disk lies in. */
export function diskKeySegment(diskKey: Buffer): number {
  return readSafeInteger(diskKey, 0);
}

export interface WindowKeyParts {
  readonly key: Buffer;
  readonly start: number;
  readonly sequence: number;
}

/** The parts of a changelog key. Throws ERR_STORE_CORRUPT for one that is too short. */
export function parseWindowKey(bytes: Buffer, store: string): WindowKeyParts {
  const split = bytes.length - WINDOW_SUFFIX_BYTES;
  if (split < 0)
    throw new MillraceError('ERR_STORE_CORRUPT', `a key of window store ${store} has ${bytes.length} bytes, at least ${WINDOW_SUFFIX_BYTES} are needed`, {
      store,
    });
  return { key: bytes.subarray(0, split), start: readSafeInteger(bytes, split), sequence: bytes.readUInt32BE(split + 8) };
}

/** Window start of a key on disk. */
export function diskKeyStart(diskKey: Buffer): number {
  return readSafeInteger(diskKey, diskKey.length - WINDOW_SUFFIX_BYTES);
}

/** Bounds of one key's rows within one segment, both inclusive, by window start. */
export function windowScanBounds(key: Uint8Array, segment: number, fromStart: number, toStart: number): { readonly gte: Buffer; readonly lte: Buffer } {
  return { gte: bound(key, segment, fromStart, 0), lte: bound(key, segment, toStart, 0xffffffff) };
}

function bound(key: Uint8Array, segment: number, start: number, sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEGMENT_BYTES + key.length + WINDOW_SUFFIX_BYTES);
  writeSafeInteger(segment, bytes, 0);
  bytes.set(key, SEGMENT_BYTES);
  writeSafeInteger(start, bytes, SEGMENT_BYTES + key.length);
  bytes.writeUInt32BE(sequence, SEGMENT_BYTES + key.length + 8);
  return bytes;
}
