import { seededChance } from '@millrace/core';
import { expect, test } from 'vitest';
import { CallLine, type Waiting } from './call-line.ts';
import type { CallOrder } from './call-settings.ts';

const entry = (number: number, keyText = ''): Waiting => ({ number, keyText, state: 'waiting' });
const taken = (line: CallLine<Waiting>): number[] => {
  const numbers: number[] = [];
  for (let one = line.take(); one !== undefined; one = line.take()) numbers.push(one.number);
  return numbers;
};

test('order none: called in arrival order, outcomes leave as they come', () => {
  const line = new CallLine<Waiting>('none');
  const all = [0, 1, 2].map((number) => entry(number));
  for (const one of all) line.add(one);
  expect([line.next(), line.next(), line.next(), line.next()]).toEqual([...all, undefined]);
  line.answered(all[2] as Waiting);
  line.answered(all[0] as Waiting);
  expect(taken(line)).toEqual([2, 0]);
  expect(line.size).toBe(1);
});

test('order input: outcomes leave in arrival order, the rest waits for the slow one', () => {
  const line = new CallLine<Waiting>('input');
  const all = [0, 1, 2].map((number) => entry(number, 'k'));
  for (const one of all) line.add(one);
  while (line.next() !== undefined);
  line.answered(all[1] as Waiting);
  line.answered(all[2] as Waiting);
  expect(taken(line)).toEqual([]);
  line.answered(all[0] as Waiting);
  expect(taken(line)).toEqual([0, 1, 2]);
});

test('order key: one of a key is out at a time; other keys pass it', () => {
  const line = new CallLine<Waiting>('key');
  const [a1, a2, b1] = [entry(0, 'a'), entry(1, 'a'), entry(2, 'b')];
  for (const one of [a1, a2, b1]) line.add(one);
  expect([line.next(), line.next(), line.next()]).toEqual([a1, b1, undefined]);
  line.answered(b1);
  expect(taken(line)).toEqual([2]);
  expect(line.next()).toBeUndefined();
  line.answered(a1);
  expect(taken(line)).toEqual([0]);
  expect(line.next()).toBe(a2);
  line.answered(a2);
  expect(taken(line)).toEqual([1]);
  expect(line.size).toBe(0);
});

test.each(['key', 'input', 'none'] as const)('order %s under 300 random histories: everything leaves once, and in the order promised', (order: CallOrder) => {
  for (let seed = 1; seed <= 300; seed++) {
    const chance = seededChance(seed);
    const line = new CallLine<Waiting>(order);
    const out: Waiting[] = [];
    const left: Waiting[] = [];
    let number = 0;
    for (let step = 0; step < 60 || line.size > 0; step++) {
      const choice = chance.integer(3);
      if (choice === 0 && step < 60) line.add(entry(number++, 'abc'[chance.integer(3)]));
      else if (choice === 1) {
        const one = line.next();
        if (one === undefined) continue;
        if (order === 'key') expect(out.some(({ keyText }) => keyText === one.keyText)).toBe(false);
        out.push(one);
      } else if (out.length > 0) {
        line.answered(out.splice(chance.integer(out.length), 1)[0] as Waiting);
        for (let one = line.take(); one !== undefined; one = line.take()) left.push(one);
      }
    }
    const numbers = left.map((one) => one.number);
    expect([...numbers].sort((x, y) => x - y)).toEqual(Array.from({ length: number }, (_, index) => index));
    if (order === 'input') expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
    if (order === 'key') {
      for (const key of 'abc') {
        const ofKey = left.filter(({ keyText }) => keyText === key).map((one) => one.number);
        expect(ofKey).toEqual([...ofKey].sort((x, y) => x - y));
      }
    }
  }
});
