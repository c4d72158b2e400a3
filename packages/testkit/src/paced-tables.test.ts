// `emit: { every }`: at most one change per key and interval of stream time, whatever the table is made of.
import { serde } from '@millrace/core';
import { store, type TopologyBuilder, topic, topology, windows } from '@millrace/dsl';
import { describe, expect, test } from 'vitest';
import { testTopology } from './index.ts';

const words = topic('words', { key: serde.string(), value: serde.string() });
const counts = topic('counts', { key: serde.string(), value: serde.safeInt() });
const texts = topic('texts', { key: serde.string(), value: serde.nullable(serde.string()) });
const rows = store.keyValue('rows', { key: serde.string(), value: serde.safeInt() });
const every = { every: '10ms' } as const;

function paced(build: (t: TopologyBuilder) => void, sent: readonly (readonly [key: string, value: string, at: number])[]) {
  const t = testTopology(topology('paced', build));
  for (const [key, value, at] of sent) t.input(words).send(key, value, { at });
  return t;
}

describe('emit: { every }', () => {
  test('hands on the last of the changes that an interval brought', () => {
    using t = paced(
      (b) => b.stream(words).groupByKey().count({ store: rows, emit: every }).toStream().to(counts),
      [
        ['a', '', 0],
        ['a', '', 3],
        ['b', '', 4],
        ['a', '', 9],
        ['a', '', 11],
        ['c', '', 30],
      ],
    );
    expect(
      t
        .output(counts)
        .readAll()
        .map(({ key, value, timestamp }) => [key, value, timestamp]),
    ).toEqual([
      ['a', 4, 11],
      ['b', 1, 4],
    ]);
    expect(t.store(rows).get('a')).toBe(4);
  });

  test('keeps what waits in a logged buffer that is named after the store', () => {
    const made = topology('paced', (b) => void b.stream(words).groupByKey().count({ store: rows, emit: every }).toStream().to(counts));
    expect(made.internalTopics.map(({ name }) => name)).toEqual(['rows-changelog', 'rows-emit-changelog']);
  });

  test('goes with every kind of table', () => {
    const other = topic('other', { key: serde.string(), value: serde.string() });
    const lastOf = (build: (b: TopologyBuilder) => void): unknown => {
      using t = paced(build, [
        ['a', 'x', 0],
        ['a', 'y', 1],
        ['z', 'z', 50],
      ]);
      return t.output(texts).pairs();
    };
    const last = [['a', 'y']];
    expect(lastOf((b) => b.table(words, { emit: every }).toStream().to(texts))).toEqual(last);
    expect(lastOf((b) => b.stream(words).toTable({ emit: every }).toStream().to(texts))).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .table(words)
          .mapValues((value) => value, { emit: every })
          .toStream()
          .to(texts),
      ),
    ).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .table(words)
          .filter(() => true, { emit: every })
          .toStream()
          .to(texts),
      ),
    ).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .table(words)
          .leftJoin(b.table(other), (left) => left, { emit: every })
          .toStream()
          .to(texts),
      ),
    ).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .stream(words)
          .groupByKey()
          .reduce((_, value) => value, { emit: every })
          .toStream()
          .to(texts),
      ),
    ).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .stream(words)
          .groupByKey()
          .windowedBy(windows.tumbling({ size: 10, grace: 0 }))
          .reduce((_, value) => value, { emit: every })
          .toStream()
          .selectKey((_, { key }) => key)
          .to(texts),
      ),
    ).toEqual(last);
    expect(
      lastOf((b) =>
        b
          .table(words)
          .groupBy((value, key) => ({ key, value }))
          .reduce({ add: (_, value) => value, subtract: (left) => left, emit: every })
          .toStream()
          .to(texts),
      ),
    ).toEqual(last);
  });

  test('refuses an interval of nothing, another word, and a versioned table', () => {
    const table = (emit: unknown) => () => topology('wrong', (b) => void b.table(words, { emit: emit as never }));
    expect(table({ every: 0 })).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining('every is 0') }));
    expect(table('always')).toThrow(expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining('emit is "always"') }));
    const history = store.versioned('history', { key: serde.string(), value: serde.string(), history: '1h' });
    expect(() => topology('wrong', (b) => void b.table(words, { store: history, emit: every }))).toThrow(/holds for a time of its own/);
  });
});
