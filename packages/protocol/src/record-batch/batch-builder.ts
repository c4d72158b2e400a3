// Encodes records straight into a growing buffer that becomes the batch: no object and no copy per record.
// Owns: its buffer, until `release`.  Never: sets sequence, epoch or checksum before the batch is sent (they may change until then).
// B1 bytes [0, 61) are room for the header, records follow without a gap.  B2 base offset is 0; offset delta = position in the batch.
// B3 sealing twice with different producer state gives two valid batches from the same records; the second replaces the first.
import { assert, MillraceError, noHeaders, type RecordHeaders } from '@millrace/core';
import { compress } from '../compression/registry.ts';
import { crc32c } from '../crc32c.ts';
import { unsignedVarintSize, varintSize, varlongSize } from '../varint.ts';
import { writeInt64, writeVarlong } from '../writer.ts';
import { headerBlock } from './encoded-headers.ts';
import {
  AT_ATTRIBUTES,
  AT_BASE_OFFSET,
  AT_BASE_SEQUENCE,
  AT_BASE_TIMESTAMP,
  AT_COUNT,
  AT_CRC,
  AT_LAST_OFFSET_DELTA,
  AT_LEADER_EPOCH,
  AT_LENGTH,
  AT_MAGIC,
  AT_MAX_TIMESTAMP,
  AT_PRODUCER_EPOCH,
  AT_PRODUCER_ID,
  BATCH_HEADER_BYTES,
  LENGTH_PREFIX_BYTES,
  MAGIC,
  TRANSACTIONAL_BIT,
} from './layout.ts';
import type { RecordReader } from './record-reader.ts';

/** Up to this length an unrolled loop beats Buffer.copy, which costs 40 ns however few the bytes are. */
const LOOP_BYTES_MAX = 40;
/** A timestamp and an offset delta, three lengths and an attributes byte never take more. */
const RECORD_OVERHEAD_MAX = 5 + 1 + 10 + 5 + 5 + 5;
const BATCH_BYTES_MAX = 0x4000_0000;

/** Who sends, as it is known when the batch leaves. */
export interface SealOptions {
  /** -1: not idempotent. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly transactional: boolean;
  /** 0 none (default), 1 gzip, …; ERR_PROTOCOL when this process has no such codec. */
  readonly compression?: number | undefined;
}

/** Where a builder's buffer comes from and goes back to. */
export interface BatchMemory {
  /** A buffer of at least `needed` bytes with the first `used` bytes of `buffer`, which must not be used any more. */
  larger(buffer: Buffer, used: number, needed: number): Buffer;
  giveBack(buffer: Buffer): void;
}

export class BatchBuilder {
  #buffer: Buffer;
  #at = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = -1;
  #pool: BatchMemory | undefined;

  /** Use `BatchPool.take`. */
  constructor(buffer: Buffer, pool?: BatchMemory) {
    this.#buffer = buffer;
    this.#pool = pool;
  }

  /** Records so far. */
  get count(): number {
    return this.#count;
  }
  /** Size of the batch, header included, if it were sent uncompressed now. */
  get sizeBytes(): number {
    return this.#at;
  }
  /** Largest timestamp appended; -1 while empty. */
  get maxTimestamp(): number {
    return this.#maxTimestamp;
  }
  /** Bytes of memory held. */
  get capacityBytes(): number {
    return this.#buffer.length;
  }

