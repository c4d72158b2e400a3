// Stores with `ttl`: what leaves a table reaches what hangs below, each row exactly once, and the changelog; a restart goes on from there.
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { describe, expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const users = topic('users', { key: serde.string(), value: serde.string() });
const clicks = topic('clicks', { key: serde.string(), value: serde.string() });
const texts = topic('texts', { key: serde.string(), value: serde.nullable(serde.string()) });
const counts = topic('counts', { key: serde.string(), value: serde.nullable(serde.safeInt()) });
const text = { key: serde.string(), value: serde.string() };
const number = { key: serde.string(), value: serde.safeInt() };
const rows = store.keyValue('rows', { ...text, ttl: '1 minute' });
const clickCounts = store.keyValue('click-counts', { ...number, ttl: '1 minute' });

describe('a table with ttl', () => {
  test.each(['onUpdate', 'onCommit'] as const)('hands on a delete of each row that is due, before what made it due (%s)', (emit) => {
    const kept = topology('kept', (t) => t.table(users, { store: rows, emit }).toStream().to(texts));
    using t = testTopology(kept);
    t.input(users).send('a', 'Ada', { at: 0 });
    t.input(users).send('b', 'Bob', { at: 30_000 });
    t.input(users).send('a', 'Ann', { at: 60_000 });
    t.input(users).send('c', 'Cy', { at: 95_000 });
    const seen = t
      .output(texts)
      .readAll()
      .map(({ key, value, timestamp }) => [key, value, timestamp]);
    const expected = [
      ['a', 'Ada', 0],
      ['b', 'Bob', 30_000],
      ['a', null, 60_000],
      ['a', 'Ann', 60_000],
      ['b', null, 90_000],
      ['c', 'Cy', 95_000],
    ];
    // At a commit only the last change of a key shows.
    expect(seen).toEqual(emit === 'onUpdate' ? expected : expected.filter((_, index) => index !== 2));
    expect([...t.store(rows).range()].map(({ key }) => key)).toEqual(['a', 'c']);
  });

  test('takes what is due out of aggregates below it, once', () => {
    const perLetter = store.keyValue('per-letter', number);
    const counted = topology('counted', (t) => {
      t.table(users, { store: rows })
        .groupBy((name, key) => ({ key: name.charAt(0), value: key }), { value: serde.string() })
        .count({ store: perLetter });
    });
    using t = testTopology(counted);
    t.input(users).send('a', 'Ada', { at: 0 });
    t.input(users).send('b', 'Ann', { at: 10_000 });
    t.input(users).send('c', 'Cy', { at: 65_000 });
    expect(t.store(perLetter).get('A')).toBe(1);
    t.input(users).send('c', 'Cy', { at: 80_000 });
    t.input(users).send('c', 'Cy', { at: 90_000 });
    expect([t.store(perLetter).get('A'), t.store(perLetter).get('C')]).toEqual([0, 1]);
  });

  test('joins see only what lives', () => {
    const joined = topology('joined', (t) => {
      t.stream(clicks)
        .leftJoin(t.table(users, { store: rows }), (click, user) => `${click} ${user ?? '-'}`)
        .to(texts);
    });
    using t = testTopology(joined);
    t.input(users).send('a', 'Ada', { at: 0 });
    t.input(clicks).send('a', 'one', { at: 59_999 });
    t.input(clicks).send('a', 'two', { at: 60_000 });
    expect(t.output(texts).pairs()).toEqual([
      ['a', 'one Ada'],
      ['a', 'two -'],
    ]);
  });

  test('keeps a changelog of its own, where what has gone is deleted', () => {
    const kept = topology('kept', (t) => t.table(users, { store: rows }).toStream().to(texts));
    expect(kept.internalTopics.map(({ name }) => name)).toEqual(['rows-changelog']);
    using t = testTopology(kept);
    t.input(users).send('a', 'Ada', { at: 0 });
    t.input(users).send('b', 'Bob', { at: 60_000 });
    const changelog = topic('kept-rows-changelog', { key: serde.string(), value: serde.nullable(serde.string()) });
    expect(
      t
        .output(changelog)
        .readAll()
        .map(({ key, value, timestamp }) => [key, value, timestamp]),
    ).toEqual([
      ['a', 'Ada', 0],
      ['a', null, 60_000],
      ['b', 'Bob', 60_000],
    ]);
  });
});

test('an aggregate begins anew once its row has gone', () => {
  const counted = topology('counted', (t) => t.stream(clicks).groupByKey().count({ store: clickCounts }).toStream().to(counts));
  using t = testTopology(counted);
  for (const at of [0, 50_000, 100_000]) t.input(clicks).send('a', 'x', { at });
  t.input(clicks).send('b', 'x', { at: 170_000 });
  t.input(clicks).send('a', 'x', { at: 171_000 });
  expect(t.output(counts).pairs()).toEqual([
    ['a', 1],
    ['a', 2],
    ['a', 3],
    ['a', null],
    ['b', 1],
    ['a', 1],
  ]);
});

test('a record that is older than its store keeps rows is dropped and counted', () => {
  const counted = topology('counted', (t) => t.stream(clicks).groupByKey().count({ store: clickCounts, emit: 'onUpdate' }).toStream().to(counts));
  using t = testTopology(counted);
  t.input(clicks).send('a', 'x', { at: 100_000 });
  t.input(clicks).send('b', 'x', { at: 40_000 });
  expect(t.output(counts).pairs()).toEqual([['a', 1]]);
  expect(t.dropped('expired')).toBe(1);
});

test('a processor that keeps what it has seen needs no timer to forget it', () => {
  const seen = store.keyValue('seen', { ...number, ttl: '1 minute' });
  const unique = topology('unique', (t) => {
    t.stream(clicks)
      .process({
        stores: [seen],
        create(context) {
          const firstSeen = context.store(seen);
          return {
            process(record) {
              if (firstSeen.putIfAbsent(record.key, record.timestamp) === undefined) context.forward(record);
            },
          };
        },
      })
      .to(texts);
  });
  using t = testTopology(unique);
  for (const at of [0, 30_000, 59_999, 60_000, 61_000]) t.input(clicks).send('a', String(at), { at });
  expect(
    t
      .output(texts)
      .pairs()
      .map(([, value]) => value),
  ).toEqual(['0', '60000']);
});

test('silence lets rows go too, where stream time moves with it', () => {
  const kept = topology('kept', (t) => t.table(users, { store: rows, idleAfter: '1 minute' }).toStream().to(texts));
  using t = testTopology(kept);
  t.input(users).send('a', 'Ada', { at: 0 });
  t.advance('1 minute');
  expect(t.output(texts).pairs()).toEqual([
    ['a', 'Ada'],
    ['a', null],
  ]);
});

test('more rows than go at once are gone for every read, and go one after another', () => {
  const counted = topology('counted', (t) => t.stream(clicks).groupByKey().count({ store: clickCounts }).toStream().to(counts));
  using t = testTopology(counted);
  const input = t.input(clicks);
  for (let n = 0; n < 3000; n++) input.send(`k${n}`, 'x', { at: 0 });
  t.output(counts).readAll();
  input.send('later', 'x', { at: 100_000 });
  expect([...t.store(clickCounts).range()].map(({ key }) => key)).toEqual(['later']);
  const atOnce = t.output(counts).readAll().length;
  expect(atOnce).toBeLessThan(1200);
  for (let n = 0; n < 3; n++) input.send('later', 'x', { at: 100_000 });
  expect(atOnce + t.output(counts).readAll().length).toBe(3000 + 4);
});

test('where it cannot be, it is refused', () => {
  expect(() => store.versioned('none', { ...text, history: '1 day', ttl: '1 day' } as never)).toThrow(/no option "ttl"; it takes .*history/);
  expect(() => store.keyValue('none', { ...text, tll: '1 day' } as never)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  expect(() => store.keyValue('none', { ...text, ttl: 0 })).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }));
  expect(() => topology('global', (t) => void t.globalTable(users, { store: rows }))).toThrow(/ttl/);
  expect(() => topology('joined', (t) => void t.table(users).join(t.table(texts), (a, b) => a + b, { store: rows }))).toThrow(/ttl/);
});
