import { expect, test } from 'vitest';
import { uniteGroups } from './copartition.ts';

const topic = (name: string) => ({ name, internal: false });
const namesOf = (groups: readonly (readonly string[])[]): string[] =>
  uniteGroups(groups.map((group) => group.map(topic))).map((group) =>
    group
      .map(({ name }) => name)
      .sort()
      .join(),
  );

test('groups that share a topic are one group, through others as well', () => {
  expect(namesOf([['a', 'b'], ['c', 'd'], ['b', 'c'], ['x']])).toEqual(['a,b,c,d', 'x']);
});

test('a group declared twice is there once', () => {
  expect(
    namesOf([
      ['a', 'b'],
      ['b', 'a'],
    ]),
  ).toEqual(['a,b']);
});

test('a topic of the user and an internal one of the same name are two', () => {
  expect(uniteGroups([[topic('a')], [{ name: 'a', internal: true }]])).toHaveLength(2);
});
