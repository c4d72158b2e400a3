import { expect, test } from 'vitest';
import { asBuffer, compareBytes, copyBytes, equalBytes, prefixEnd } from './bytes.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('order is by unsigned bytes and a prefix comes first', () => {
  const sorted = [bytes(), bytes(0), bytes(1), bytes(1, 0), bytes(1, 255), bytes(127), bytes(128), bytes(255)];
  for (let at = 1; at < sorted.length; at++) expect(compareBytes(sorted[at - 1] as Uint8Array, sorted[at] as Uint8Array)).toBeLessThan(0);
  expect(compareBytes(bytes(5), bytes(5))).toBe(0);
  expect(equalBytes(bytes(5), bytes(5))).toBe(true);
  expect(equalBytes(bytes(5), bytes(5, 0))).toBe(false);
});

test('the end of a prefix is the least string beyond all that begin with it', () => {
  expect([...(prefixEnd(bytes(1, 2)) ?? [])]).toEqual([1, 3]);
  expect([...(prefixEnd(bytes(1, 255, 255)) ?? [])]).toEqual([2]);
  expect(prefixEnd(bytes(255, 255))).toBeUndefined();
  expect(prefixEnd(bytes())).toBeUndefined();
});

test('a copy shares nothing, asBuffer shares all', () => {
  const source = bytes(1, 2, 3).subarray(1);
  const copy = copyBytes(source);
  const view = asBuffer(source);
  source[0] = 9;
  expect([...copy]).toEqual([2, 3]);
  expect([...view]).toEqual([9, 3]);
});

test('the order of bytes is that of Buffer.compare, whatever the length they share', () => {
  const sign = (left: Buffer, right: Buffer): number => Math.sign(compareBytes(left, right));
  for (const shared of [0, 1, 23, 24, 25, 40]) {
    const prefix = Buffer.alloc(shared, 0x61);
    const tails = ['', '\x00', 'a', 'ab', '\xff'].map((tail) => Buffer.concat([prefix, Buffer.from(tail, 'latin1')]));
    for (const left of tails) for (const right of tails) expect(sign(left, right)).toBe(Buffer.compare(left, right));
  }
});
