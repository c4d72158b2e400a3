// Bytes made wrong: flipped, cut, repeated, spliced, and above all lengths and counts that lie.
// Owns: the kinds of damage.  Never: knows a format. The same chance gives the same damage.
import type { Chance } from '@millrace/core';

const INT32_LIES = [-2, -1, 0, 1, 0x7fff_ffff, -0x8000_0000, 0x0010_0000, 0x0100_0000];
const INT16_LIES = [-2, -1, 0, 0x7fff, -0x8000];
const VARINT_LIES = ['00', '01', '7f', '8001', 'ff01', 'ffff03', 'ffffffff07', 'ffffffff0f', 'ffffffff1f', '8080808000', 'ffffffffffffffffff01'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
const EDGE_BYTES = [0, 1, 2, 0x7f, 0x80, 0xff];

type Mutation = (bytes: Buffer, chance: Chance, others: readonly Buffer[]) => Buffer;

const at = (bytes: Buffer, chance: Chance, room = 1): number => chance.integer(Math.max(1, bytes.length - room + 1));

/** A copy with `cut` bytes at `position` replaced. */
function replaced(bytes: Buffer, position: number, cut: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, position), by, bytes.subarray(Math.min(bytes.length, position + cut))]);
}
function changed(bytes: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

const MUTATIONS: readonly Mutation[] = [
  (bytes, chance) => changed(bytes, (copy) => void (copy[at(copy, chance)] ^= 1 << chance.integer(8))),
  (bytes, chance) => changed(bytes, (copy) => void (copy[at(copy, chance)] = EDGE_BYTES[chance.integer(EDGE_BYTES.length)] as number)),
  (bytes, chance) => changed(bytes, (copy) => void (copy[at(copy, chance)] = chance.integer(256))),
  (bytes, chance) =>
    bytes.length < 4 ? bytes : changed(bytes, (copy) => void copy.writeInt32BE(INT32_LIES[chance.integer(INT32_LIES.length)] as number, at(copy, chance, 4))),
  (bytes, chance) => {
    if (bytes.length < 4) return bytes;
    const position = at(bytes, chance, 4);
    return changed(bytes, (copy) => void copy.writeInt32BE(copy.length - position - 4 + chance.integer(3) - 1, position)); // what is left, give or take one
  },
  (bytes, chance) =>
    bytes.length < 2 ? bytes : changed(bytes, (copy) => void copy.writeInt16BE(INT16_LIES[chance.integer(INT16_LIES.length)] as number, at(copy, chance, 2))),
  (bytes, chance) => replaced(bytes, at(bytes, chance), 1, VARINT_LIES[chance.integer(VARINT_LIES.length)] as Buffer),
  (bytes, chance) => bytes.subarray(0, chance.integer(bytes.length + 1)),
  (bytes, chance) => replaced(bytes, at(bytes, chance), 1 + chance.integer(8), Buffer.alloc(0)),
  (bytes, chance) => replaced(bytes, at(bytes, chance), 0, chance.bytes(1 + chance.integer(8))),
  (bytes, chance) => {
    const from = at(bytes, chance);
    return replaced(bytes, at(bytes, chance), 0, bytes.subarray(from, from + 1 + chance.integer(32)));
  },
  (bytes, chance, others) => {
    const other = others[chance.integer(others.length)] as Buffer;
    return Buffer.concat([bytes.subarray(0, at(bytes, chance)), other.subarray(at(other, chance))]);
  },
];

/** One to four kinds of damage, one after the other; at most `bytesMax` bytes come out. */
export function mutate(bytes: Buffer, chance: Chance, others: readonly Buffer[], bytesMax: number): Buffer {
  let result = bytes;
  for (let round = 1 + chance.integer(4); round > 0; round--) result = (MUTATIONS[chance.integer(MUTATIONS.length)] as Mutation)(result, chance, others);
  return result.length > bytesMax ? result.subarray(0, bytesMax) : result;
}
