import { expect, test } from 'vitest';
import { Loan, SpareBuffers } from './spare-buffers.ts';

const KIB = 1024;

test('what was given back is lent again, and only then', () => {
  const spare = new SpareBuffers();
  const first = spare.lend(300 * KIB);
  const second = spare.lend(300 * KIB);
  expect(first.buffer).not.toBe(second.buffer);
  spare.giveBack(first);
  const third = spare.lend(400 * KIB);
  expect(third.buffer).toBe(first.buffer);
  expect(third.length).toBe(400 * KIB);
});

test('a view is as good as the buffer; a second time counts for nothing', () => {
  const spare = new SpareBuffers();
  const lent = spare.lend(200 * KIB);
  spare.giveBack(lent.subarray(10, 20));
  spare.giveBack(lent);
  expect(spare.idleBytes).toBe(256 * KIB);
  expect(spare.lend(200 * KIB).buffer).not.toBe(spare.lend(200 * KIB).buffer);
});

test('memory that was not lent is never taken: two requests may lie in one chunk of the network', () => {
  const spare = new SpareBuffers();
  const chunk = Buffer.allocUnsafeSlow(256 * KIB);
  spare.giveBack(chunk.subarray(0, 100 * KIB));
  spare.giveBack(chunk.subarray(100 * KIB));
  expect(spare.idleBytes).toBe(0);
});

test('what lies idle is bounded; small and huge ones are not kept', () => {
  const spare = new SpareBuffers(512 * KIB);
  const lent = [200, 200, 200, 1, 100, 5_000].map((kib) => spare.lend(kib * KIB));
  for (const buffer of lent) spare.giveBack(buffer);
  expect(spare.idleBytes).toBe(512 * KIB);
});

test('a loan gives back all of it, once', () => {
  const spare = new SpareBuffers();
  const loan = new Loan(spare);
  loan.lend(128 * KIB);
  loan.lend(10);
  loan.lend(1_000 * KIB);
  loan.end();
  loan.end();
  expect(spare.idleBytes).toBe((128 + 1024) * KIB);
});
