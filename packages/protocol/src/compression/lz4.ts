// lz4 frames in plain JavaScript: the standard frame format, as Kafka uses it for record batches.
// Owns: nothing.  Never: trusts a declared size, writes past the caller's bound, skips a checksum that is there.
// Read: any block size, linked blocks, content size and both checksums, several frames; not: dictionaries.
// Written: independent blocks of 64 KiB, no checksums but the header's (the batch has its own). Source: lz4 frame and block formats 1.6.
import { batchError } from '../wire-error.ts';
import { xxhash32 } from './xxhash32.ts';

const MAGIC = 0x184d_2204;
const VERSION_BITS = 0x40;
const INDEPENDENT_BIT = 0x20;
const BLOCK_CHECKSUM_BIT = 0x10;
const CONTENT_SIZE_BIT = 0x08;
const CONTENT_CHECKSUM_BIT = 0x04;
const DICTIONARY_BIT = 0x01;
const UNCOMPRESSED = 0x8000_0000;
const BLOCK_BYTES = 64 * 1024;
const HASH_BITS = 14;

/** Output that grows, never past `max`. */
interface Output {
  bytes: Buffer;
  length: number;
  readonly max: number;
}

function reserve(output: Output, more: number): void {
  const needed = output.length + more;
  if (needed > output.max) throw batchError(`lz4 data becomes more than the ${output.max} bytes allowed`);
  if (needed <= output.bytes.length) return;
  const larger = Buffer.allocUnsafe(Math.min(output.max, Math.max(needed, output.bytes.length * 2)));
  output.bytes.copy(larger, 0, 0, output.length);
  output.bytes = larger;
}

export const lz4Codec = {
  compress(bytes: Buffer): Buffer {
    const header = Buffer.from([0x04, 0x22, 0x4d, 0x18, VERSION_BITS | INDEPENDENT_BIT, 0x40, 0]);
    header[6] = (xxhash32(header, 4, 6) >>> 8) & 0xff;
    const pieces: Buffer[] = [header];
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const end = Math.min(bytes.length, at + BLOCK_BYTES);
      const block = compressBlock(bytes, at, end);
      const stored = block.length >= end - at ? bytes.subarray(at, end) : block;
      const length = Buffer.alloc(4);
      length.writeUInt32LE(stored === block ? block.length : (stored.length | UNCOMPRESSED) >>> 0);
      pieces.push(length, stored);
    }
    pieces.push(Buffer.alloc(4));
    return Buffer.concat(pieces);
  },

  decompress(bytes: Buffer, maxBytes: number): Buffer {
    const output: Output = { bytes: Buffer.allocUnsafe(Math.min(maxBytes, bytes.length * 4)), length: 0, max: maxBytes };
    let at = 0;
    do at = readFrame(bytes, at, output);
    while (at < bytes.length);
    return output.bytes.subarray(0, output.length);
  },
};

function need(bytes: Buffer, at: number, count: number): void {
  if (count > bytes.length - at) throw batchError(`lz4 frame cut short at ${at}`);
}

/** Reads one frame that begins at `start`; returns where it ends. */
function readFrame(bytes: Buffer, start: number, output: Output): number {
  need(bytes, start, 7);
  if (bytes.readUInt32LE(start) !== MAGIC) throw batchError('lz4 frame without its magic number');
  const flags = bytes[start + 4] as number;
  if ((flags & 0xc0) !== VERSION_BITS || (flags & DICTIONARY_BIT) !== 0) throw batchError(`lz4 frame with flags ${flags}: not version 1 without dictionary`);
  const sized = (flags & CONTENT_SIZE_BIT) !== 0;
  let at = start + 6 + (sized ? 8 : 0);
  need(bytes, at, 1);
  if (((xxhash32(bytes, start + 4, at) >>> 8) & 0xff) !== bytes[at]) throw batchError('lz4 frame header has a wrong checksum');
  at += 1;
  const frameStart = output.length;
  for (;;) {
    need(bytes, at, 4);
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    const length = word & 0x7fff_ffff;
    need(bytes, at, length);
    if (word >= UNCOMPRESSED) {
      reserve(output, length);
      bytes.copy(output.bytes, output.length, at, at + length);
      output.length += length;
    } else decompressBlock(bytes, at, at + length, output, (flags & INDEPENDENT_BIT) !== 0 ? output.length : frameStart);
    if ((flags & BLOCK_CHECKSUM_BIT) !== 0) {
      need(bytes, at, length + 4);
      if (xxhash32(bytes, at, at + length) !== bytes.readUInt32LE(at + length)) throw batchError('lz4 block has a wrong checksum');
      at += 4;
    }
    at += length;
  }
  if ((flags & CONTENT_CHECKSUM_BIT) !== 0) {
    need(bytes, at, 4);
    if (xxhash32(output.bytes, frameStart, output.length) !== bytes.readUInt32LE(at)) throw batchError('lz4 content has a wrong checksum');
    at += 4;
  }
  const declared = sized ? bytes.readUInt32LE(start + 6) + bytes.readUInt32LE(start + 10) * 0x1_0000_0000 : -1;
  if (sized && declared !== output.length - frameStart) throw batchError(`lz4 frame claims ${declared} bytes and holds ${output.length - frameStart}`);
  return at;
}

