import { MillraceError, serde } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from './graph-builder.ts';
import type { ProcessorFactory } from './processor.ts';
import type { KeyValueSpec, StoreSpec, WindowSpec } from './store-spec.ts';

const create: ProcessorFactory = () => ({ process() {} });
const text = serde.string();
const keyValue = (name: string): KeyValueSpec => ({ kind: 'keyValue', name, key: text, value: text, changelog: { config: {} }, queryable: true });

function builder(): {
  graph: GraphBuilder;
  source(name: string, ...topics: string[]): void;
  processor(name: string, parents: string[], stores?: string[]): void;
  sink(name: string, parents: string[], topic: string): void;
} {
  const graph = new GraphBuilder();
  return {
    graph,
    source(name, ...topics) {
      graph.addSource({
        name,
        topics: topics.map((topic) => ({ name: topic, internal: false })),
        key: text,
        value: text,
        nullValues: 'serde',
        timestamp: 'record',
        onInvalidTimestamp: 'fail',
        startFrom: 'earliest',
        onError: undefined,
      });
    },
    processor: (name, parents, stores = []) => graph.addProcessor({ name, parents, stores, create }),
    sink: (name, parents, topic) => graph.addSink({ name, parents, topic: { name: topic, internal: false }, key: text, value: text }),
  };
}

