// Stores that are looked into: those of a source topic, those of every instance, versioned ones; and what is refused, with code and words.
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const text = serde.string();
const rows = topic('rows', { key: text, value: serde.nullable(text) });
const asked = topic('asked', { key: text, value: text });
const out = topic('out', { key: text, value: text });
const kept = store.keyValue('kept', { key: text, value: text });
const history = store.versioned('history', { key: text, value: text, history: 100 });

const keep = {
  stores: [kept],
  create: (context: { store(handle: typeof kept): { put(key: string, value: string): void; delete(key: string): void } }) => ({
    process({ key, value }: { readonly key: string; readonly value: string | null }) {
      if (value === null) context.store(kept).delete(key);
      else context.store(kept).put(key, value);
    },
  }),
};

test('a source store is read by processors that connect it, has the topic for its changelog, and makes no internal topic', () => {
  const built = topology('source', (t) => {
    t.sourceStore(rows, keep);
    t.stream(asked)
      .processValues({
        stores: [kept],
        create: (context) => ({ process: (record) => context.forward(record.withValue(context.store(kept).get(record.key) ?? 'nothing')) }),
      })
      .to(out);
  });
  expect(built.internalTopics).toEqual([]);
  expect(built.stores.get('kept')?.sourceTopic).toBe('rows');
  using driver = testTopology(built);
  driver.input(rows).send('a', '1');
  driver.input(asked).sendAll([
    ['a', '?'],
    ['b', '?'],
  ]);
  driver.input(rows).send('a', null);
  driver.input(asked).send('a', '?');
  expect(driver.output(out).pairs()).toEqual([
    ['a', '1'],
    ['b', 'nothing'],
    ['a', 'nothing'],
  ]);
});

test('a global store is read without being connected; a task that writes it, and a processor that connects it, are refused', () => {
  const reading = topology('reading', (t) => {
    t.globalStore(rows, keep);
    t.stream(asked)
      .process({
        create: (context) => ({
          process(record) {
            if (record.value === 'write') context.store(kept).put('a', 'mine');
            context.forward(record.withValue([...context.store(kept).range()].map((row) => `${row.key}=${row.value}`).join()));
          },
        }),
      })
      .to(out);
  });
  using driver = testTopology(reading);
  driver.input(rows).sendAll([
    ['b', '2'],
    ['a', '1'],
  ]);
  driver.input(asked).send('x', '?');
  expect(driver.output(out).pairs()).toEqual([['x', 'a=1,b=2']]);
  expect(() => driver.input(asked).send('x', 'write')).toThrow(/tasks read it, and only its own processor writes it/);
  expect(() =>
    topology('connected', (t) => {
      t.globalStore(rows, keep);
      t.stream(asked).process({ stores: [kept], create: () => ({ process() {} }) });
    }),
  ).toThrow(/every processor may read it as it is/);
});

test('the processor of a global store keeps its store and nothing else', () => {
  const timed = topology('timed', (t) => {
    t.globalStore(rows, {
      stores: [kept],
      create: (context) => {
        context.schedule('1s', 'wallClock', () => {});
        return { process() {} };
      },
    });
    t.stream(asked).to(out);
  });
  expect(() => testTopology(timed)).toThrow(/"kept" schedules a timer/);
  expect(() => topology('none', (t) => t.globalStore(rows, { create: () => ({ process() {} }) }))).toThrow(/exactly one store/);
  expect(() =>
    topology('both', (t) => {
      t.globalTable(rows);
      t.stream(rows).to(out as never);
    }),
  ).toThrow(/read by two sources/);
});

test('what cannot be joined as asked is refused where it is written', () => {
  expect(() => topology('no-on', (t) => t.stream(asked).join(t.globalTable(rows), (value) => value, {} as never))).toThrow(/needs \{ on \}/);
  expect(() => topology('no-history', (t) => t.stream(asked).join(t.table(rows), (value) => value, { grace: '1s' }))).toThrow(/it keeps no history/);
  expect(() => topology('short', (t) => t.stream(asked).join(t.table(rows, { store: history }), (value) => value, { grace: '1s' }))).toThrow(
    /its history is 100 ms/,
  );
  expect(() => topology('versioned', (t) => t.globalTable(rows, { store: history as never }))).toThrow(/cannot be versioned/);
  const buffer = store.window('buffer', { key: text, value: text, windowSize: 20, retention: 25, duplicates: true });
  expect(() =>
    topology('buffers', (t) =>
      t.stream(asked).join(t.stream(topic('more', { key: text, value: text })), (l) => l, { within: 10, grace: 5, thisStore: buffer, otherStore: buffer }),
    ),
  ).toThrow(/names of their own/);
});

test('buffers of the user take the place of a join’s own, with their changelog settings', () => {
  const shape = { key: text, value: text, windowSize: 20, retention: 25, duplicates: true } as const;
  const [mine, other] = [
    store.window('mine', { ...shape, changelog: { config: { 'segment.ms': 1000 } } }),
    store.window('other', { ...shape, changelog: false }),
  ];
  const built = topology('buffers', (t) => {
    const more = topic('more', { key: text, value: text });
    t.stream(asked)
      .join(t.stream(more), (l, r) => l + r, { within: 10, grace: 5, thisStore: mine, otherStore: other })
      .to(out);
  });
  expect(built.internalTopics.map(({ name, config }) => [name, config['segment.ms']])).toEqual([['mine-changelog', '1000']]);
});
