import { MillraceError, serde } from '@millrace/core';
import type { Topology } from '@millrace/topology';
import { store } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { type TopologyBuilder, topology } from './stream-builder.ts';
import { topic, topicPattern } from './topic.ts';

const text = serde.string();
const logs = topicPattern(/logs-.*/, { key: text, value: text });
const out = topic('out', { key: text, value: text });

const describedBy = (build: (t: TopologyBuilder) => void): string => topology('app', build).describe();
const refusedBy = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (error) {
    return MillraceError.is(error) ? `${error.code} ${error.message}` : String(error);
  }
  return 'nothing';
};

describe('a pattern as the source of a stream', () => {
  test('is a source of its own, written as Kafka Streams writes it', () => {
    expect(describedBy((t) => t.stream(logs, { as: 'all-logs' }).to(out))).toBe(
      [
        'Topologies:',
        '   Sub-topology: 0',
        '    Source: all-logs (topics: logs-.*)',
        '      --> KSTREAM-SINK-0000000001',
        '    Sink: KSTREAM-SINK-0000000001 (topic: out)',
        '      <-- all-logs',
        '',
        '',
      ].join('\n'),
    );
  });

  test('read twice is one source', () => {
    const built = topology('app', (t) => {
      t.stream(logs).to(out);
      t.stream(logs)
        .filter((line) => line !== '')
        .to(out);
    });
    expect([...built.nodes.values()].filter(({ kind }) => kind === 'source')).toHaveLength(1);
  });

  test('creates no topic: none of its name is among those that dev mode makes', () => {
    const { userTopics }: Topology = topology('app', (t) => t.stream(logs).to(out));
    expect(userTopics.map(({ name }) => name)).toEqual(['out']);
  });

  test('in a list is one of the topics that the stream reads, each by its own serde', () => {
    const numbers = topic('numbers', { key: text, value: serde.safeInt() });
    const built = topology('app', (t) => {
      t.stream<string, string | number>([numbers, logs] as never)
        .mapValues(String)
        .to(out);
    });
    const source = [...built.nodes.values()].find(({ kind }) => kind === 'source');
    if (source?.kind !== 'source') throw new Error('there is a source');
    const read = (topic: string, bytes: readonly number[]): unknown =>
      source.value.deserialize(Uint8Array.from(bytes), { topic, role: 'value', headers: [] as never });
    expect(read('numbers', [0, 0, 0, 0, 0, 0, 0, 7])).toBe(7);
    expect(read('logs-a', [0x68, 0x69])).toBe('hi');
    expect(read('logs-b', [0x68, 0x6f])).toBe('ho');
    expect(built.describe()).toContain('(topics: [logs-.*, numbers])');
  });
});

describe('what is refused', () => {
  const overlap = /^ERR_TOPOLOGY Pattern \/logs-\.\*\/ matches topic "logs-a"/;
  const one = topic('logs-a', { key: text, value: text });
  test.each<[string, RegExp, (t: TopologyBuilder) => unknown]>([
    ['a topic read by name beside a pattern that matches it', overlap, (t) => [t.stream(logs), t.stream(one)]],
    ['the same, the other way round', overlap, (t) => [t.stream(one), t.stream(logs)]],
    ['a table beside a pattern that matches its topic', overlap, (t) => [t.stream(logs), t.table(one)]],
    ['a global table beside one', overlap, (t) => [t.stream(logs), t.globalTable(one)]],
    ['a pattern as a table', /^ERR_TOPOLOGY t\.table\(\) was given the pattern \/logs-\.\*\/, and needs one topic/, (t) => t.table(logs)],
    ['a pattern as a global table', /^ERR_TOPOLOGY t\.globalTable\(\) was given the pattern/, (t) => t.globalTable(logs)],
    ['a pattern as a sink', /^ERR_TOPOLOGY to\(\) was given the pattern/, (t) => t.stream(logs).to(logs as never)],
    [
      'one expression declared twice, both declarations read',
      /^ERR_TOPOLOGY Pattern "logs-\.\*" is declared twice/,
      (t) => [t.stream(logs), t.stream(topicPattern(/logs-.*/, { key: text, value: text }))],
    ],
    ['one pattern twice in a list', /^ERR_TOPOLOGY t\.stream\(\) was given one topic twice/, (t) => t.stream([logs, logs])],
  ])('%s', (_, message, build) => {
    expect(refusedBy(() => topology('app', (t) => void build(t)))).toMatch(message);
  });

  test('what is no expression, has no value serde, or says how to create a topic', () => {
    expect(refusedBy(() => topicPattern('logs-.*' as never, { value: text }))).toMatch(
      /^ERR_OPTION topicPattern\(\) was given "logs-\.\*"; it takes a regular/,
    );
    expect(refusedBy(() => topicPattern(/a/, {} as never))).toMatch(/^ERR_OPTION topicPattern\(\/a\/\) has no value serde/);
    expect(refusedBy(() => topicPattern(/a/, { value: text, partitions: 3 }))).toMatch(/^ERR_OPTION topicPattern\(\/a\/\) has \{ partitions \}/);
  });
});

test('internal topics match no pattern, so one over everything may stand before a repartition', () => {
  const all = topicPattern(/.*/, { key: text, value: text });
  const counts = store.keyValue('counts', { key: text, value: serde.safeInt() });
  const built = topology(
    'app',
    (t) =>
      void t
        .stream(all)
        .groupBy((line) => line)
        .count({ store: counts }),
  );
  expect(built.subtopologies.map(({ sources }) => sources.map(({ name }) => name))).toEqual([['.*'], ['counts-repartition']]);
});
