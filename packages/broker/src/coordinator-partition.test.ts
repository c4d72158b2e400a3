// The hash that places groups and transactional ids, against values of Java's String.hashCode.
import { expect, test } from 'vitest';
import { coordinatorPartition, javaStringHash } from './coordinator-partition.ts';

test.each([
  ['', 0],
  ['a', 97],
  ['hello', 99_162_322],
  ['polygenelubricants', -2_147_483_648],
  ['é', 233],
])('%s hashes as in Java', (text, hash) => {
  expect(javaStringHash(text)).toBe(hash);
});

test('a key lands in a partition that exists, also with the most negative hash', () => {
  expect(coordinatorPartition('polygenelubricants', 50)).toBe(0);
  expect(coordinatorPartition('hello', 50)).toBe(22);
  expect(coordinatorPartition('a', 1)).toBe(0);
});
