// Snappy in plain JavaScript: what Java producers write, so their logs can be read without an add-on.
// Owns: nothing.  Never: trusts a declared length, writes past the caller's bound.
// Two wrappings: "xerial" (Java: magic, two versions, then chunks with a 4-byte length) and bare blocks. We write the first, Kafka's own;
// we read both. Source: snappy format description; xerial SnappyOutputStream.
import { batchError } from '../wire-error.ts';

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;
/** Java's chunk size; below 64 KiB, so two bytes hold any distance. */
const CHUNK_BYTES = 32 * 1024;
const HASH_BITS = 13;

export const snappyCodec = {
  compress(bytes: Buffer): Buffer {
    const header = Buffer.alloc(XERIAL_HEADER_BYTES);
    XERIAL_MAGIC.copy(header);
    header.writeInt32BE(1, 8);
    header.writeInt32BE(1, 12);
    const pieces: Buffer[] = [header];
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const block = compressBlock(bytes, at, Math.min(bytes.length, at + CHUNK_BYTES));
      const length = Buffer.alloc(4);
      length.writeInt32BE(block.length);
      pieces.push(length, block);
    }
    return Buffer.concat(pieces);
  },

  decompress(bytes: Buffer, maxBytes: number): Buffer {
    if (bytes.length < XERIAL_HEADER_BYTES || bytes.compare(XERIAL_MAGIC, 0, 8, 0, 8) !== 0) return decompressBlock(bytes, 0, bytes.length, maxBytes);
    const pieces: Buffer[] = [];
    let total = 0;
    for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
      const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1;
      if (length < 0 || length > bytes.length - at - 4) throw batchError(`snappy chunk of ${length} bytes, ${bytes.length - at} are left`);
      const block = decompressBlock(bytes, at + 4, at + 4 + length, maxBytes - total);
      total += block.length;
      pieces.push(block);
      at += 4 + length;
    }
    return Buffer.concat(pieces, total);
  },
};

/** A bare block: its length as a varint, then literals and copies. */
function decompressBlock(source: Buffer, start: number, end: number, maxBytes: number): Buffer {
  let at = start;
  let size = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = at < end ? (source[at++] as number) : 0x80;
    size += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
    if (shift === 28) throw batchError('snappy block without a length');
  }
  // No element gives more than 64 bytes for two of input: a larger claim is a lie, refused before it is allocated.
  if (size > maxBytes || size > (end - at) * 64) throw batchError(`snappy block claims ${size} bytes; ${maxBytes} are allowed, ${end - at} came in`);
  const target = Buffer.allocUnsafe(size);
  let out = 0;
  while (at < end) {
    const tag = source[at++] as number;
    let length = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      const extra = length > 60 ? length - 60 : 0;
      if (at + extra > end) throw batchError('snappy literal cut short');
      if (extra > 0) length = source.readUIntLE(at, extra) + 1;
      at += extra;
      if (length > end - at || length > size - out) throw batchError(`snappy literal of ${length} bytes does not fit`);
      source.copy(target, out, at, at + length);
      at += length;
    } else {
      const distanceBytes = tag & 3;
      const width = distanceBytes === 3 ? 4 : distanceBytes;
      if (at + width > end) throw batchError('snappy copy cut short');
      let distance: number;
      if (distanceBytes === 1) {
        length = ((tag >> 2) & 7) + 4;
        distance = ((tag >> 5) << 8) | (source[at] as number);
      } else distance = source.readUIntLE(at, width);
      at += width;
      if (distance === 0 || distance > out || length > size - out) throw batchError(`snappy copy of ${length} bytes from ${distance} back does not fit`);
      for (let index = 0; index < length; index++) target[out + index] = target[out + index - distance] as number;
    }
    out += length;
  }
  if (out !== size) throw batchError(`snappy block holds ${out} bytes and claims ${size}`);
  return target;
}

/** Greedy: four bytes seen before within the chunk become a copy. */
function compressBlock(source: Buffer, start: number, end: number): Buffer {
  const size = end - start;
  const target = Buffer.allocUnsafe(size + Math.ceil(size / 6) + 32);
  let out = 0;
  for (let rest = size; ; rest >>>= 7) {
    target[out++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80;
    if (rest < 0x80) break;
  }
  const seen = new Int32Array(1 << HASH_BITS).fill(-1);
  let literalStart = start;
  let at = start;
  while (at + 4 <= end) {
    const word = source.readInt32LE(at);
    const hash = Math.imul(word, 0x1e35_a7bd) >>> (32 - HASH_BITS);
    const candidate = seen[hash] as number;
    seen[hash] = at;
    if (candidate < 0 || source.readInt32LE(candidate) !== word) {
      at++;
      continue;
    }
    out = writeLiteral(source, literalStart, at, target, out);
    let length = 4;
    while (at + length < end && source[candidate + length] === source[at + length]) length++;
    out = writeCopies(target, out, at - candidate, length);
    at += length;
    literalStart = at;
  }
  out = writeLiteral(source, literalStart, end, target, out);
  return target.subarray(0, out);
}

function writeLiteral(source: Buffer, start: number, end: number, target: Buffer, from: number): number {
  const length = end - start;
  if (length === 0) return from;
  let out = from;
  if (length <= 60) target[out++] = (length - 1) << 2;
  else {
    const width = length <= 0x100 ? 1 : 2;
    target[out++] = (59 + width) << 2;
    target.writeUIntLE(length - 1, out, width);
    out += width;
  }
  source.copy(target, out, start, end);
  return out + length;
}

/** Copies of at most 64 bytes with a two-byte distance. */
function writeCopies(target: Buffer, from: number, distance: number, length: number): number {
  let out = from;
  for (let rest = length; rest > 0; ) {
    const part = Math.min(64, rest);
    target[out] = ((part - 1) << 2) | 2;
    target.writeUInt16LE(distance, out + 1);
    out += 3;
    rest -= part;
  }
  return out;
}
