import { MillraceError, serde } from '@millrace/core';
import { GraphBuilder, matchTopics, type StoreSpec, type TopicRef, type Topology, topicExpression } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { planTopics, type TopicPlan } from './topic-plan.ts';

const text = serde.string();
const logs: TopicRef = { name: 'logs-.*', internal: false, pattern: topicExpression(/logs-.*/) };
const named = (name: string): TopicRef => ({ name, internal: false });
const own = (name: string): TopicRef => ({ name, internal: true });
const rows = (name: string): StoreSpec => ({ kind: 'keyValue', name, key: text, value: text, changelog: { config: {} }, queryable: true });

interface Part {
  readonly reads: readonly TopicRef[];
  readonly store?: string;
  readonly repartition?: string;
}

/** Each part a sub-topology: a source, a processor with a store if it has one, a repartition topic below. */
function program(parts: readonly Part[], joined: readonly (readonly TopicRef[])[] = []): Topology {
  const graph = new GraphBuilder();
  for (const group of joined) graph.addCopartitionGroup(group);
  parts.forEach(({ reads, store, repartition }, at) => {
    const how = {
      key: text,
      value: text,
      nullValues: 'serde',
      timestamp: 'record',
      onInvalidTimestamp: 'fail',
      startFrom: 'earliest',
      onError: undefined,
    } as const;
    graph.addSource({ name: `in-${at}`, topics: reads, ...how });
    if (store !== undefined) graph.addStore(rows(store));
    graph.addProcessor({ name: `do-${at}`, parents: [`in-${at}`], stores: store === undefined ? [] : [store], create: () => ({ process() {} }) });
    if (repartition === undefined) return;
    graph.addRepartitionTopic(repartition, undefined);
    graph.addSink({ name: `out-${at}`, parents: [`do-${at}`], topic: own(repartition), key: text, value: text });
  });
  return graph.build('t');
}

function plan(topology: Topology, existing: Readonly<Record<string, number>>): TopicPlan {
  const matched = matchTopics(topology, Object.keys(existing));
  const made = { createUserTopics: false, defaultPartitions: 4, replication: -1, overrides: {} };
  return planTopics({ topology, applicationId: 'app', existing: new Map(Object.entries(existing)), matched, ...made });
}
const facts = ({ tasks, create }: TopicPlan): object => ({
  tasks: tasks.map(({ id }) => id),
  create: create.map(({ name, partitions }) => `${name} ${partitions}`),
});
const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return MillraceError.is(error) ? `${error.code} ${error.message}` : String(error);
  }
  return 'nothing';
};

describe('topics and tasks of a topology that reads by pattern', () => {
  const counting = program([{ reads: [logs], store: 'counts' }]);
  const rekeyed = program([
    { reads: [logs], repartition: 'by-key' },
    { reads: [own('by-key')], store: 'counts' },
  ]);

  test('a task for every partition of the widest topic, and as many in the changelog', () => {
    expect(facts(plan(counting, { 'logs-a': 1, 'logs-b': 3, other: 9 }))).toEqual({ tasks: ['0_0', '0_1', '0_2'], create: ['app-counts-changelog 3'] });
  });

  test('no topic matches: nothing to run, nothing to make, nothing wrong', () => {
    expect(facts(plan(counting, { other: 1 }))).toEqual({ tasks: [], create: [] });
    expect(facts(plan(rekeyed, {}))).toEqual({ tasks: [], create: [] });
    const both = program([
      { reads: [logs], repartition: 'by-key' },
      { reads: [own('by-key')], repartition: 'again' },
      { reads: [own('again')] },
      { reads: [named('x')] },
    ]);
    expect(facts(plan(both, { x: 1 }))).toEqual({ tasks: ['3_0'], create: [] });
  });

  test('a repartition topic takes the widest count when it is made, and keeps it whatever comes or goes', () => {
    expect(facts(plan(rekeyed, { 'logs-a': 2 }))).toEqual({ tasks: ['0_0', '0_1', '1_0', '1_1'], create: ['app-by-key 2', 'app-counts-changelog 2'] });
    const made = { 'app-by-key': 2, 'app-counts-changelog': 2 };
    expect(facts(plan(rekeyed, { 'logs-a': 2, 'logs-b': 3, ...made }))).toEqual({ tasks: ['0_0', '0_1', '0_2', '1_0', '1_1'], create: [] });
    expect(facts(plan(rekeyed, { 'logs-c': 1, ...made }))).toEqual({ tasks: ['0_0', '1_0', '1_1'], create: [] });
    expect(facts(plan(rekeyed, made))).toEqual({ tasks: ['1_0', '1_1'], create: [] });
  });

  test('tasks that go with their topics leave their changelog partitions behind', () => {
    expect(facts(plan(counting, { 'logs-a': 1, 'app-counts-changelog': 3 }))).toEqual({ tasks: ['0_0'], create: [] });
  });

  test('a topic wider than the changelog is refused, with its name, both counts and what to do', () => {
    expect(refusal(() => plan(counting, { 'logs-a': 2, 'logs-b': 4, 'app-counts-changelog': 2 }))).toMatch(
      /^ERR_PARTITION_COUNT .*more partitions than its changelog 'app-counts-changelog', which has 2: 'logs-b' has 4\. Create topics of the pattern with at most 2/,
    );
  });

  test('a sub-topology without a pattern is as strict as ever', () => {
    const two = program([{ reads: [logs] }, { reads: [named('x')], store: 'kept' }]);
    expect(refusal(() => plan(two, { x: 1, 'app-kept-changelog': 2 }))).toMatch(/^ERR_PARTITION_COUNT internal topic 'app-kept-changelog' has 2/);
  });

  test('in a join every topic that matches has the partition count of the other side', () => {
    const joined = program([{ reads: [logs] }, { reads: [named('users')] }], [[logs, named('users')]]);
    expect(plan(joined, { users: 2, 'logs-a': 2, 'logs-b': 2 }).tasks).toHaveLength(4);
    expect(plan(joined, { users: 2 }).tasks).toHaveLength(2);
    expect(refusal(() => plan(joined, { users: 2, 'logs-a': 2, 'logs-b': 3 }))).toMatch(/^ERR_PARTITION_COUNT these topics meet in one join.*logs-b has 3/);
  });
});
