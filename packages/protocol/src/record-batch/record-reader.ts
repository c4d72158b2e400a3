// Walks the records of a batch without making an object for any of them: one cursor, reused, whose fields are the current record.
// Owns: its position and, for a compressed batch, the decompressed bytes.  Never: copies keys or values, allocates per record, uses BigInt.
// R1 a record never reaches past its own length, nor its batch.  R2 offset deltas ascend and stay within the header's last one.
// R3 exactly `count` records fill the batch exactly.  A breach throws ERR_RECORD_BATCH_CORRUPT before the record is seen.
import type { RecordHeaders } from '@millrace/core';
import { decompress } from '../compression/registry.ts';
import { Reader } from '../reader.ts';
import { batchError } from '../wire-error.ts';
import { checkHeaderBlock, headersFromBlock } from './encoded-headers.ts';
import { BATCH_HEADER_BYTES, RECORD_BYTES_MIN } from './layout.ts';
import type { RecordBatchView } from './view.ts';

/** Ceiling for the records of one compressed batch once unpacked: well above any sane batch, far below what hurts. */
export const DECOMPRESSED_BYTES_MAX = 128 * 1024 * 1024;
const NO_BUFFER = Buffer.alloc(0);

export class RecordReader {
  /** Where keys, values and headers of the current record lie: the batch's own buffer, or its decompressed records. */
  buffer: Buffer = NO_BUFFER;
  offset = -1;
  /** Event time in ms, or the broker's append time where the topic says so. */
  timestamp = -1;
  keyStart = 0;
  /** -1: null. */
  keyLength = -1;
  valueStart = 0;
  /** -1: null (a tombstone). */
  valueLength = -1;
  /** The encoded block of headers, its count included. */
  headersStart = 0;
  headersEnd = 0;
  headerCount = 0;
  /** Where the key's length stands: from here to `headersEnd` a record can be copied into another batch unchanged. */
  bodyStart = 0;

  #at = 0;
  #end = 0;
  #left = 0;
  #delta = -1;
  #deltaMax = 0;
  #baseOffset = 0;
  #baseTimestamp = 0;
  #appendTime = false;
  /** Set by `#long`: where the number it read ends. */
  #after = 0;
  readonly #decompressedBytesMax: number;

  constructor(options: { readonly decompressedBytesMax?: number } = {}) {
    this.#decompressedBytesMax = options.decompressedBytesMax ?? DECOMPRESSED_BYTES_MAX;
  }