  /**
   * Appends a record. `key[keyStart, keyEnd)` and `value[valueStart, valueEnd)` are copied; null stands for a missing key, a tombstone.
   * `timestamp`: ms since the epoch, a whole number ≥ 0, or -1 for none. Throws ERR_INVALID_TIMESTAMP.
   */
  append(
    timestamp: number,
    key: Buffer | null,
    keyStart: number,
    keyEnd: number,
    value: Buffer | null,
    valueStart: number,
    valueEnd: number,
    headers: RecordHeaders,
  ): void {
    const delta = this.#timestampDelta(timestamp);
    const keyLength = key === null ? -1 : keyEnd - keyStart;
    const valueLength = value === null ? -1 : valueEnd - valueStart;
    const block = headers === noHeaders ? null : headerBlock(headers);
    const bodyBytes =
      1 +
      varlongSize(delta) +
      unsignedVarintSize(this.#count * 2) +
      (key === null ? 1 : varintSize(keyLength) + keyLength) +
      (value === null ? 1 : varintSize(valueLength) + valueLength) +
      (block === null ? 1 : block.length);
    let at = this.#at;
    this.#reserve(at + 5 + bodyBytes);
    const buffer = this.#buffer;

    at = writeSigned(buffer, at, bodyBytes);
    buffer[at++] = 0;
    at = writeTimestampDelta(buffer, at, delta);
    at = writeSigned(buffer, at, this.#count);
    if (key === null) buffer[at++] = 1;
    else {
      at = writeSigned(buffer, at, keyLength);
      at = copyInto(buffer, at, key, keyStart, keyEnd);
    }
    if (value === null) buffer[at++] = 1;
    else {
      at = writeSigned(buffer, at, valueLength);
      at = copyInto(buffer, at, value, valueStart, valueEnd);
    }
    if (block === null) buffer[at++] = 0;
    else at = copyInto(buffer, at, block, 0, block.length);
    this.#appended(at, timestamp);
  }

  /** Appends a record whose value is the UTF-8 of `text`, written without measuring it first. */
  appendText(timestamp: number, key: Buffer | null, keyStart: number, keyEnd: number, text: string, headers: RecordHeaders): void {
    const delta = this.#timestampDelta(timestamp);
    const keyLength = key === null ? -1 : keyEnd - keyStart;
    const block = headers === noHeaders ? null : headerBlock(headers);
    const headerBytes = block === null ? 1 : block.length;
    const beforeValue = 1 + varlongSize(delta) + unsignedVarintSize(this.#count * 2) + (key === null ? 1 : varintSize(keyLength) + keyLength);
    const start = this.#at;
    // No text takes more than three bytes per UTF-16 unit.
    this.#reserve(start + RECORD_OVERHEAD_MAX + Math.max(keyLength, 0) + text.length * 3 + headerBytes);
    const buffer = this.#buffer;

    // Text is mostly ASCII: assume one byte per unit, and move the value when that was wrong.
    let at = writeSigned(buffer, start, beforeValue + varintSize(text.length) + text.length + headerBytes);
    buffer[at++] = 0;
    at = writeTimestampDelta(buffer, at, delta);
    at = writeSigned(buffer, at, this.#count);
    if (key === null) buffer[at++] = 1;
    else {
      at = writeSigned(buffer, at, keyLength);
      at = copyInto(buffer, at, key, keyStart, keyEnd);
    }
    const lengthAt = at;
    at = writeSigned(buffer, at, text.length);
    const valueLength = (buffer as Utf8Buffer).utf8Write(text, at);
    if (valueLength !== text.length) {
      const bodyBytes = beforeValue + varintSize(valueLength) + valueLength + headerBytes;
      const oldPrefix = varintSize(beforeValue + varintSize(text.length) + text.length + headerBytes);
      const newPrefix = varintSize(bodyBytes);
      const newValueAt = at - oldPrefix + newPrefix - varintSize(text.length) + varintSize(valueLength);
      if (newValueAt !== at) buffer.copyWithin(newValueAt, at, at + valueLength);
      if (newPrefix !== oldPrefix) buffer.copyWithin(start + newPrefix, start + oldPrefix, lengthAt);
      writeSigned(buffer, start, bodyBytes);
      writeSigned(buffer, lengthAt - oldPrefix + newPrefix, valueLength);
      at = newValueAt;
    }
    at += valueLength;
    if (block === null) buffer[at++] = 0;
    else at = copyInto(buffer, at, block, 0, block.length);
    this.#appended(at, timestamp);
  }

  /** Appends the current record of `reader` with another timestamp: key, value and headers go over as one block. */
  appendRecord(timestamp: number, reader: RecordReader): void {
    const delta = this.#timestampDelta(timestamp);
    const blockBytes = reader.headersEnd - reader.bodyStart;
    const bodyBytes = 1 + varlongSize(delta) + unsignedVarintSize(this.#count * 2) + blockBytes;
    let at = this.#at;
    this.#reserve(at + 5 + bodyBytes);
    const buffer = this.#buffer;
    at = writeSigned(buffer, at, bodyBytes);
    buffer[at++] = 0;
    at = writeTimestampDelta(buffer, at, delta);
    at = writeSigned(buffer, at, this.#count);
    at = copyInto(buffer, at, reader.buffer, reader.bodyStart, reader.headersEnd);
    this.#appended(at, timestamp);
  }

  /**
   * Writes header and checksum for sending now; returns the whole batch, a view that lives until the next call on this builder.
   * May be called again, with other producer state, for a retry in another epoch.
   */
  seal(options: SealOptions): Buffer {
    assert(this.#count > 0, 'an empty batch is not sent');
    const compression = options.compression ?? 0;
    const attributes = compression | (options.transactional ? TRANSACTIONAL_BIT : 0);
    if (compression === 0) {
      const batch = this.#buffer.subarray(0, this.#at);
      this.#writeHeader(batch, attributes, options);
      return batch;
    }
    const packed = compress(compression, this.#buffer.subarray(BATCH_HEADER_BYTES, this.#at));
    const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
    packed.copy(batch, BATCH_HEADER_BYTES);
    this.#writeHeader(batch, attributes, options);
    return batch;
  }

  /** Gives the builder back to its pool. No view of it may be used afterwards. */
  release(): void {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool !== undefined) pool.giveBack(this.#buffer);
    this.#buffer = NO_BUFFER;
    this.#at = BATCH_HEADER_BYTES;
    this.#count = 0;
  }

  #writeHeader(batch: Buffer, attributes: number, options: SealOptions): void {
    writeInt64(batch, AT_BASE_OFFSET, 0);
    batch.writeInt32BE(batch.length - LENGTH_PREFIX_BYTES, AT_LENGTH);
    batch.writeInt32BE(-1, AT_LEADER_EPOCH);
    batch[AT_MAGIC] = MAGIC;
    batch.writeInt16BE(attributes, AT_ATTRIBUTES);
    batch.writeInt32BE(this.#count - 1, AT_LAST_OFFSET_DELTA);
    writeInt64(batch, AT_BASE_TIMESTAMP, this.#baseTimestamp);
    writeInt64(batch, AT_MAX_TIMESTAMP, this.#maxTimestamp);
    writeInt64(batch, AT_PRODUCER_ID, options.producerId);
    batch.writeInt16BE(options.producerEpoch, AT_PRODUCER_EPOCH);
    batch.writeInt32BE(options.baseSequence, AT_BASE_SEQUENCE);
    batch.writeInt32BE(this.#count, AT_COUNT);
    batch.writeUInt32BE(crc32c(batch, AT_ATTRIBUTES, batch.length), AT_CRC);
  }

  #timestampDelta(timestamp: number): number {
    if (!Number.isSafeInteger(timestamp) || timestamp < -1 || timestamp > TIMESTAMP_MAX) throw invalidTimestamp(timestamp);
    if (this.#count === 0) this.#baseTimestamp = timestamp;
    return timestamp - this.#baseTimestamp;
  }

  #appended(end: number, timestamp: number): void {
    this.#at = end;
    this.#count += 1;
    if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
  }

  #reserve(end: number): void {
    if (end <= this.#buffer.length) return;
    assert(this.#pool !== undefined, 'builder used after release');
    assert(end <= BATCH_BYTES_MAX, `record batch of ${end} bytes`);
    this.#buffer = this.#pool.larger(this.#buffer, this.#at, end);
  }
}

/** Every Node has `utf8Write` on buffers, without the argument checks of `write` that cost as much as a short text; its types leave it out. */
type Utf8Buffer = Buffer & { utf8Write(text: string, at: number): number };

const NO_BUFFER = Buffer.alloc(0);
/** The reader's own bound, so that what is written can be read. */
const TIMESTAMP_MAX = Number.MAX_SAFE_INTEGER - 0x1_0000_0000;

function invalidTimestamp(timestamp: unknown): MillraceError {
  const what = typeof timestamp === 'bigint' ? `the bigint ${timestamp}n` : String(timestamp);
  return new MillraceError(
    'ERR_INVALID_TIMESTAMP',
    `a record's timestamp is ${what}; it must be a whole number of milliseconds since 1970 (or -1 for none). Convert bigint and Date to a number first`,
  );
}

/** A signed 32-bit integer ≥ 0 (or any, when small) as a zigzag varint. */
function writeSigned(buffer: Buffer, start: number, value: number): number {
  let raw = (value << 1) ^ (value >> 31);
  let at = start;
  if (raw >= 0 && raw < 0x80) {
    buffer[at] = raw;
    return at + 1;
  }
  raw >>>= 0;
  while (raw >= 0x80) {
    buffer[at++] = (raw & 0x7f) | 0x80;
    raw >>>= 7;
  }
  buffer[at] = raw;
  return at + 1;
}

function writeTimestampDelta(buffer: Buffer, at: number, delta: number): number {
  return delta >= -0x4000_0000 && delta < 0x4000_0000 ? writeSigned(buffer, at, delta) : writeVarlong(buffer, at, delta);
}

function copyInto(target: Buffer, start: number, source: Buffer, from: number, to: number): number {
  if (to - from > LOOP_BYTES_MAX) {
    source.copy(target, start, from, to);
    return start + to - from;
  }
  let at = start;
  let index = from;
  for (const stop = to - 7; index < stop; index += 8, at += 8) {
    target[at] = source[index] as number;
    target[at + 1] = source[index + 1] as number;
    target[at + 2] = source[index + 2] as number;
    target[at + 3] = source[index + 3] as number;
    target[at + 4] = source[index + 4] as number;
    target[at + 5] = source[index + 5] as number;
    target[at + 6] = source[index + 6] as number;
    target[at + 7] = source[index + 7] as number;
  }
  while (index < to) target[at++] = source[index++] as number;
  return at;
}
