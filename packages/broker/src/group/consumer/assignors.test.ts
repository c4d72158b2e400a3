// The two assignors: what any assignment has to keep, over random groups, and the shapes that make each what it is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ASSIGNORS, type Assignor, type AssignorMember } from './assignors.ts';
import { hasPartition, NO_PARTITIONS, subtract, type TopicPartitions } from './topic-partitions.ts';

const uniform = ASSIGNORS.get('uniform') as Assignor;
const range = ASSIGNORS.get('range') as Assignor;
const member = (memberId: string, topicIds: string[], previous: TopicPartitions = NO_PARTITIONS, instanceId: string | null = null): AssignorMember => ({
  memberId,
  instanceId,
  topicIds,
  previous,
});
const sizeOf = (set: TopicPartitions | undefined): number => [...(set ?? NO_PARTITIONS).values()].reduce((sum, { length }) => sum + length, 0);
const plain = (assignment: ReadonlyMap<string, TopicPartitions>) => Object.fromEntries([...assignment].map(([id, set]) => [id, Object.fromEntries(set)]));

const TOPICS = ['t0', 't1', 't2', 't3'];
const groups = fc.record({
  counts: fc.tuple(...TOPICS.map(() => fc.integer({ min: 1, max: 9 }))),
  subscriptions: fc.array(fc.subarray(TOPICS), { minLength: 1, maxLength: 6 }),
});

describe.each([...ASSIGNORS])('%s', (_name, assignor) => {
  test('gives every subscribed partition to exactly one member that subscribes to it, whatever was before', () => {
    fc.assert(
      fc.property(groups, groups, ({ counts, subscriptions }, earlier) => {
        const countOf = (from: readonly number[]) => (topicId: string) => from[TOPICS.indexOf(topicId)] as number;
        const before = assignor(
          earlier.subscriptions.map((topics, at) => member(`m${at}`, topics)),
          countOf(earlier.counts),
        );
        const members = subscriptions.map((topics, at) => member(`m${at}`, topics, before.get(`m${at}`)));
        const assignment = assignor(members, countOf(counts));
        for (const topicId of TOPICS) {
          const subscribed = members.some(({ topicIds }) => topicIds.includes(topicId));
          for (let partition = 0; partition < 10; partition++) {
            const owners = members.filter(({ memberId }) => hasPartition(assignment.get(memberId) as TopicPartitions, topicId, partition));
            expect(owners.length).toBe(subscribed && partition < countOf(counts)(topicId) ? 1 : 0);
            for (const owner of owners) expect(owner.topicIds).toContain(topicId);
          }
        }
      }),
    );
  });
  test('gives nothing where there is nothing', () => {
    expect(plain(assignor([], () => 3))).toEqual({});
    expect(plain(assignor([member('a', [])], () => 3))).toEqual({ a: {} });
  });
});

describe('uniform', () => {
  test('members with the same subscription differ by one partition at most, and no more moves than that needs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), (partitions, earlier, now) => {
        const of = (count: number, before?: ReadonlyMap<string, TopicPartitions>) =>
          uniform(
            Array.from({ length: count }, (_, at) => member(`m${at}`, ['t'], before?.get(`m${at}`))),
            () => partitions,
          );
        const before = of(earlier);
        const after = of(now, before);
        const sizes = [...after.values()].map(sizeOf);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        const keep = [...before].map(([id, set]) => sizeOf(set) - sizeOf(subtract(set, after.get(id) ?? NO_PARTITIONS)));
        const kept = keep.reduce((sum, count) => sum + count, 0);
        const fair = Math.floor(partitions / now);
        const possible = [...before].slice(0, now).reduce((sum, [, set]) => sum + Math.min(sizeOf(set), fair), 0);
        expect(kept).toBeGreaterThanOrEqual(possible);
      }),
    );
  });
  test('a topic that only one member reads counts towards its share', () => {
    expect(plain(uniform([member('a', ['own', 'both']), member('b', ['both'])], () => 2))).toEqual({ a: { own: [0, 1] }, b: { both: [0, 1] } });
  });
});

describe('range', () => {
  test('cuts each topic into runs, so that topics with the same number of partitions line up', () => {
    const members = [member('b', ['x', 'y']), member('a', ['x', 'y'])];
    expect(plain(range(members, () => 5))).toEqual({ a: { x: [0, 1, 2], y: [0, 1, 2] }, b: { x: [3, 4], y: [3, 4] } });
  });
  test('goes by instance id where there is one, so that a member that comes back has the same run', () => {
    const assignment = range([member('zz', ['x'], NO_PARTITIONS, 'i1'), member('aa', ['x'], NO_PARTITIONS, 'i2')], () => 2);
    expect(plain(assignment)).toEqual({ zz: { x: [0] }, aa: { x: [1] } });
  });
});
