// Sets of partitions against plain sets of words.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  hasPartition,
  intersect,
  isSubset,
  overlaps,
  sameTopicPartitions,
  subtract,
  type TopicPartitions,
  topicPartitions,
  union,
} from './topic-partitions.ts';

const sets = fc
  .array(fc.tuple(fc.constantFrom('a', 'b'), fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 })), { maxLength: 4 })
  .map((entries) => topicPartitions(entries));
const words = (set: TopicPartitions): string[] => [...set].flatMap(([topicId, partitions]) => partitions.map((partition) => `${topicId}${partition}`)).sort();

test('every operation says what plain sets say', () => {
  fc.assert(
    fc.property(sets, sets, (left, right) => {
      const [inLeft, inRight] = [words(left), words(right)];
      expect(words(intersect(left, right))).toEqual(inLeft.filter((word) => inRight.includes(word)));
      expect(words(subtract(left, right))).toEqual(inLeft.filter((word) => !inRight.includes(word)));
      expect(words(union(left, right))).toEqual([...new Set([...inLeft, ...inRight])].sort());
      expect(isSubset(left, right)).toBe(inLeft.every((word) => inRight.includes(word)));
      expect(overlaps(left, right)).toBe(inLeft.some((word) => inRight.includes(word)));
      expect(sameTopicPartitions(left, right)).toBe(inLeft.join() === inRight.join());
      for (let partition = -1; partition < 7; partition++) expect(hasPartition(left, 'a', partition)).toBe(inLeft.includes(`a${partition}`));
    }),
  );
});

test('what comes from the wire is put in order, once each, without empty topics', () => {
  expect([
    ...topicPartitions([
      ['a', [3, 1, 3]],
      ['b', []],
      ['a', [2]],
    ]),
  ]).toEqual([['a', [1, 2, 3]]]);
});
