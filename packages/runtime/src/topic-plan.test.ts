import { MillraceError, serde } from '@millrace/core';
import type { InternalTopic, Subtopology, TopicRef, Topology } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { planTopics } from './topic-plan.ts';

const user = (name: string): TopicRef => ({ name, internal: false });
const own = (name: string): TopicRef => ({ name, internal: true });
const sub = (id: number, sources: readonly TopicRef[], sinks: readonly TopicRef[] = [], stores: readonly string[] = []): Subtopology => ({
  id,
  nodes: [],
  sources,
  sinks,
  stores,
});
const repartition = (name: string, partitions?: number): InternalTopic => ({
  name,
  kind: 'repartition',
  partitions,
  config: { 'cleanup.policy': 'delete' },
  store: undefined,
});
const changelog = (store: string): InternalTopic => ({
  name: `${store}-changelog`,
  kind: 'changelog',
  partitions: undefined,
  config: { 'cleanup.policy': 'compact' },
  store,
});

function topologyOf(parts: Pick<Topology, 'subtopologies' | 'internalTopics'> & Partial<Topology>): Topology {
  const names = [...new Set(parts.subtopologies.flatMap((one) => [...one.sources, ...one.sinks].filter((ref) => !ref.internal).map((ref) => ref.name)))];
  return {
    name: 't',
    nodes: new Map(),
    stores: new Map(),
    globals: [],
    copartitionGroups: [],
    userTopics: names.map((name) => ({ name, partitions: undefined, config: {} })),
    describe: () => '',
    toJSON: () => ({}),
    ...parts,
  };
}
function plan(topology: Topology, existing: Readonly<Record<string, number>>, createUserTopics = false) {
  return planTopics({
    topology,
    applicationId: 'app',
    existing: new Map(Object.entries(existing)),
    createUserTopics,
    defaultPartitions: 4,
    replication: -1,
    overrides: { 'retention.ms': '5' },
  });
}
const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (MillraceError.is(error)) return error.code;
    throw error;
  }
  return 'none';
};