function refusal(attempt: () => unknown): MillraceError {
  try {
    attempt();
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('sub-topologies', () => {
  test('unlinked parts are apart, numbered by first appearance', () => {
    const { graph, source, processor, sink } = builder();
    source('s1', 'a');
    source('s2', 'b');
    processor('p2', ['s2']);
    sink('out1', ['s1'], 'x');
    sink('out2', ['p2'], 'y');
    const { subtopologies } = graph.build('two');
    expect(subtopologies.map(({ id, nodes }) => [id, nodes])).toEqual([
      [0, ['s1', 'out1']],
      [1, ['s2', 'p2', 'out2']],
    ]);
    expect(subtopologies[1]?.sources).toEqual([{ name: 'b', internal: false }]);
    expect(subtopologies[1]?.sinks).toEqual([{ name: 'y', internal: false }]);
  });

  test('a shared store joins what no link joins', () => {
    const { graph, source, processor } = builder();
    graph.addStore(keyValue('shared'));
    source('s1', 'a');
    source('s2', 'b');
    processor('p1', ['s1'], ['shared']);
    processor('p2', ['s2'], ['shared']);
    const { subtopologies } = graph.build('one');
    expect(subtopologies).toHaveLength(1);
    expect(subtopologies[0]?.stores).toEqual(['shared']);
  });

  test('nodes are listed parents first, and children in the order in which they were added', () => {
    const { graph, source, processor } = builder();
    source('s', 'a');
    processor('late', ['s']);
    processor('early', ['s']);
    processor('both', ['late', 'early']);
    const built = graph.build('diamond');
    expect(built.subtopologies[0]?.nodes).toEqual(['s', 'late', 'early', 'both']);
    const node = built.nodes.get('s');
    expect(node?.kind === 'source' && node.children).toEqual(['late', 'early']);
  });
});

describe('the changelog of a store', () => {
  const window: WindowSpec = { ...keyValue('w'), kind: 'window', windowSizeMs: 10, retentionMs: 15, duplicates: false };
  const changelogOf = (spec: StoreSpec) => {
    const { graph, source, processor } = builder();
    graph.addStore(spec);
    source('s', 'a');
    processor('p', ['s'], [spec.name]);
    return graph.build('t').internalTopics;
  };

  test('is compacted; of a window store also deleted, a day after its retention', () => {
    expect(changelogOf(keyValue('k'))[0]?.config).toEqual({ 'cleanup.policy': 'compact', 'message.timestamp.type': 'CreateTime' });
    expect(changelogOf(window)[0]?.config).toEqual({ 'cleanup.policy': 'compact,delete', 'message.timestamp.type': 'CreateTime', 'retention.ms': '86400015' });
    expect(changelogOf({ ...window, duplicates: true })[0]?.config['cleanup.policy']).toBe('delete');
    expect(changelogOf({ ...window, retentionMs: Number.MAX_SAFE_INTEGER })[0]?.config['retention.ms']).toBe('9223372036854775807');
  });

  test('takes the settings of the store last', () => {
    expect(changelogOf({ ...window, changelog: { config: { 'retention.ms': '5', 'segment.bytes': '7' } } })[0]?.config).toMatchObject({
      'retention.ms': '5',
      'segment.bytes': '7',
    });
  });

  test('is left out where logging is off or a source topic serves', () => {
    expect(changelogOf({ ...window, changelog: false })).toEqual([]);
    expect(changelogOf({ ...keyValue('k'), sourceTopic: 'a' })).toEqual([]);
  });
});

test('a store is connected to a processor that was there before it', () => {
  const { graph, source, processor } = builder();
  source('s', 'a');
  processor('p', ['s']);
  graph.addStore(keyValue('k'));
  graph.connect('p', 'k');
  expect(graph.build('t').subtopologies[0]?.stores).toEqual(['k']);
});

describe('what is refused', () => {
  const cases: readonly [string, (b: ReturnType<typeof builder>) => void, RegExp][] = [
    [
      'two nodes of one name',
      ({ source, processor }) => {
        source('s', 'a');
        processor('s', ['s']);
      },
      /Two operators are called "s"/,
    ],
    [
      'one topic read by two sources',
      ({ source }) => {
        source('s1', 'a');
        source('s2', 'a', 'b');
      },
      /Topic "a" is read by two sources, "s1" and "s2"/,
    ],
    [
      'a node with nothing above it',
      ({ source, processor }) => {
        source('s', 'a');
        processor('p', []);
      },
      /connected to nothing above it/,
    ],
    [
      'a store connected to a source',
      ({ graph, source }) => {
        graph.addStore(keyValue('k'));
        source('s', 'a');
        graph.connect('s', 'k');
      },
      /which is a source: only processors have stores/,
    ],
    ['a parent that is not there', ({ processor }) => processor('p', ['nobody']), /connected to "nobody"/],
    [
      'a sink as parent',
      ({ source, processor, sink }) => {
        source('s', 'a');
        sink('end', ['s'], 'x');
        processor('p', ['end']);
      },
      /is a sink/,
    ],
    [
      'a store that is not there',
      ({ source, processor }) => {
        source('s', 'a');
        processor('p', ['s'], ['nothing']);
      },
      /store "nothing"/,
    ],
    [
      'two stores of one name',
      ({ graph }) => {
        graph.addStore(keyValue('k'));
        graph.addStore(keyValue('k'));
      },
      /Two stores are called "k"/,
    ],
    [
      'a store nobody uses',
      ({ graph, source }) => {
        graph.addStore(keyValue('k'));
        source('s', 'a');
        graph.build('t');
      },
      /used by no operator/,
    ],
    [
      'two repartition topics of one name',
      ({ graph }) => {
        graph.addRepartitionTopic('r', undefined);
        graph.addRepartitionTopic('r', 2);
      },
      /Two repartition topics/,
    ],
    ['a program that reads nothing', ({ graph }) => graph.build('t'), /reads nothing/],
    [
      'a window store that forgets its windows too early',
      ({ graph }) => graph.addStore({ ...keyValue('w'), kind: 'window', windowSizeMs: 10, retentionMs: 9, duplicates: false }),
      /less than its windows/,
    ],
  ];
  test.each(cases)('%s', (_name, attempt, message) => {
    const error = refusal(() => attempt(builder()));
    expect(error.code).toBe('ERR_TOPOLOGY');
    expect(error.message).toMatch(message);
    expect(Object.keys(error.where).length).toBeGreaterThanOrEqual(1);
  });

  test('a name Kafka would not take', () => {
    expect(refusal(() => builder().source('a b', 'x')).code).toBe('ERR_NAME');
    expect(refusal(() => builder().source('a', '..')).code).toBe('ERR_NAME');
  });
});

test('describe() lists bigger nodes first, names sorted, and ends each sub-topology with a blank line', () => {
  const { graph, source, processor, sink } = builder();
  source('s', 'b', 'a');
  processor('z', ['s']);
  processor('y', ['s']);
  sink('out', ['z'], 'x');
  expect(graph.build('t').describe()).toBe(
    `Topologies:
   Sub-topology: 0
    Source: s (topics: [a, b])
      --> y, z
    Processor: z (stores: [])
      --> out
      <-- s
    Sink: out (topic: x)
      <-- z
    Processor: y (stores: [])
      --> none
      <-- s

`,
  );
});

test('equal programs give equal JSON, and a changed serde or topic shows', () => {
  const json = (topic: string): string => {
    const { graph, source, sink } = builder();
    source('s', 'a');
    sink('out', ['s'], topic);
    return JSON.stringify(graph.build('t'));
  };
  expect(json('x')).toBe(json('x'));
  expect(json('x')).not.toBe(json('y'));
});
