// The 128-bit hash by which a foreign-key join tells an answer to the present row from one to a row that has changed since:
// Murmur3 (x64) with the seed Kafka Streams uses, so that its topics can be taken over (semantics 13.2).
// 64-bit arithmetic on pairs of 32-bit halves: no BigInt, nothing allocated but the result.
import { asBuffer } from '@millrace/core';

export const HASH_BYTES = 16;
const SEED = 104_729;

/** High and low half of the last result below. */
let high = 0;
let low = 0;

/** 16 bytes, big-endian, as they stand on the wire. */
export function valueHash(given: Uint8Array): Buffer {
  const bytes = asBuffer(given);
  const { length } = bytes;
  let [h1h, h1l, h2h, h2l] = [0, SEED, 0, SEED];
  const blocks = length >>> 4;
  for (let block = 0; block < blocks; block++) {
    const at = block << 4;
    mixFirst(bytes.readInt32LE(at + 4), bytes.readInt32LE(at));
    rotate(h1h ^ high, h1l ^ low, 27);
    add(high, low, h2h, h2l);
    timesFivePlus(high, low, 0x52dce729);
    [h1h, h1l] = [high, low];
    mixSecond(bytes.readInt32LE(at + 12), bytes.readInt32LE(at + 8));
    rotate(h2h ^ high, h2l ^ low, 31);
    add(high, low, h1h, h1l);
    timesFivePlus(high, low, 0x38495ab5);
    [h2h, h2l] = [high, low];
  }
  const tail = blocks << 4;
  const left = length - tail;
  if (left > 8) {
    mixSecond(halfAt(bytes, tail + 12), halfAt(bytes, tail + 8));
    h2h ^= high;
    h2l ^= low;
  }
  if (left > 0) {
    mixFirst(halfAt(bytes, tail + 4), halfAt(bytes, tail));
    h1h ^= high;
    h1l ^= low;
  }
  return finish(h1h, h1l ^ length, h2h, h2l ^ length);
}

function finish(first: number, firstLow: number, second: number, secondLow: number): Buffer {
  add(first, firstLow, second, secondLow);
  let [h1h, h1l] = [high, low];
  add(second, secondLow, h1h, h1l);
  let [h2h, h2l] = [high, low];
  avalanche(h1h, h1l);
  [h1h, h1l] = [high, low];
  avalanche(h2h, h2l);
  [h2h, h2l] = [high, low];
  add(h1h, h1l, h2h, h2l);
  [h1h, h1l] = [high, low];
  add(h2h, h2l, h1h, h1l);
  const hash = Buffer.allocUnsafe(HASH_BYTES);
  hash.writeInt32BE(h1h, 0);
  hash.writeInt32BE(h1l, 4);
  hash.writeInt32BE(high, 8);
  hash.writeInt32BE(low, 12);
  return hash;
}

/** Up to four little-endian bytes; those past the end are 0. */
function halfAt(bytes: Buffer, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function mixFirst(h: number, l: number): void {
  times(h, l, 0x87c37b91, 0x114253d5);
  rotate(high, low, 31);
  times(high, low, 0x4cf5ad43, 0x2745937f);
}

function mixSecond(h: number, l: number): void {
  times(h, l, 0x4cf5ad43, 0x2745937f);
  rotate(high, low, 33);
  times(high, low, 0x87c37b91, 0x114253d5);
}

function avalanche(h: number, l: number): void {
  shiftXor33(h, l);
  times(high, low, 0xff51afd7, 0xed558ccd);
  shiftXor33(high, low);
  times(high, low, 0xc4ceb9fe, 0x1a85ec53);
  shiftXor33(high, low);
}

/** x ^ (x >>> 33) */
function shiftXor33(h: number, l: number): void {
  high = h | 0;
  low = (l ^ (h >>> 1)) | 0;
}

function rotate(h: number, l: number, by: number): void {
  const bits = by & 31;
  const [a, b] = by < 32 ? [h, l] : [l, h];
  high = (a << bits) | (b >>> (32 - bits));
  low = (b << bits) | (a >>> (32 - bits));
}

function add(ah: number, al: number, bh: number, bl: number): void {
  const sum = (al >>> 0) + (bl >>> 0);
  high = (ah + bh + (sum > 0xffffffff ? 1 : 0)) | 0;
  low = sum | 0;
}

function timesFivePlus(h: number, l: number, plus: number): void {
  times(h, l, 0, 5);
  add(high, low, 0, plus);
}

/** The low 64 bits of a product. */
function times(ah: number, al: number, bh: number, bl: number): void {
  const [a1, a0] = [al >>> 16, al & 0xffff];
  const [b1, b0] = [bl >>> 16, bl & 0xffff];
  const low0 = a0 * b0;
  const middle = a1 * b0 + (low0 >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  const carry = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000);
  high = (Math.imul(ah, bl) + Math.imul(al, bh) + (carry | 0)) | 0;
  low = ((other & 0xffff) << 16) | (low0 & 0xffff);
}
