import { MillraceError, serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from './graph-builder.ts';
import { hasPatterns, matchTopics, resolvePatterns, topicExpression } from './patterns.ts';
import type { TopicRef, Topology } from './topology.ts';

const text = serde.string();
const named = (name: string): TopicRef => ({ name, internal: false });
const pattern = (expression: RegExp): TopicRef => ({ name: expression.source, internal: false, pattern: topicExpression(expression) });

function reading(sources: Readonly<Record<string, readonly TopicRef[]>>, joined: readonly (readonly TopicRef[])[] = []): Topology {
  const graph = new GraphBuilder();
  for (const [name, topics] of Object.entries(sources))
    graph.addSource({
      name,
      topics,
      key: text,
      value: text,
      nullValues: 'serde',
      timestamp: 'record',
      onInvalidTimestamp: 'fail',
      startFrom: 'earliest',
      onError: undefined,
    });
  for (const group of joined) graph.addCopartitionGroup(group);
  return graph.build('app');
}

const sourcesOf = (topology: Topology): readonly (readonly string[])[] => topology.subtopologies.map(({ sources }) => sources.map(({ name }) => name));

describe('what an expression matches', () => {
  test('without an anchor the whole name has to match, as in Kafka Streams', () => {
    const logs = topicExpression(/logs-.+|audit/);
    expect(['logs-a', 'audit', 'my-logs-a', 'audits', 'logs-'].filter((name) => logs.test(name))).toEqual(['logs-a', 'audit']);
  });

  test('an expression with an anchor is taken at its word; in a class or escaped there is none', () => {
    expect(['logs-a', 'my-logs-a'].filter((name) => topicExpression(/^logs-/).test(name))).toEqual(['logs-a']);
    expect(['a-dlq', 'dlq-a'].filter((name) => topicExpression(/-dlq$/).test(name))).toEqual(['a-dlq']);
    expect(topicExpression(/[^a]/).test('bb')).toBe(false);
    expect(topicExpression(/a\$?/).test('ba')).toBe(false);
  });

  test('is the same at every look, whatever flags the expression had', () => {
    const every = topicExpression(/LOGS-.*/giy);
    expect([every.test('logs-a'), every.test('logs-a'), every.flags]).toEqual([true, true, 'i']);
  });
});

describe('a topology that reads by pattern', () => {
  test('is told as Kafka Streams tells it: the expression without brackets', () => {
    expect(reading({ logs: [pattern(/logs-.*/)] }).describe()).toBe('Topologies:\n   Sub-topology: 0\n    Source: logs (topics: logs-.*)\n      --> none\n\n');
  });

  test('shows the expression with its flags as data and in drawings', () => {
    const topology = reading({ logs: [pattern(/logs-.*/i)] });
    expect(JSON.stringify(topology.toJSON())).toContain('{"name":"logs-.*","internal":false,"pattern":"/^(?:logs-.*)$/i"}');
    expect(topology.describe('mermaid')).toContain('t0(["/logs-.*/i"])');
    expect(topology.describe('dot')).toContain('label="/logs-.*/i"');
  });

  test('reads the topics that match once they are known, and its description stays', () => {
    const topology = reading({ logs: [pattern(/logs-.*/)], other: [named('x')] });
    const now = resolvePatterns(topology, matchTopics(topology, ['logs-b', 'x', 'unrelated', 'logs-a']));
    expect(sourcesOf(now)).toEqual([['logs-a', 'logs-b'], ['x']]);
    expect([hasPatterns(topology), hasPatterns(now)]).toEqual([true, false]);
    expect(now.describe()).toBe(topology.describe());
    expect(JSON.stringify(now.toJSON())).toBe(JSON.stringify(topology.toJSON()));
  });

  test('a list may hold topics and patterns, and a topic that two of its patterns match is read once', () => {
    const topology = reading({ all: [named('x'), pattern(/logs-.*/), pattern(/.*-eu/)] });
    expect(sourcesOf(resolvePatterns(topology, matchTopics(topology, ['logs-eu', 'shop-eu'])))).toEqual([['x', 'logs-eu', 'shop-eu']]);
  });

  test('all topics that match are joined with the other side: they need its partition count', () => {
    const topology = reading({ logs: [pattern(/logs-.*/)], users: [named('users')] }, [[pattern(/logs-.*/), named('users')]]);
    const { copartitionGroups } = resolvePatterns(topology, ['logs-a', 'logs-b']);
    expect(copartitionGroups.map((group) => group.map(({ name }) => name))).toEqual([['logs-a', 'logs-b', 'users']]);
  });

  test('a topic that patterns of two sources match is refused with both', () => {
    const topology = reading({ one: [pattern(/logs-.*/)], two: [pattern(/.*-eu/)] });
    expect(() => matchTopics(topology, ['logs-eu'])).toThrow(/"logs-eu" matches the patterns of two sources, "one" \(\/logs-\.\*\/\) and "two"/);
  });
});

describe('what is refused when the graph is built', () => {
  const refusal = (sources: Readonly<Record<string, readonly TopicRef[]>>): string => {
    try {
      reading(sources);
    } catch (error) {
      return MillraceError.is(error) ? `${error.code} ${error.message}` : String(error);
    }
    return 'nothing';
  };
  test.each([
    ['a pattern over a topic that is read by name', { one: [named('logs-a')], two: [pattern(/logs-.*/)] }],
    ['a topic that an earlier pattern matches', { two: [pattern(/logs-.*/)], one: [named('logs-a')] }],
    ['both in one list', { one: [named('logs-a'), pattern(/logs-.*/)] }],
  ])('%s', (_, sources) => {
    expect(refusal(sources)).toMatch(/^ERR_TOPOLOGY Pattern \/logs-\.\*\/ matches topic "logs-a", and both are read/);
  });

  test('one pattern for two sources', () => {
    expect(refusal({ one: [pattern(/logs-.*/)], two: [pattern(/logs-.*/)] })).toMatch(/^ERR_TOPOLOGY .* is read by two sources/);
  });
});
