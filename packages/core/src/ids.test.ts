import { expect, test } from 'vitest';
import { isLegalName, offsetFromWire, parsePartitionKey, partitionKey } from './ids.ts';

test('offsets become numbers, and beyond 2^53-1 they are refused rather than rounded', () => {
  expect(offsetFromWire(5n)).toBe(5);
  expect(offsetFromWire(-1n)).toBe(-1);
  expect(offsetFromWire(BigInt(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER);
  expect(() => offsetFromWire(BigInt(Number.MAX_SAFE_INTEGER) + 1n)).toThrow('offset out of range');
});

test('a partition key comes back, dashes in the topic included', () => {
  expect(parsePartitionKey(partitionKey('app-store-changelog', 12))).toEqual({ topic: 'app-store-changelog', partition: 12 });
});

test.each(['a', 'A.b_c-9', 'x'.repeat(249)])('%s is a legal name', (name) => expect(isLegalName(name)).toBe(true));
test.each(['', '.', '..', 'a b', 'a/b', 'é', 'x'.repeat(250)])('%j is no legal name', (name) => expect(isLegalName(name)).toBe(false));
