// What a user's test can do and see: records in and out, time, stores, partitions, failures.
import { createHeaders, serde } from '@millrace/core';
import { store, topic, topology, windows } from '@millrace/dsl';
import { describe, expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const lines = topic('lines', { key: serde.nullable(serde.string()), value: serde.string() });
const wordCounts = topic('word-counts', { key: serde.string(), value: serde.safeInt() });
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });

const wordCount = topology('word-count', (t) => {
  t.stream(lines)
    .flatMapValues((line) => line.toLowerCase().split(' '))
    .groupBy((word) => word)
    .count({ store: counts })
    .toStream()
    .to(wordCounts);
});

describe('records', () => {
  test('go through repartition topics to the outputs, each committed before send returns', () => {
    using t = testTopology(wordCount);
    t.input(lines).sendAll([
      [null, 'To be'],
      [null, 'or not to be'],
    ]);
    expect(t.output(wordCounts).pairs()).toEqual([
      ['to', 1],
      ['be', 1],
      ['or', 1],
      ['not', 1],
      ['to', 2],
      ['be', 2],
    ]);
    expect(t.store(counts).get('be')).toBe(2);
  });

  test('are read once by all outputs of a topic, and as a table from the first on', () => {
    using t = testTopology(wordCount);
    const output = t.output(wordCounts);
    t.input(lines).send(null, 'a a b');
    expect(output.size).toBe(3);
    expect(output.read()).toMatchObject({ key: 'a', value: 1 });
    expect(t.output(wordCounts).pairs()).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
    expect(() => output.read()).toThrow(expect.objectContaining({ code: 'ERR_NO_OUTPUT' }));
    expect(output.latest().map(({ key, value }) => [key, value])).toEqual([
      ['a', 2],
      ['b', 1],
    ]);
  });

  test('keep time and headers', () => {
    const copied = topic('copied', { key: serde.nullable(serde.string()), value: serde.string() });
    const copy = topology('copy', (t) => t.stream(lines).to(copied));
    using t = testTopology(copy, { startAt: 500 });
    const input = t.input(lines, { at: 1000, step: '1s' });
    input.send('k', 'one', { headers: createHeaders([['trace', 'x']]) });
    input.send('k', 'two');
    input.send('k', 'three', { at: 7 });
    t.input(lines).send('k', 'four');
    const records = t.output(copied).readAll();
    expect(records.map(({ timestamp }) => timestamp)).toEqual([1000, 2000, 7, 500]);
    expect(records[0]?.headers.text('trace')).toBe('x');
  });

  test('of internal topics are read under their full name', () => {
    const changelog = topic('word-count-counts-changelog', { key: serde.string(), value: serde.safeInt() });
    using t = testTopology(wordCount);
    t.input(lines).send(null, 'a a');
    expect(t.output(changelog).pairs()).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
    expect(t.topics).toEqual(['lines', 'word-count-counts-repartition', 'word-count-counts-changelog', 'word-counts'].sort());
  });

  test('without a value delete from a table', () => {
    const users = topic('users', { key: serde.string(), value: serde.string() });
    const names = store.keyValue('names', { key: serde.string(), value: serde.string() });
    const out = topic('names-out', { key: serde.string(), value: serde.nullable(serde.string()) });
    using t = testTopology(topology('users', (b) => b.table(users, { store: names }).toStream().to(out)));
    const input = t.input(users);
    input.send('u', 'ada');
    input.tombstone('u');
    expect(t.store(names).get('u')).toBeUndefined();
    expect(t.output(out).latest()).toEqual([]);
    expect(t.output(out).pairs()).toEqual([
      ['u', 'ada'],
      ['u', null],
    ]);
  });
});

describe('mistakes', () => {
  test('a topic that is not read or written is named with those that are', () => {
    using t = testTopology(wordCount);
    const other = topic('other', { key: serde.string(), value: serde.string() });
    expect(() => t.input(other)).toThrow(/does not read topic "other"; it reads lines/);
    expect(() => t.output(other)).toThrow(/does not write topic "other"; it writes .*word-counts/);
    expect(() => t.store(store.keyValue('no', { key: serde.string(), value: serde.string() }))).toThrow(/has no store "no"; it has counts/);
  });

  test('a topic declared otherwise than it is written says so', () => {
    using t = testTopology(wordCount);
    t.input(lines).send(null, 'a');
    expect(() => t.output(topic('word-counts', { key: serde.string(), value: serde.int16() })).read()).toThrow(
      expect.objectContaining({ code: 'ERR_RECORD_UNDECODABLE', message: expect.stringMatching(/Is the topic declared/) }),
    );
  });

  test('after close nothing works any more, and says why', () => {
    const t = testTopology(wordCount);
    t.close();
    expect(() => t.input(lines)).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
  });
});

