// Mistakes that windows, cogroups, suppress, sinks and names allow for: each throws while the program is described, with a code and a fix.
import { MillraceError, serde } from '@millrace/core';
import { store } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { type TopologyBuilder, type TopologyOptions, topic, topology, windows } from './index.ts';

const words = topic('words', { key: serde.string(), value: serde.string() });
const other = topic('other', { key: serde.string(), value: serde.string() });
const hourly = windows.tumbling({ size: '1 hour', grace: 0 });

function refusal(build: (t: TopologyBuilder) => void, options: TopologyOptions = {}): MillraceError {
  try {
    topology('wrong', build, options);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
/** For what only JavaScript can write. */
const untyped = (value: object): never => value as never;

const cases: readonly (readonly [name: string, build: (t: TopologyBuilder) => void, code: string, message: RegExp])[] = [
  [
    'a grouped stream that is cogrouped twice',
    (t) => {
      const group = t.stream(words).groupByKey();
      const add = (all: string, word: string): string => all + word;
      group
        .cogroup<string>({ initial: () => '', add })
        .cogroup(group, add)
        .aggregate();
    },
    'ERR_TOPOLOGY',
    /one grouped stream twice/,
  ],
  [
    'two unnamed repartitions of one cogroup',
    (t) => {
      const add = (all: string, word: string): string => all + word;
      const rekeyed = (of: typeof words) => t.stream(of).groupBy((word) => word);
      rekeyed(words)
        .cogroup<string>({ initial: () => '', add })
        .cogroup(rekeyed(other), add)
        .aggregate();
    },
    'ERR_TOPOLOGY',
    /Two repartition topics are called/,
  ],
  [
    'a cogroup of sessions without merge',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .cogroup<string>({ initial: () => '', add: (all) => all })
        .windowedBy(windows.session({ gap: 5, grace: 0 }))
        .aggregate(untyped({})),
    'ERR_OPTION',
    /needs \{ merge \}/,
  ],
  [
    'a final result of a cogroup',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .cogroup<string>({ initial: () => '', add: (all) => all })
        .windowedBy(hourly)
        .aggregate(untyped({ emit: 'onWindowClose' })),
    'ERR_OPTION',
    /suppress/,
  ],
  [
    'a final result without windows',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .count(untyped({ emit: 'onWindowClose' })),
    'ERR_OPTION',
    /waits for windows to end/,
  ],
  [
    'a final result of a window that never ends',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .windowedBy(windows.unlimited({ start: 0 }))
        .count({ emit: 'onWindowClose' }),
    'ERR_OPTION',
    /an unlimited window never does/,
  ],
  [
    'suppress until windows close, without windows',
    (t) => void t.table(words).suppress(untyped({ until: 'windowClose' })),
    'ERR_TOPOLOGY',
    /only windows close/,
  ],
  [
    'a final result that may go early',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .windowedBy(hourly)
        .count()
        .suppress(untyped({ until: 'windowClose', onFull: 'emit' })),
    'ERR_OPTION',
    /would not be final/,
  ],
  ['a buffer for nobody', (t) => void t.table(words).suppress({ until: '1s', recordsMax: 0 }), 'ERR_OPTION', /recordsMax is 0/],
  [
    'suppress on a versioned table',
    (t) =>
      void t
        .table(words, { store: store.versioned('history', { key: serde.string(), value: serde.string(), history: '1 day' }) })
        .filter((word) => word !== '')
        .suppress({ until: '1s' }),
    'ERR_TOPOLOGY',
    /each holds for a time of its own.*store\.keyValue\(\)/,
  ],
  [
    'a global table that lets rows go',
    (t) => void t.globalTable(words, { store: store.keyValue('few', { key: serde.string(), value: serde.string(), entriesMax: 10 }) }),
    'ERR_TOPOLOGY',
    /keeps every row of its topic/,
  ],
  [
    'repartitions of a join with counts that differ',
    (t) => {
      const left = t.stream(words).repartition({ as: 'left', partitions: 2 });
      left.join(t.stream(other).repartition({ as: 'right', partitions: 3 }), (a, b) => a + b, { within: 5, grace: 0 });
    },
    'ERR_TOPOLOGY',
    /"left-repartition" \(2 partitions\) and "right-repartition" \(3\) meet in a join/,
  ],
  [
    'settings of a store beside its handle',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), changelog: false }),
    'ERR_OPTION',
    /\{ changelog \} is given beside \{ store \}/,
  ],
  ['a choice among no topics', (t) => t.stream(words).to(() => other, { topics: [] }), 'ERR_OPTION', /not the topics it chooses from/],
  [
    'windows that no windows.* has made',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .windowedBy(untyped({ kind: 'tumbling' })),
    'ERR_OPTION',
    /windows\.tumbling\(\)/,
  ],
  [
    'late records to something that is no topic',
    (t) =>
      void t
        .stream(words)
        .groupByKey()
        .windowedBy(hourly, { late: untyped({ name: 'x' }) }),
    'ERR_TOPOLOGY',
    /is no topic/,
  ],
  [
    'stores of different key serdes below one merged repartition',
    (t) => {
      const group = t.stream(words).selectKey((word) => word.length);
      group.groupByKey().count({ store: store.keyValue('a', { key: serde.safeInt(), value: serde.safeInt() }) });
      group.groupByKey().count({ store: store.keyValue('b', { key: serde.float64(), value: serde.safeInt() }) });
    },
    'ERR_TOPOLOGY',
    /their keys are written as .* and as /,
  ],
];

test.each(cases)('%s', (_name, build, code, message) => {
  const error = refusal(build);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test.each([
  ['windowsFor is no function', () => windows.custom({ windowsFor: untyped({}), sizeMax: 5, grace: 0 })],
  ['sizeMax is 0', () => windows.custom({ windowsFor: () => [], sizeMax: 0, grace: 0 })],
])('custom windows: %s', (message, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(message) }));
});

describe("naming: 'explicit'", () => {
  test('lists every store and topic whose name was generated', () => {
    const error = refusal(
      (t) =>
        void t
          .stream(words)
          .groupBy((word) => word)
          .count()
          .toStream(),
      { naming: 'explicit' },
    );
    expect(error.message).toMatch(/store "KSTREAM-AGGREGATE-STATE-STORE-0000000002"/);
    expect(error.message).toMatch(/repartition topic "KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition"/);
  });

  test('lets a program pass whose owner has named all of them', () => {
    const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
    const named = topology(
      'named',
      (t) =>
        void t
          .stream(words)
          .groupBy((word) => word, { as: 'by-word' })
          .count({ store: counts }),
      { naming: 'explicit' },
    );
    expect(named.internalTopics.map((each) => each.name)).toEqual(['by-word-repartition', 'counts-changelog']);
  });
});

test('branches are called behind their split as the suffixes say', () => {
  const split = topology('split', (t) => {
    const { long, rest } = t.stream(words).split({ long: (word) => word.length > 9 }, { as: 'by-', suffixes: { long: '1', rest: '0' } });
    long.forEach(() => {});
    rest.forEach(() => {});
  });
  expect([...split.nodes.keys()].filter((name) => name.startsWith('by-'))).toEqual(['by-', 'by-1', 'by-0']);
});
