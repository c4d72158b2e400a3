import { expect, test } from 'vitest';
import { valueHash } from './value-hash.ts';

/** The same, slowly, on 64-bit integers. */
function reference(bytes: Uint8Array): string {
  const mask = (1n << 64n) - 1n;
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;
  const [c1, c2] = [0x87c37b91114253d5n, 0x4cf5ad432745937fn];
  const first = (k: bigint): bigint => (rotate((k * c1) & mask, 31n) * c2) & mask;
  const second = (k: bigint): bigint => (rotate((k * c2) & mask, 33n) * c1) & mask;
  const word = (at: number, end: number): bigint => {
    let found = 0n;
    for (let index = Math.min(at + 8, end) - 1; index >= at; index--) found = (found << 8n) | BigInt(bytes[index] as number);
    return found;
  };
  let [h1, h2] = [104_729n, 104_729n];
  const blocks = Math.floor(bytes.length / 16) * 16;
  for (let at = 0; at < blocks; at += 16) {
    h1 = (((rotate(h1 ^ first(word(at, at + 8)), 27n) + h2) & mask) * 5n + 0x52dce729n) & mask;
    h2 = (((rotate(h2 ^ second(word(at + 8, at + 16)), 31n) + h1) & mask) * 5n + 0x38495ab5n) & mask;
  }
  if (bytes.length - blocks > 8) h2 ^= second(word(blocks + 8, bytes.length));
  if (bytes.length > blocks) h1 ^= first(word(blocks, Math.min(blocks + 8, bytes.length)));
  h1 ^= BigInt(bytes.length);
  h2 ^= BigInt(bytes.length);
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  const avalanche = (h: bigint): bigint => {
    let x = ((h ^ (h >> 33n)) * 0xff51afd7ed558ccdn) & mask;
    x = ((x ^ (x >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
    return x ^ (x >> 33n);
  };
  h1 = avalanche(h1);
  h2 = avalanche(h2);
  h1 = (h1 + h2) & mask;
  h2 = (h2 + h1) & mask;
  return h1.toString(16).padStart(16, '0') + h2.toString(16).padStart(16, '0');
}

test('values hash as in Kafka Streams (recorded)', () => {
  expect(valueHash(Buffer.from('x|1')).toString('hex')).toBe('b28a5fa5a1c77e0ea470a9518fb45b87');
  expect(valueHash(Buffer.from('none')).toString('hex')).toBe('3923209bcd5598411af595432a19167c');
});

test('every length up to three blocks hashes as on 64-bit integers, whatever the bytes', () => {
  for (let length = 0; length <= 50; length++) {
    for (const factor of [1, 37, 251]) {
      const bytes = Buffer.from(Array.from({ length }, (_, at) => (at * factor + length * 91) & 0xff));
      expect(valueHash(bytes).toString('hex')).toBe(reference(bytes));
    }
  }
});
