import { expect, test } from 'vitest';
import { seededChance } from './seeded-chance.ts';

test('the same seed repeats, another differs', () => {
  const draw = (seed: number): number[] => {
    const chance = seededChance(seed);
    return Array.from({ length: 20 }, () => chance.float());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test('the sequence is pinned, so that a printed seed means the same next year', () => {
  const chance = seededChance(42);
  expect(Array.from({ length: 4 }, () => chance.integer(1_000_000))).toMatchInlineSnapshot(`
    [
      672317,
      533901,
      632483,
      331738,
    ]
  `);
});

test('integers stay in range and spread evenly', () => {
  const chance = seededChance(1);
  const counts = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 10_000; draw++) {
    const digit = chance.integer(10);
    counts[digit] = (counts[digit] ?? Number.NaN) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

test('uuids are version 4 and differ', () => {
  const chance = seededChance(3);
  const first = chance.uuid();
  expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(chance.uuid()).not.toBe(first);
  expect(chance.bytes(5)).toHaveLength(5);
});
