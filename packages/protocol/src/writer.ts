// A growing cursor for outgoing messages. Large record data is not copied into it: it becomes a piece of its own, for one writev.
// Owns: its buffer, reused from message to message.  Never: hands its buffer out (finish copies), grows past bytesMax, writes a rounded integer.
// W1 what `finish` returns shares no memory with the writer; pieces are the caller's own buffers.  Source: Kafka protocol guide, KIP-482.
import { asBuffer, assert } from '@millrace/core';

/** Record data from this size on goes out uncopied. Below it a copy is cheaper than one more piece in a writev. */
const PIECE_BYTES_MIN = 8 * 1024;
/** The largest message we would ever build: Kafka's own ceiling for a request is 100 MiB by default. */
const MESSAGE_BYTES_MAX = 0x4000_0000;
/** A writer that grew past this drops its buffer after use instead of pinning it. */
const KEPT_BYTES_MAX = 1024 * 1024;
const KEPT_WRITERS_MAX = 8;

export class Writer {
  #buffer: Buffer;
  #position = 0;
  /** Finished pieces before the current run of bytes; `#pieceBytes` in all. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  /** Where the current run began: bytes before it belong to pieces. */
  #runStart = 0;

  constructor(initialBytes = 4096) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** Bytes written so far, pieces included. */
  get size(): number {
    return this.#position - this.#runStart + this.#pieceBytes;
  }

  /** Forgets everything written. */
  reset(): void {
    this.#position = 0;
    this.#runStart = 0;
    this.#pieceBytes = 0;
    this.#pieces = [];
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = Buffer.allocUnsafeSlow(4096);
  }

  #reserve(bytes: number): number {
    const at = this.#position;
    const end = at + bytes;
    if (end > this.#buffer.length) this.#grow(end);
    this.#position = end;
    return at;
  }
  #grow(needed: number): void {
    assert(needed <= MESSAGE_BYTES_MAX, `message of ${needed} bytes is beyond the ceiling of ${MESSAGE_BYTES_MAX}`);
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#position);
    this.#buffer = larger;
  }

  bool(value: boolean): void {
    const at = this.#reserve(1);
    this.#buffer[at] = value ? 1 : 0;
  }
  int8(value: number): void {
    const at = this.#reserve(1);
    this.#buffer.writeInt8(value, at);
  }
  int16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeInt16BE(value, at);
  }
  uint16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16BE(value, at);
  }
  int32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
  }
  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
  }
  /** `value` must be a safe integer. */
  int64(value: number): void {
    assert(Number.isSafeInteger(value), `not a safe integer: ${value}`);
    const at = this.#reserve(8);
    writeInt64(this.#buffer, at, value);
  }
  float64(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeDoubleBE(value, at);
  }
  /** `value`: 22 characters of base64url. */
  uuid(value: string): void {
    const at = this.#reserve(16);
    const written = value.length === 22 ? this.#buffer.write(value, at, 16, 'base64url') : 0;
    assert(written === 16, `not a uuid (22 characters of base64url): ${value}`);
  }

  /** `value` in 0 … 2^32-1. */
  unsignedVarint(value: number): void {
    assert(value >= 0 && value <= 0xffff_ffff, `unsigned varint out of range: ${value}`);
    let rest = value;
    let at = this.#reserve(5);
    while (rest >= 0x80) {
      this.#buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[at++] = rest;
    this.#position = at;
  }
  /** `value` a signed 32-bit integer, as zigzag. */
  varint(value: number): void {
    assert((value | 0) === value, `varint out of range: ${value}`);
    this.unsignedVarint(((value << 1) ^ (value >> 31)) >>> 0);
  }
  /** `value` a safe integer, as zigzag. */
  varlong(value: number): void {
    assert(Number.isSafeInteger(value), `not a safe integer: ${value}`);
    const at = this.#reserve(10);
    this.#position = writeVarlong(this.#buffer, at, value);
  }

  /** int16 length, null = -1. UTF-8 of at most 32,767 bytes. */
  string(value: string | null): void {
    if (value === null) {
      this.int16(-1);
      return;
    }
    const length = Buffer.byteLength(value);
    assert(length <= 0x7fff, `string of ${length} bytes is too long for a 16-bit length`);
    this.int16(length);
    this.#utf8(value, length);
  }
  /** Unsigned varint length + 1, null = 0. */
  compactString(value: string | null): void {
    if (value === null) {
      this.unsignedVarint(0);
      return;
    }
    const length = Buffer.byteLength(value);
    this.unsignedVarint(length + 1);
    this.#utf8(value, length);
  }
  /** int32 length, null = -1. */
  bytes(value: Uint8Array | null): void {
    if (value === null) {
      this.int32(-1);
      return;
    }
    this.int32(value.length);
    this.raw(value);
  }
  /** Unsigned varint length + 1, null = 0. */
  compactBytes(value: Uint8Array | null): void {
    if (value === null) {
      this.unsignedVarint(0);
      return;
    }
    this.unsignedVarint(value.length + 1);
    this.raw(value);
  }
  /** Bytes without a length, copied. */
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }
  /** Bytes without a length; large ones stay where they are and must not change until the message is sent. */
  rawPiece(value: Uint8Array): void {
    if (value.length < PIECE_BYTES_MIN) {
      this.raw(value);
      return;
    }
    this.#closeRun();
    this.#pieces.push(asBuffer(value));
    this.#pieceBytes += value.length;
  }

  /** Everything written, as pieces in order; `prefix` bytes of the first are the message size when `framed`. */
  finishPieces(framed: boolean): Buffer[] {
    const total = this.size;
    this.#closeRun();
    const pieces = this.#pieces;
    if (framed) (pieces[0] as Buffer).writeInt32BE(total - 4, 0);
    this.reset();
    return pieces;
  }
  /** Everything written, as one buffer. */
  finish(framed: boolean): Buffer {
    const total = this.size;
    const pieces = this.finishPieces(framed);
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, total);
  }

  #closeRun(): void {
    const length = this.#position - this.#runStart;
    if (length > 0) {
      const run = Buffer.allocUnsafe(length);
      this.#buffer.copy(run, 0, this.#runStart, this.#position);
      this.#pieces.push(run);
      this.#pieceBytes += length;
    }
    this.#runStart = this.#position;
  }
  #utf8(value: string, length: number): void {
    const at = this.#reserve(length);
    this.#buffer.write(value, at, length, 'utf8');
  }
}

/** Big-endian int64 of a safe integer. */
export function writeInt64(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
}

/** Writes a safe integer as a zigzag varlong; returns the position behind it. Ten bytes must be there. */
export function writeVarlong(buffer: Buffer, start: number, value: number): number {
  let at = start;
  // zigzag = 2·|v| or 2·|v|-1, below 2^54: its low 7 bits first, by exact division, until 32-bit arithmetic holds the rest.
  const magnitude = value < 0 ? -(value + 1) : value;
  let byte = (magnitude % 64) * 2 + (value < 0 ? 1 : 0);
  let rest = Math.floor(magnitude / 64);
  while (rest > 0) {
    buffer[at++] = byte | 0x80;
    byte = rest % 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = byte;
  return at;
}

const kept: Writer[] = [];

/** Runs `write` on a pooled writer. Nested calls get writers of their own. */
export function withWriter<R>(write: (writer: Writer) => R): R {
  const writer = kept.pop() ?? new Writer();
  try {
    return write(writer);
  } finally {
    writer.reset();
    if (kept.length < KEPT_WRITERS_MAX) kept.push(writer);
  }
}