describe('planTopics', () => {
  const counting = topologyOf({
    subtopologies: [sub(0, [user('in')], [own('by-key-repartition')]), sub(1, [own('by-key-repartition')], [user('out')], ['counts'])],
    internalTopics: [repartition('by-key-repartition'), changelog('counts')],
  });

  test('a repartition topic takes the count of what feeds it, a changelog that of its tasks', () => {
    const result = plan(counting, { in: 3, out: 1 });
    expect(result.create).toEqual([
      { name: 'app-by-key-repartition', partitions: 3, replication: -1, config: { 'cleanup.policy': 'delete', 'retention.ms': '5' } },
      { name: 'app-counts-changelog', partitions: 3, replication: -1, config: { 'cleanup.policy': 'compact', 'retention.ms': '5' } },
    ]);
    expect(result.tasks.map((task) => `${task.id}${task.stateful ? '*' : ''}`)).toEqual(['0_0', '0_1', '0_2', '1_0*', '1_1*', '1_2*']);
  });

  test('counts pass through a chain of repartitions, whatever the order of declaration', () => {
    const chain = topologyOf({
      subtopologies: [sub(0, [user('in')], [own('a')]), sub(1, [own('b')], []), sub(2, [own('a')], [own('b')])],
      internalTopics: [repartition('b'), repartition('a')],
    });
    expect(plan(chain, { in: 5 }).counts.get('app-b')).toBe(5);
  });

  test('repartition topics of a join take the count of the topic they meet', () => {
    const join = topologyOf({
      subtopologies: [sub(0, [user('in')], [own('left')]), sub(1, [own('left'), user('table')], [])],
      internalTopics: [repartition('left')],
      copartitionGroups: [[own('left'), user('table')]],
    });
    expect(plan(join, { in: 2, table: 6 }).counts.get('app-left')).toBe(6);
  });

  test('what the side of a foreign-key join feeds beside it knows its count, although the two topics of the join feed each other', () => {
    const join = topologyOf({
      subtopologies: [
        sub(0, [user('shipments'), own('answers')], [own('questions'), own('by-depot')]),
        sub(1, [own('questions'), user('depots')], [own('answers')]),
        sub(2, [own('by-depot')]),
      ],
      internalTopics: [repartition('by-depot'), repartition('questions'), repartition('answers')],
      copartitionGroups: [
        [own('questions'), user('depots')],
        [own('answers'), user('shipments')],
      ],
    });
    const { counts } = plan(join, { shipments: 6, depots: 2 });
    expect(['by-depot', 'questions', 'answers'].map((name) => counts.get(`app-${name}`))).toEqual([6, 2, 6]);
  });

  test('an explicit count that cannot meet its partner is refused', () => {
    const join = topologyOf({
      subtopologies: [sub(0, [user('in')], [own('left')]), sub(1, [own('left'), user('table')], [])],
      internalTopics: [repartition('left', 3)],
      copartitionGroups: [[own('left'), user('table')]],
    });
    expect(codeOf(() => plan(join, { in: 2, table: 6 }))).toBe('ERR_PARTITION_COUNT');
  });

  test('topics that meet in a join with unequal counts are refused with both numbers', () => {
    const join = topologyOf({ subtopologies: [sub(0, [user('l'), user('r')])], internalTopics: [], copartitionGroups: [[user('l'), user('r')]] });
    expect(() => plan(join, { l: 2, r: 3 })).toThrow(/l has 2, r has 3/);
  });

  test('missing topics of the user are created only where that is wanted', () => {
    expect(codeOf(() => plan(counting, { in: 3 }))).toBe('ERR_TOPIC_MISSING');
    expect(() => plan(counting, { in: 3 })).toThrow(/writes 'out', which the broker does not have\. Create it /);
    expect(() => plan(counting, {})).toThrow(/reads 'in' and writes 'out', which the broker does not have\. Create them /);
    expect(plan(counting, {}, true).create.map((topic) => `${topic.name}:${topic.partitions}`)).toEqual([
      'in:4',
      'out:4',
      'app-by-key-repartition:4',
      'app-counts-changelog:4',
    ]);
  });

  test('a source topic that is also the changelog of its table is created compacted, unless its declaration says otherwise', () => {
    const table = (config: Readonly<Record<string, string>>): Topology =>
      topologyOf({
        subtopologies: [sub(0, [user('rows')], [], ['rows-store'])],
        internalTopics: [],
        stores: new Map([
          [
            'rows-store',
            {
              kind: 'keyValue',
              name: 'rows-store',
              key: serde.string(),
              value: serde.string(),
              changelog: { config: {} },
              sourceTopic: 'rows',
              queryable: true,
            },
          ],
        ]) as unknown as Topology['stores'],
        userTopics: [{ name: 'rows', partitions: undefined, config }],
      });
    expect(plan(table({}), {}, true).create[0]?.config).toEqual({ 'cleanup.policy': 'compact' });
    expect(plan(table({ 'cleanup.policy': 'compact,delete' }), {}, true).create[0]?.config).toEqual({ 'cleanup.policy': 'compact,delete' });
  });

  test('an internal topic whose count no longer fits is refused, never recreated', () => {
    expect(() => plan(counting, { in: 4, out: 1, 'app-by-key-repartition': 3 })).toThrow(/has 3 partitions but the application now needs 4/);
  });

  test('what exists is not created again', () => {
    expect(plan(counting, { in: 2, out: 1, 'app-by-key-repartition': 2, 'app-counts-changelog': 2 }).create).toEqual([]);
  });

  test('a repartition topic that only feeds itself has no count to take', () => {
    const loop = topologyOf({ subtopologies: [sub(0, [own('a')], [own('a')])], internalTopics: [repartition('a')] });
    expect(codeOf(() => plan(loop, {}))).toBe('ERR_PARTITION_COUNT');
  });
});
