import { serde } from '@millrace/core';
import { expect, test } from 'vitest';
import { GraphBuilder } from './graph-builder.ts';
import { feedingInOrder, idleAfterOf } from './idle-sources.ts';
import type { Subtopology, TopicRef, Topology } from './topology.ts';

const text = serde.string() as never;

interface Part {
  readonly reads: readonly { readonly topic: string; readonly idleAfterMs?: number; readonly isTable?: boolean; readonly internal?: boolean }[];
  readonly writes?: string;
}

/** A sub-topology for each part; what is written is a repartition topic. */
function build(...parts: readonly Part[]): Topology {
  const graph = new GraphBuilder();
  for (const { writes } of parts) if (writes !== undefined) graph.addRepartitionTopic(writes, undefined);
  parts.forEach(({ reads, writes }, index) => {
    for (const { topic, idleAfterMs, isTable, internal = false } of reads)
      graph.addSource({
        name: `read-${topic}`,
        topics: [{ name: topic, internal }],
        key: text,
        value: text,
        nullValues: isTable === true ? 'tombstone' : 'serde',
        timestamp: 'record',
        onInvalidTimestamp: 'fail',
        startFrom: 'earliest',
        idleAfterMs,
        onError: undefined,
      });
    const topic: TopicRef = writes === undefined ? { name: `out-${index}`, internal: false } : { name: writes, internal: true };
    graph.addSink({ name: `write-${index}`, parents: reads.map((one) => `read-${one.topic}`), topic, key: text, value: text });
  });
  return graph.build('parts');
}

const reading = (topology: Topology, topic: string): Subtopology =>
  topology.subtopologies.find(({ sources }) => sources.some(({ name }) => name === topic)) as Subtopology;
const idleOf = (topology: Topology, topic: string): number | undefined => idleAfterOf(topology, reading(topology, topic));

test('the longest of the streams counts; one without it holds time back, a table does not', () => {
  const slow = { topic: 'slow', idleAfterMs: 50 };
  const fast = { topic: 'fast', idleAfterMs: 10 };
  const still = { topic: 'still' };
  const table = { topic: 'table', isTable: true };
  expect(idleOf(build({ reads: [slow, fast] }), 'slow')).toBe(50);
  expect(idleOf(build({ reads: [slow, still] }), 'slow')).toBeUndefined();
  expect(idleOf(build({ reads: [fast, table] }), 'fast')).toBe(10);
  expect(idleOf(build({ reads: [table] }), 'table')).toBeUndefined();
});

test('a repartition topic is as patient as what feeds it, over several steps', () => {
  const topology = build(
    { reads: [{ topic: 'a', idleAfterMs: 10 }], writes: 'ab' },
    { reads: [{ topic: 'ab', internal: true }], writes: 'bc' },
    {
      reads: [
        { topic: 'bc', internal: true },
        { topic: 'd', idleAfterMs: 30 },
      ],
    },
  );
  expect(idleOf(topology, 'ab')).toBe(10);
  expect(idleOf(topology, 'bc')).toBe(30);
  expect(feedingInOrder(topology, reading(topology, 'bc'))).toEqual([reading(topology, 'a'), reading(topology, 'ab')]);
  expect(feedingInOrder(topology, reading(topology, 'a'))).toEqual([]);
});

test('a stream without it holds back also what it feeds', () => {
  const topology = build(
    { reads: [{ topic: 'a' }], writes: 'ab' },
    {
      reads: [
        { topic: 'ab', internal: true },
        { topic: 'b', idleAfterMs: 10 },
      ],
    },
  );
  expect(idleOf(topology, 'ab')).toBeUndefined();
});

test('two that feed each other wait for what comes from elsewhere', () => {
  const topology = build(
    {
      reads: [
        { topic: 'a', idleAfterMs: 10 },
        { topic: 'back', internal: true },
      ],
      writes: 'there',
    },
    { reads: [{ topic: 'there', internal: true }], writes: 'back' },
  );
  expect(idleOf(topology, 'a')).toBe(10);
  expect(idleOf(topology, 'there')).toBe(10);
  expect(feedingInOrder(topology, reading(topology, 'there'))).toEqual([reading(topology, 'a')]);
});
