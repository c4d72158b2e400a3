// A cursor over received bytes. Every length and count is checked against what is left before anything is allocated.
// Owns: the position.  Never: copies (strings and uuids apart), trusts a declared size, rounds an integer.
// R1 position ≤ end.  R2 a number handed out is a safe integer.  Source: Kafka protocol guide, KIP-482.
import { protocolError } from './wire-error.ts';

/** The uuid of sixteen zero bytes: "none" wherever Kafka uses uuids. Uuids are unpadded base64url, as Kafka prints them. */
export const NO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA';

const STRING_BYTES_MAX = 0x7fff;

export class Reader {
  buffer: Buffer;
  position: number;
  end: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.position = start;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** The position before the next `size` bytes, which it steps over. Throws ERR_PROTOCOL when they are not there. */
  take(size: number): number {
    const at = this.position;
    if (size < 0 || size > this.end - at) throw protocolError(`message cut short: ${size} bytes wanted at ${at}, ${this.end - at} are left`, { at });
    this.position = at + size;
    return at;
  }

  bool(): boolean {
    return this.buffer[this.take(1)] !== 0;
  }
  int8(): number {
    return this.buffer.readInt8(this.take(1));
  }
  int16(): number {
    return this.buffer.readInt16BE(this.take(2));
  }
  uint16(): number {
    return this.buffer.readUInt16BE(this.take(2));
  }
  int32(): number {
    return this.buffer.readInt32BE(this.take(4));
  }
  uint32(): number {
    return this.buffer.readUInt32BE(this.take(4));
  }
  /** An int64 as a safe integer; ERR_PROTOCOL beyond 2^53-1 rather than a rounded number. */
  int64(): number {
    const at = this.take(8);
    const value = readInt64(this.buffer, at);
    if (!Number.isSafeInteger(value)) throw protocolError(`64-bit integer at ${at} is beyond 2^53-1`, { at });
    return value;
  }
  float64(): number {
    return this.buffer.readDoubleBE(this.take(8));
  }
  uuid(): string {
    const at = this.take(16);
    return this.buffer.toString('base64url', at, at + 16);
  }

  /** Unsigned varint of at most 5 bytes. Longer, or above 2^32-1: ERR_PROTOCOL. Padded (non-canonical) forms are accepted, as Kafka accepts them. */
  unsignedVarint(): number {
    const { buffer, end } = this;
    let at = this.position;
    let value = 0;
    for (let factor = 1, count = 0; count < 5; count++, factor *= 128) {
      if (at >= end) throw protocolError(`message cut short inside a varint at ${at}`, { at });
      const byte = buffer[at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        this.position = at;
        return value;
      }
    }
    throw protocolError(`varint at ${this.position} is longer than 32 bits`, { at: this.position });
  }

  /** Zigzag varint of at most 5 bytes. */
  varint(): number {
    const raw = this.unsignedVarint();
    return (raw >>> 1) ^ -(raw & 1);
  }

  /** Zigzag varlong of at most 10 bytes; ERR_PROTOCOL beyond ±(2^53-1) rather than a rounded number. */
  varlong(): number {
    const { buffer, end } = this;
    let at = this.position;
    let raw = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= end) throw protocolError(`message cut short inside a varlong at ${at}`, { at });
      const byte = buffer[at++] as number;
      raw |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        const value = Number((raw >> 1n) ^ -(raw & 1n));
        if (raw >= 1n << 64n || !Number.isSafeInteger(value)) break;
        this.position = at;
        return value;
      }
    }
    throw protocolError(`varlong at ${this.position} is beyond 2^53-1`, { at: this.position });
  }

  /** int16 length, -1 = null. */
  string(): string | null {
    return this.#text(this.int16());
  }
  /** Unsigned varint length + 1, 0 = null. ERR_PROTOCOL beyond 32767 bytes, where Kafka's strings end in either form: names are kept, and cost memory. */
  compactString(): string | null {
    const length = this.unsignedVarint() - 1;
    if (length > STRING_BYTES_MAX)
      throw protocolError(`string of ${length} bytes before ${this.position}; at most ${STRING_BYTES_MAX} are allowed`, { at: this.position });
    return this.#text(length);
  }
  /** int32 length, -1 = null; a view over the message, no copy. */
  bytes(): Buffer | null {
    return this.#view(this.int32());
  }
  /** Unsigned varint length + 1, 0 = null; a view over the message, no copy. */
  compactBytes(): Buffer | null {
    return this.#view(this.unsignedVarint() - 1);
  }

  /** int32 count, -1 = null. A count that could not fit with elements of `elementBytesMin` is refused before allocation. */
  arrayCount(elementBytesMin: number): number {
    return this.#count(this.int32(), elementBytesMin);
  }
  /** Unsigned varint count + 1, 0 = null (-1). */
  compactArrayCount(elementBytesMin: number): number {
    return this.#count(this.unsignedVarint() - 1, elementBytesMin);
  }

  /** Steps over a tag buffer nobody reads: count, then (tag, size, bytes). */
  skipTags(): void {
    const count = this.#count(this.unsignedVarint(), 2);
    for (let index = 0; index < count; index++) {
      this.unsignedVarint();
      this.take(this.unsignedVarint());
    }
  }

  #count(count: number, elementBytesMin: number): number {
    if (count === -1) return -1;
    if (count < 0 || count > Math.floor(this.remaining / Math.max(1, elementBytesMin)))
      throw protocolError(`count ${count} at ${this.position} cannot fit in the ${this.remaining} bytes left`, { at: this.position, count });
    return count;
  }
  #text(length: number): string | null {
    if (length === -1) return null;
    const at = this.take(length);
    return this.buffer.toString('utf8', at, at + length);
  }
  #view(length: number): Buffer | null {
    if (length === -1) return null;
    const at = this.take(length);
    return this.buffer.subarray(at, at + length);
  }
}

/** Big-endian int64 as a number; the caller checks it is safe (an unsafe one stays unsafe after rounding). */
export function readInt64(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}