describe('failures', () => {
  const numbers = topic('numbers', { key: serde.string(), value: serde.safeInt() });
  const sums = store.keyValue('sums', { key: serde.string(), value: serde.safeInt() });
  const out = topic('sums-out', { key: serde.string(), value: serde.safeInt() });
  const summing = topology('summing', (t) => {
    t.stream(numbers)
      .groupByKey()
      .aggregate({ initial: () => 0, add: (sum, n) => sum + n, store: sums, emit: 'onUpdate' })
      .toStream()
      .peek((sum) => {
        if (sum === 13) throw new Error('thirteen');
      })
      .to(out);
  });

  test('a record that fails leaves nothing behind, and the next one finds the state of before', () => {
    using t = testTopology(summing);
    const input = t.input(numbers);
    input.send('k', 10);
    expect(() => input.send('k', 3)).toThrow(expect.objectContaining({ code: 'ERR_TASK_FAILED', message: expect.stringContaining('thirteen') }));
    expect(t.store(sums).get('k')).toBe(10);
    input.send('k', 1);
    expect(t.output(out).pairs()).toEqual([
      ['k', 10],
      ['k', 11],
    ]);
    expect(t.failures).toHaveLength(1);
  });

  test('of many sent at once those behind a failing one were never sent', () => {
    using t = testTopology(summing);
    const input = t.input(numbers);
    expect(() =>
      input.sendAll([
        ['k', 10],
        ['k', 3],
        ['k', 100],
      ]),
    ).toThrow(/numbers-0@1/);
    expect(t.store(sums).get('k')).toBe(10);
    input.sendAll([
      ['k', 1],
      ['k', 1],
    ]);
    expect(t.store(sums).get('k')).toBe(12);
    expect(() => input.send('k', 1)).toThrow(/numbers-0@4/);
  });

  test('what a policy skips is counted', () => {
    using t = testTopology(summing, { errors: { process: 'skip', decode: 'skip' } });
    const input = t.input(numbers);
    input.send('k', 13);
    input.sendBytes(Buffer.from('k'), Buffer.from('poison'));
    input.send('k', 1);
    expect(t.store(sums).get('k')).toBe(14);
    expect([t.dropped('skipped'), t.dropped('decode'), t.dropped()]).toEqual([1, 1, 2]);
    expect(t.failures.map(({ stage }) => stage)).toEqual(['process', 'decode']);
  });
});

describe('time', () => {
  test('late records are counted, and a window store is read by window', () => {
    const clicks = topic('clicks', { key: serde.string(), value: serde.string() });
    const perWindow = store.window('per-window', { key: serde.string(), value: serde.safeInt() });
    const counted = topology('clicks', (t) => {
      t.stream(clicks)
        .groupByKey()
        .windowedBy(windows.tumbling({ size: 10, grace: 5 }))
        .count({ store: perWindow });
    });
    using t = testTopology(counted);
    const input = t.input(clicks);
    input.send('a', '', { at: 1 });
    input.send('b', '', { at: 16 });
    input.send('a', '', { at: 2 });
    expect(t.dropped('late')).toBe(1);
    expect(t.store(perWindow).get('a', 0)).toBe(1);
    expect([...t.store(perWindow).fetchAll()].map(({ key, value }) => [key.key, key.window.start, value])).toEqual([
      ['a', 0, 1],
      ['b', 10, 1],
    ]);
  });

  test('wall-clock timers fire when the clock is moved, once each', () => {
    const ticks = topic('ticks', { key: serde.string(), value: serde.safeInt() });
    const ticking = topology('ticking', (t) => {
      t.stream(lines)
        .process<string, number>({
          create(context) {
            context.schedule('1m', 'wallClock', (at) => context.forward(context.record('tick', at, at)));
            return { process() {} };
          },
        })
        .to(ticks);
    });
    using t = testTopology(ticking, { startAt: 1000 });
    t.advance('59s');
    expect(t.output(ticks).size).toBe(0);
    t.advance('10m');
    expect(t.output(ticks).pairs()).toEqual([['tick', 660_000]]);
    expect(t.now).toBe(660_000);
  });
});

describe('several partitions', () => {
  test('each key has its task, and a store is read over all of them', () => {
    using t = testTopology(wordCount, { partitions: 3 });
    t.input(lines).send(null, 'a b c d e f a b c');
    expect([...t.store(counts).range()].map(({ key, value }) => [key, value])).toEqual([
      ['a', 2],
      ['b', 2],
      ['c', 2],
      ['d', 1],
      ['e', 1],
      ['f', 1],
    ]);
    expect(t.store(counts).get('c')).toBe(2);
    expect(new Set(t.output(wordCounts).partitions()).size).toBeGreaterThan(1);
    const here = [0, 1, 2].filter((partition) => t.partition(partition).store(counts).get('a') === 2);
    expect(here).toHaveLength(1);
    expect(() => t.store(counts).put('a', 1)).toThrow(/partition\(n\)/);
  });

  test('topics that meet in a join need as many', () => {
    const left = topic('left', { key: serde.string(), value: serde.string() });
    const right = topic('right', { key: serde.string(), value: serde.string() });
    const joined = topology('joined', (t) => {
      t.stream(left).join(t.table(right), (l, r) => `${l}${r}`);
    });
    expect(() => testTopology(joined, { partitions: { left: 2 } })).toThrow(expect.objectContaining({ code: 'ERR_PARTITION_COUNT' }));
  });
});
