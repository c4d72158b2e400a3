import { serde } from '@millrace/core';
import { store, topic, topicPattern, topology, windows } from '@millrace/dsl';
import { expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const text = serde.string();
const logs = topicPattern(/logs-.*/, { key: text, value: text });
const named = (name: string) => topic(name, { key: text, value: text });
const out = named('out');
const counts = store.keyValue('counts', { key: text, value: serde.safeInt() });

const copying = topology('copying', (t) =>
  t
    .stream(logs)
    .mapValues((line, _, context) => `${context.source?.topic}: ${line}`)
    .to(out),
);

test('a record of any topic that matches arrives, also of one that nobody had spoken of', () => {
  using t = testTopology(copying);
  t.input(named('logs-a')).send('k', 'one');
  t.input(named('logs-b')).send('k', 'two');
  t.input(named('logs-a')).send('k', 'three');
  expect(
    t
      .output(out)
      .readAll()
      .map(({ value }) => value),
  ).toEqual(['logs-a: one', 'logs-b: two', 'logs-a: three']);
});

test('a topic that does not match is refused, and so is the pattern itself as an input', () => {
  using t = testTopology(copying);
  expect(() => t.input(named('my-logs-a'))).toThrow(/does not read topic "my-logs-a"/);
  expect(() => t.input(logs)).toThrow(/input\(\) was given the pattern \/logs-\.\*\/, and needs one topic/);
});

test('state goes on when a topic joins: rows, window times and stream time are those of before', () => {
  const window = store.window('per-window', { key: text, value: serde.safeInt(), retention: 1000 });
  const counting = topology('counting', (t) => {
    const stream = t.stream(logs);
    stream.groupByKey().count({ store: counts });
    stream
      .groupByKey()
      .windowedBy(windows.tumbling({ size: 10, grace: 0 }))
      .count({ store: window });
  });
  using t = testTopology(counting);
  t.input(named('logs-a')).send('k', 'x', { at: 5 });
  t.input(named('logs-a')).send('k', 'x', { at: 25 });
  t.input(named('logs-b')).send('k', 'late', { at: 6 });
  t.input(named('logs-b')).send('k', 'x', { at: 26 });
  expect(t.store(counts).get('k')).toBe(4);
  expect([t.store(window).get('k', 0), t.store(window).get('k', 20), t.dropped('late')]).toEqual([1, 2, 1]);
});

test('there are as many tasks as the widest topic has partitions', () => {
  const counting = topology('counting', (t) => void t.stream(logs).groupByKey().count({ store: counts }));
  using t = testTopology(counting, { partitions: { 'logs-a': 1, 'logs-b': 3 } });
  t.input(named('logs-b')).send('k', 'x', { partition: 2 });
  t.input(named('logs-a')).send('k', 'x');
  expect([0, 1, 2].map((partition) => t.partition(partition).store(counts).get('k'))).toEqual([1, undefined, 1]);
});

test('behind a repartition a key is counted once over all topics', () => {
  const counting = topology(
    'by-line',
    (t) =>
      void t
        .stream(logs)
        .groupBy((line) => line)
        .count({ store: counts }),
  );
  using t = testTopology(counting, { partitions: 2 });
  t.input(named('logs-a')).send('k', 'x');
  t.input(named('logs-b')).send('l', 'x');
  expect(t.store(counts).get('x')).toBe(2);
});

test('a topic that the topology writes and its own pattern matches comes back', () => {
  const second = named('logs-second');
  const looping = topology('looping', (t) => {
    const stream = t.stream(logs);
    stream
      .filter((line) => line === 'again')
      .mapValues(() => 'done')
      .to(second);
    stream.to(out);
  });
  using t = testTopology(looping);
  t.input(named('logs-a')).send('k', 'again');
  expect(
    t
      .output(out)
      .readAll()
      .map(({ value }) => value),
  ).toEqual(['again', 'done']);
});
