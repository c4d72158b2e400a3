// The few header fields that a log walk needs, read and written in place: no object per batch where bytes are only skipped.
// Owns: nothing.  Never: looks behind the header, allocates. Whoever needs the whole header makes a RecordBatchView.
// Source: protocol.md section 4.
import { MillraceError } from '@millrace/core';
import { crc32c } from '@millrace/protocol';

/** Bytes of base offset and length: what the length field does not count. */
export const LENGTH_PREFIX = 12;
/** Size of a batch header, and so the least size of a batch. */
export const BATCH_HEADER = 61;

const AT_ATTRIBUTES = 21;
const AT_LAST_OFFSET_DELTA = 23;
const AT_BASE_TIMESTAMP = 27;
const AT_MAX_TIMESTAMP = 35;
const DELETE_HORIZON = 0x40;
const LOG_APPEND_TIME = 0x08;

/** A signed 64-bit field as a number; beyond 2^53 it is rounded. */
function int64At(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
function putInt64(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
}

export const baseOffsetAt = (buffer: Buffer, at: number): number => int64At(buffer, at);
/** Size of the whole batch, header included. In a damaged file it may be anything. */
export const batchSizeAt = (buffer: Buffer, at: number): number => buffer.readInt32BE(at + 8) + LENGTH_PREFIX;
/** The same for a walk that trusts the file: a size that no batch has would let it stand still, or run backwards. Throws ERR_RECORD_BATCH_CORRUPT. */
export function stepAt(buffer: Buffer, at: number, path: string, position: number, room: number): number {
  const size = batchSizeAt(buffer, at);
  if (size < BATCH_HEADER || size > room) throw damaged(path, position, `a batch of ${size} bytes where ${room} are left`);
  return size;
}
export function damaged(path: string, position: number, what: string): MillraceError {
  return new MillraceError('ERR_RECORD_BATCH_CORRUPT', `${path} is damaged at byte ${position}: ${what}. Restore the file, or delete the data directory.`, {
    position,
  });
}
export const lastOffsetAt = (buffer: Buffer, at: number): number => int64At(buffer, at) + buffer.readInt32BE(at + AT_LAST_OFFSET_DELTA);
export const maxTimestampAt = (buffer: Buffer, at: number): number => int64At(buffer, at + AT_MAX_TIMESTAMP);

/** Stamps from when on tombstones and markers of this batch may go. The base timestamp gives way: record deltas are the caller's business. */
export function setDeleteHorizon(buffer: Buffer, at: number, horizonMs: number): void {
  buffer.writeInt16BE(buffer.readInt16BE(at + AT_ATTRIBUTES) | DELETE_HORIZON, at + AT_ATTRIBUTES);
  putInt64(buffer, at + AT_BASE_TIMESTAMP, horizonMs);
}

/** Sets what changes when a batch loses records. `attributes` undefined: as they are. */
export function setHeader(
  buffer: Buffer,
  at: number,
  header: { readonly length: number; readonly count: number; readonly maxTimestamp: number; readonly attributes: number | undefined },
): void {
  buffer.writeInt32BE(header.length, at + 8);
  if (header.attributes !== undefined) buffer.writeInt16BE(header.attributes, at + AT_ATTRIBUTES);
  putInt64(buffer, at + AT_MAX_TIMESTAMP, header.maxTimestamp);
  buffer.writeInt32BE(header.count, at + 57);
}

/** CRC-32C over everything from the attributes on. */
export function putCrc(buffer: Buffer, at: number, crc: number): void {
  buffer.writeUInt32BE(crc, at + 17);
}
export const CRC_FROM = AT_ATTRIBUTES;

/** Takes the broker's mark off a batch that a client set it on; the times then are the records' own. */
export function clearLogAppendTime(batch: { readonly buffer: Buffer; readonly start: number; readonly end: number }): void {
  const { buffer, start, end } = batch;
  buffer.writeInt16BE(buffer.readInt16BE(start + AT_ATTRIBUTES) & ~LOG_APPEND_TIME, start + AT_ATTRIBUTES);
  putCrc(buffer, start, crc32c(buffer, start + CRC_FROM, end));
}