/** Sequences of literals and matches; a match reaches back no further than `windowStart`. */
function decompressBlock(source: Buffer, start: number, end: number, output: Output, windowStart: number): void {
  let at = start;
  while (at < end) {
    const token = source[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      for (let byte = 255; byte === 255; literals += byte) {
        if (at >= end) throw batchError('lz4 literal length cut short');
        byte = source[at++] as number;
      }
    }
    if (literals > end - at) throw batchError(`lz4 literal of ${literals} bytes does not fit`);
    reserve(output, literals);
    source.copy(output.bytes, output.length, at, at + literals);
    output.length += literals;
    at += literals;
    if (at === end) return;
    if (at + 2 > end) throw batchError('lz4 match cut short');
    const distance = source.readUInt16LE(at);
    at += 2;
    let length = (token & 15) + 4;
    if (length === 19) {
      for (let byte = 255; byte === 255; length += byte) {
        if (at >= end) throw batchError('lz4 match length cut short');
        byte = source[at++] as number;
      }
    }
    if (distance === 0 || distance > output.length - windowStart) throw batchError(`lz4 match from ${distance} bytes back does not fit`);
    reserve(output, length);
    const target = output.bytes;
    for (let out = output.length, stop = out + length; out < stop; out++) target[out] = target[out - distance] as number;
    output.length += length;
  }
}

/** Greedy. The format wants the last five bytes as literals and no match to begin in the last twelve. */
function compressBlock(source: Buffer, start: number, end: number): Buffer {
  const target = Buffer.allocUnsafe(end - start + Math.ceil((end - start) / 255) + 16);
  const seen = new Int32Array(1 << HASH_BITS).fill(-1);
  let out = 0;
  let literalStart = start;
  let at = start;
  while (at < end - 12) {
    const word = source.readInt32LE(at);
    const hash = Math.imul(word, 0x9e37_79b1) >>> (32 - HASH_BITS);
    const candidate = seen[hash] as number;
    seen[hash] = at;
    if (candidate < 0 || at - candidate > 0xffff || source.readInt32LE(candidate) !== word) {
      at++;
      continue;
    }
    let length = 4;
    while (at + length < end - 5 && source[candidate + length] === source[at + length]) length++;
    out = writeSequence(source, literalStart, at, target, out, at - candidate, length);
    at += length;
    literalStart = at;
  }
  out = writeSequence(source, literalStart, end, target, out, 0, 0);
  return target.subarray(0, out);
}

/** Literals, then a match; no match when `matchLength` is 0 (the end of the block). */
function writeSequence(source: Buffer, start: number, end: number, target: Buffer, from: number, distance: number, matchLength: number): number {
  const literals = end - start;
  const extra = matchLength === 0 ? 0 : matchLength - 4;
  let out = from;
  target[out++] = (Math.min(15, literals) << 4) | Math.min(15, extra);
  if (literals >= 15) out = writeLength(target, out, literals - 15);
  source.copy(target, out, start, end);
  out += literals;
  if (matchLength === 0) return out;
  target.writeUInt16LE(distance, out);
  out += 2;
  return extra >= 15 ? writeLength(target, out, extra - 15) : out;
}

function writeLength(target: Buffer, from: number, length: number): number {
  let out = from;
  let rest = length;
  for (; rest >= 255; rest -= 255) target[out++] = 255;
  target[out++] = rest;
  return out;
}
