import { MillraceError, serde } from '@millrace/core';
import { store } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { type KStream, type Optimization, type TopologyBuilder, topic, topology, windows } from './index.ts';

const words = topic('words', { key: serde.string(), value: serde.string() });
const other = topic('other', { key: serde.string(), value: serde.string() });
const numbers = topic('numbers', { key: serde.safeInt(), value: serde.string() });
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
const more = store.keyValue('more', { key: serde.string(), value: serde.safeInt() });

function refusal(build: (t: TopologyBuilder) => void): MillraceError {
  try {
    topology('refused', build);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('a mistake in the graph throws at once, with a code and a fix', () => {
  const cases: readonly [string, (t: TopologyBuilder) => void, RegExp][] = [
    ['a stream of another topology', (t) => topology('inner', (u) => void u.stream(words).merge(t.stream(other))), /another topology/],
    [
      'a table and a stream of one topic',
      (t) => {
        t.stream(words).to(other);
        t.table(words);
      },
      /read by two sources/,
    ],
    [
      'one store for two operators',
      (t) => {
        t.stream(words).groupByKey().count({ store: counts });
        t.stream(other).groupByKey().count({ store: counts });
      },
      /given to two operators/,
    ],
    [
      'keys that would not meet in a join',
      (t) =>
        void t
          .stream(words)
          .selectKey(() => 1, { key: serde.safeInt() })
          .join(t.table(topic('n', { key: serde.int32(), value: serde.string() })), (a) => a),
      /written as int64, the table as int32/,
    ],
    [
      'a topic read by two declarations',
      (t) => void t.stream(words).merge(t.stream(topic('words', { key: serde.string(), value: serde.string() }))),
      /declared twice/,
    ],
    ['different starts of one topic', (t) => void t.stream(words).merge(t.stream(words, { startFrom: 'latest' })), /different { startFrom }/],
    [
      'a name used twice',
      (t) =>
        void t
          .stream(words)
          .peek(() => {}, { as: 'x' })
          .peek(() => {}, { as: 'x' }),
      /Two operators are called "x"/,
    ],
    ['no partitions', (t) => void t.stream(words).repartition({ partitions: 0 }), /whole number from 1/],
    ['a branch called rest', (t) => void t.stream(words).split({ rest: () => true }), /what no branch takes/],
    ['a branch that JavaScript would move', (t) => void t.stream(words).split({ b: () => true, 1: () => true }), /another order than written/],
    [
      'no partitions of a regrouped table',
      (t) =>
        void t
          .table(words)
          .groupBy((value, key) => ({ key, value }), { partitions: 0 })
          .count(),
      /whole number from 1/,
    ],
    [
      'one store name for a table and a processor with handles of their own',
      (t) => {
        const twin = store.keyValue('counts', { key: serde.string(), value: serde.string() });
        t.table(words, { store: twin });
        t.stream(other).process({ stores: [counts], create: () => ({ process() {} }) });
      },
      /Declare the handle once/,
    ],
    [
      'a window store that only a processor has',
      (t) => void t.stream(words).process({ stores: [store.window('w', { key: serde.string(), value: serde.string() })], create: () => ({ process() {} }) }),
      /no aggregate keeps it/,
    ],
    ['an empty list of topics', (t) => void t.stream([]), /Name at least one topic/],
  ];
  test.each(cases)('%s', (_name, build, message) => {
    const error = refusal(build);
    expect(error.code).toBe('ERR_TOPOLOGY');
    expect(error.message).toMatch(message);
  });

  test('a build function that is asynchronous', () => {
    // A type error too; but JavaScript can call it so.
    const build = (async () => {}) as unknown as (t: TopologyBuilder) => void;
    expect(refusal(build).message).toMatch(/is asynchronous/);
  });

  test('an operator after the topology was built', () => {
    let escaped: KStream<string, string> | undefined;
    topology('done', (t) => {
      escaped = t.stream(words);
    });
    expect(() => escaped?.filter(() => true)).toThrow(/after its topology had been built/);
  });

  test('a retention shorter than the windows need', () => {
    const short = store.window('short', { key: serde.string(), value: serde.safeInt(), retention: '1 minute' });
    const error = refusal(
      (t) =>
        void t
          .stream(words)
          .groupByKey()
          .windowedBy(windows.tumbling({ size: '1 hour', grace: 0 }))
          .count({ store: short }),
    );
    expect(error).toMatchObject({ code: 'ERR_OPTION', where: { store: 'short', option: 'retention' } });
  });
});

describe('serdes of internal topics', () => {
  const formats = (build: (t: TopologyBuilder) => void): (readonly [string, string, string])[] =>
    [...topology('formats', build).nodes.values()].flatMap((node) =>
      node.kind === 'sink' && node.topic.internal ? [[node.topic.name, node.key.format, node.value.format] as const] : [],
    );

  test("a new key takes the store's serde, so that queries find its partition; a kept value keeps its own", () => {
    expect(
      formats(
        (t) =>
          void t
            .stream(words)
            .groupBy((word) => word)
            .count({ store: counts }),
      ),
    ).toEqual([['counts-repartition', 'string', 'string']]);
  });

  test('a new key that meets a table takes the key serde of the table', () => {
    expect(
      formats(
        (t) =>
          void t
            .stream(words)
            .selectKey(() => 1, { as: 'rekeyed' })
            .join(t.table(numbers), (a, b) => a + b),
      ),
    ).toEqual([['rekeyed-repartition', 'int64', 'string']]);
  });

  test('what nobody knows is JSON, and null passes as null bytes', () => {
    const built = topology(
      'unknown',
      (t) =>
        void t
          .stream(words)
          .map((value, key) => ({ key: [key], value: { value } }), { as: 'm' })
          .repartition({ as: 'r' }),
    );
    const sink = built.nodes.get('r-repartition-sink');
    expect(sink).toMatchObject({ key: { format: 'json', '~null': true }, value: { format: 'json', '~null': true } });
  });
});

describe('optimizations', () => {
  const program = (t: TopologyBuilder): void => {
    const rekeyed = t.stream(words).selectKey((word) => word);
    rekeyed.groupByKey().count({ store: counts });
    rekeyed.groupByKey().reduce((a) => a);
    t.stream(other)
      .join(t.table(topic('t', { key: serde.string(), value: serde.string() })), (a) => a)
      .forEach(() => {});
  };

  test('are on: one repartition below a key change, and a table restores from its own topic', () => {
    const built = topology('on', program);
    expect(built.internalTopics.filter((each) => each.kind === 'repartition').map((each) => each.name)).toEqual(['counts-repartition']);
    expect([...built.stores.values()].find((each) => each.name.startsWith('t-'))?.sourceTopic).toBe('t');
  });

  test('are off on wish, as in a Java application by default', () => {
    const built = topology('off', program, { optimize: false });
    expect(built.internalTopics.filter((each) => each.kind === 'repartition')).toHaveLength(2);
    expect([...built.stores.values()].every((each) => each.sourceTopic === undefined)).toBe(true);
  });

  const repartitions = (build: (t: TopologyBuilder) => void, optimize: readonly Optimization[]): string[] =>
    topology('merging', build, { optimize })
      .internalTopics.filter(({ kind }) => kind === 'repartition')
      .map(({ name }) => name)
      .sort();
  const loose: readonly Optimization[] = ['mergeRepartitionsAsKafkaStreams'];

  test('no repartition moves past code that may change the key, unless it is to be as in Kafka Streams', () => {
    const processed = (t: TopologyBuilder): void => {
      const rekeyed = t.stream(words).selectKey((word) => word);
      rekeyed
        .process({ create: (context) => ({ process: (record) => context.forward(record) }) }, { key: serde.string(), value: serde.string() })
        .groupByKey()
        .count({ store: counts });
      rekeyed.groupByKey().count({ store: more });
    };
    expect(repartitions(processed, ['mergeRepartitions'])).toEqual(['counts-repartition', 'more-repartition']);
    expect(repartitions(processed, loose)).toEqual(['counts-repartition']);
  });

  test('a repartition below a merge does not move to one side of it, where the records of the other would miss it', () => {
    const merged = (t: TopologyBuilder): void => {
      const left = t.stream(words).selectKey((word) => word);
      const right = t.stream(other).selectKey(() => 'all');
      left.groupByKey().count({ store: counts });
      left
        .merge(right.mapValues((value) => String(value)))
        .groupByKey()
        .count({ store: more });
    };
    expect(repartitions(merged, ['mergeRepartitions'])).toEqual(['counts-repartition', 'more-repartition']);
  });

  test('a repartition moves right behind a merge when every side of it is rekeyed or plain', () => {
    const merged = (t: TopologyBuilder): void => {
      const both = t
        .stream(words)
        .selectKey((word) => word)
        .merge(t.stream(words));
      both.groupByKey().count({ store: counts });
      both
        .filter(() => true)
        .groupByKey()
        .count({ store: more });
    };
    expect(repartitions(merged, ['mergeRepartitions'])).toEqual(['counts-repartition']);
  });

  test('two repartitions below one branch become one; in Kafka Streams such a program cannot be built', () => {
    const branch = (t: TopologyBuilder): void => {
      const upper = t
        .stream(words)
        .selectKey((word) => word)
        .filter(() => true);
      upper.groupByKey().count({ store: counts });
      upper.groupByKey().count({ store: more });
    };
    expect(repartitions(branch, ['mergeRepartitions'])).toEqual(['counts-repartition']);
    expect(() => repartitions(branch, loose)).toThrow(expect.objectContaining({ code: 'ERR_TOPOLOGY' }));
  });
});

test('several topics in one stream are read each with its own serde', () => {
  const asText = topic('as-text', { key: serde.string(), value: serde.string() });
  const asJson = topic('as-json', { key: serde.string(), value: serde.json<string>() });
  const built = topology('both', (t) => t.stream([asText, asJson]).to(words));
  const source = [...built.nodes.values()].find((node) => node.kind === 'source');
  const headers = { get: () => undefined } as never;
  const bytes = Buffer.from('"x"');
  expect(source?.value.deserialize(bytes, { topic: 'as-text', role: 'value', headers })).toBe('"x"');
  expect(source?.value.deserialize(bytes, { topic: 'as-json', role: 'value', headers })).toBe('x');
});

test('topics come with what is needed to create them', () => {
  const wide = topic('wide', { key: serde.string(), value: serde.string(), partitions: 4, config: { 'retention.ms': 5 } });
  const built = topology('made', (t) => t.stream(wide).to(words));
  expect(built.userTopics).toEqual([
    { name: 'wide', partitions: 4, config: { 'retention.ms': '5' } },
    { name: 'words', partitions: undefined, config: {} },
  ]);
});

test('the same program builds to the same plan in every thread', () => {
  const build = (t: TopologyBuilder): void =>
    void t
      .stream(words)
      .groupBy((word) => word)
      .count({ store: counts });
  expect(JSON.stringify(topology('same', build))).toBe(JSON.stringify(topology('same', build)));
});