  /** Starts at the first record of `view`. Decompresses when needed; throws ERR_RECORD_BATCH_CORRUPT when that fails or exceeds the cap. */
  reset(view: RecordBatchView): this {
    if (view.compression === 0 || view.count === 0) {
      this.buffer = view.buffer;
      this.#at = view.start + BATCH_HEADER_BYTES;
      this.#end = view.end;
    } else {
      this.buffer = decompress(view.compression, view.buffer.subarray(view.start + BATCH_HEADER_BYTES, view.end), this.#decompressedBytesMax);
      this.#at = 0;
      this.#end = this.buffer.length;
    }
    this.#left = view.count;
    this.#delta = -1;
    this.#deltaMax = view.lastOffset - view.baseOffset;
    this.#baseOffset = view.baseOffset;
    this.#appendTime = view.logAppendTime;
    this.#baseTimestamp = view.logAppendTime ? view.maxTimestamp : view.baseTimestamp;
    if (view.count > (this.#end - this.#at) / RECORD_BYTES_MIN)
      throw batchError(`${view.count} records cannot fit in ${this.#end - this.#at} bytes`, { offset: view.baseOffset });
    return this;
  }

  /** Steps to the next record; false after the last one. */
  next(): boolean {
    if (this.#left === 0) {
      if (this.#at !== this.#end) this.#fail('bytes are left over after the last record');
      return false;
    }
    const buffer = this.buffer;
    let at = this.#at;
    let first = buffer[at] as number;
    let second: number;
    let length: number;

    // Each number below: one byte, two bytes, or the slow path. Reading past the end gives nonsense that the bounds refuse.
    if (first < 0x80) {
      length = (first >>> 1) ^ -(first & 1);
      at += 1;
    } else if ((second = buffer[at + 1] as number) < 0x80) {
      length = (((first & 0x7f) | (second << 7)) >>> 1) ^ -(first & 1);
      at += 2;
    } else {
      length = this.#varint(at);
      at = this.#after;
    }
    const recordEnd = at + length;
    if (length < RECORD_BYTES_MIN - 1 || recordEnd > this.#end) this.#fail('a record reaches past its batch');

    at += 1; // attributes: no bit of a single record is in use
    let timestampDelta: number;
    first = buffer[at] as number;
    if (first < 0x80) {
      timestampDelta = (first >>> 1) ^ -(first & 1);
      at += 1;
    } else if ((second = buffer[at + 1] as number) < 0x80) {
      timestampDelta = (((first & 0x7f) | (second << 7)) >>> 1) ^ -(first & 1);
      at += 2;
    } else {
      timestampDelta = this.#varlong(at);
      at = this.#after;
    }

    let delta: number;
    first = buffer[at] as number;
    if (first < 0x80) {
      delta = (first >>> 1) ^ -(first & 1);
      at += 1;
    } else if ((second = buffer[at + 1] as number) < 0x80) {
      delta = (((first & 0x7f) | (second << 7)) >>> 1) ^ -(first & 1);
      at += 2;
    } else {
      delta = this.#varint(at);
      at = this.#after;
    }
    if (delta <= this.#delta || delta > this.#deltaMax) this.#fail(`offset delta ${delta} after ${this.#delta} (last is ${this.#deltaMax})`);

    this.bodyStart = at;
    let keyLength: number;
    first = buffer[at] as number;
    if (first < 0x80) {
      keyLength = (first >>> 1) ^ -(first & 1);
      at += 1;
    } else if ((second = buffer[at + 1] as number) < 0x80) {
      keyLength = (((first & 0x7f) | (second << 7)) >>> 1) ^ -(first & 1);
      at += 2;
    } else {
      keyLength = this.#varint(at);
      at = this.#after;
    }
    this.keyStart = at;
    this.keyLength = keyLength;
    if (keyLength > 0) at += keyLength;
    if (keyLength < -1 || at >= recordEnd) this.#fail('a key reaches past its record');

    let valueLength: number;
    first = buffer[at] as number;
    if (first < 0x80) {
      valueLength = (first >>> 1) ^ -(first & 1);
      at += 1;
    } else if ((second = buffer[at + 1] as number) < 0x80) {
      valueLength = (((first & 0x7f) | (second << 7)) >>> 1) ^ -(first & 1);
      at += 2;
    } else {
      valueLength = this.#varint(at);
      at = this.#after;
    }
    this.valueStart = at;
    this.valueLength = valueLength;
    if (valueLength > 0) at += valueLength;
    if (valueLength < -1 || at >= recordEnd) this.#fail('a value reaches past its record');

    this.headersStart = at;
    this.headersEnd = recordEnd;
    first = buffer[at] as number;
    if (first === 0) {
      this.headerCount = 0;
      if (at + 1 !== recordEnd) this.#fail('bytes are left over at the end of a record');
    } else {
      const headerCount = this.#varint(at);
      this.headerCount = headerCount;
      if (headerCount < 0 || headerCount * 2 > recordEnd - this.#after) this.#fail(`${headerCount} headers cannot fit in their record`);
    }

    this.offset = this.#baseOffset + delta;
    this.timestamp = this.#appendTime ? this.#baseTimestamp : this.#baseTimestamp + timestampDelta;
    this.#delta = delta;
    this.#at = recordEnd;
    this.#left -= 1;
    return true;
  }

  /** Headers of the current record; their bytes are copied, so they may be kept. Throws ERR_RECORD_BATCH_CORRUPT when they do not parse. */
  headers(): RecordHeaders {
    return headersFromBlock(this.buffer, this.headersStart, this.headersEnd, this.headerCount);
  }

  /** Walks the headers of the current record without decoding them. Throws ERR_RECORD_BATCH_CORRUPT. */
  checkHeaders(): void {
    checkHeaderBlock(this.buffer, this.headersStart, this.headersEnd);
  }

  /** A zigzag varint of up to five bytes; more, or a number past 32 bits, is damage. Leaves its end in `#after`. */
  #varint(start: number): number {
    const buffer = this.buffer;
    let at = start;
    let raw = 0;
    for (let factor = 1, count = 0; count < 5; count++, factor *= 128) {
      const byte = buffer[at++];
      if (byte === undefined) break;
      raw += (byte & 0x7f) * factor;
      if (byte >= 0x80) continue;
      if (raw > 0xffff_ffff) break;
      this.#after = at;
      return (raw >>> 1) ^ -(raw & 1);
    }
    return this.#fail('a varint is longer than 32 bits');
  }

  /** A zigzag varlong whose sum with the base timestamp is a safe integer. Up to seven bytes are exact as a plain number. */
  #varlong(start: number): number {
    const buffer = this.buffer;
    let at = start;
    let raw = 0;
    for (let factor = 1, count = 0; count < 7; count++, factor *= 128) {
      const byte = buffer[at++];
      if (byte === undefined) this.#fail('a timestamp reaches past its batch');
      raw += (byte & 0x7f) * factor;
      if (byte >= 0x80) continue;
      this.#after = at;
      return this.#safeDelta(raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2);
    }
    const reader = new Reader(buffer, start, Math.min(buffer.length, start + 10));
    let delta: number;
    try {
      delta = reader.varlong();
    } catch (cause) {
      throw batchError('a timestamp is beyond 2^53-1', { offset: this.#baseOffset + this.#delta + 1 }, cause);
    }
    this.#after = reader.position;
    return this.#safeDelta(delta);
  }

  #safeDelta(delta: number): number {
    if (!Number.isSafeInteger(this.#baseTimestamp + delta)) this.#fail('a timestamp is beyond 2^53-1');
    return delta;
  }

  #fail(what: string): never {
    throw batchError(`record batch is damaged: ${what}`, { offset: this.#baseOffset + this.#delta + 1, at: this.#at });
  }
}
