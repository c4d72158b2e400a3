// xxHash32, the checksum inside lz4 frames. Source: xxHash specification. Owns: nothing.  Never: allocates.

const PRIME1 = 0x9e37_79b1;
const PRIME2 = 0x85eb_ca77;
const PRIME3 = 0xc2b2_ae3d;
const PRIME4 = 0x27d4_eb2f;
const PRIME5 = 0x1656_67b1;

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIME2)) | 0, 13), PRIME1);
}

/** Hash of `bytes[start, end)` with seed 0, unsigned. */
export function xxhash32(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let hash: number;
  if (end - start >= 16) {
    let lane1 = (PRIME1 + PRIME2) | 0;
    let lane2 = PRIME2 | 0;
    let lane3 = 0;
    let lane4 = -PRIME1 | 0;
    for (; at + 16 <= end; at += 16) {
      lane1 = round(lane1, bytes.readInt32LE(at));
      lane2 = round(lane2, bytes.readInt32LE(at + 4));
      lane3 = round(lane3, bytes.readInt32LE(at + 8));
      lane4 = round(lane4, bytes.readInt32LE(at + 12));
    }
    hash = rotate(lane1, 1) + rotate(lane2, 7) + rotate(lane3, 12) + rotate(lane4, 18);
  } else hash = PRIME5;
  hash = (hash + (end - start)) | 0;
  for (; at + 4 <= end; at += 4) hash = Math.imul(rotate((hash + Math.imul(bytes.readInt32LE(at), PRIME3)) | 0, 17), PRIME4);
  for (; at < end; at++) hash = Math.imul(rotate((hash + Math.imul(bytes[at] as number, PRIME5)) | 0, 11), PRIME1);
  hash = Math.imul(hash ^ (hash >>> 15), PRIME2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
