// Loads that are not like the others (fault row D2): one key with nearly all of the records, values of nearly a megabyte, batches at the bound of their
// topic, empty values, a thousand headers; through a repartition, a store and its changelog, exactly once and with small bounds.
import { createHeaders, serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig, asTable, type RigAppOptions } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
const MIB = 1024 * 1024;
/** All that may be held of what is fetched, staged, or waits to be sent. */
const small = { engine: 'lmdb', stagedBytesMax: MIB, cacheBytesMax: MIB, tuning: { bufferedBytesMax: MIB, fetchBytesMax: 256 * 1024 } } as const;
const makeTopics = (...names: readonly string[]): Promise<void> => rig.createTopicsWith(2, { 'retention.ms': '-1' }, ...names);

test('99 of 100 records have one key: each is counted once, in order, and the other keys are not held up', async () => {
  const RECORDS = 3_000;
  await makeTopics('hot-in', 'hot-out');
  const flow = topology('hot', (t) => {
    t.stream(topic('hot-in', text))
      .groupBy((value) => value)
      .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
      .toStream()
      .mapValues((count) => String(count), { value: serde.string() })
      .to(topic('hot-out', text));
  });
  const keyOf = (at: number): string => (at % 100 === 99 ? `cold-${at % 7}` : 'hot');
  const app = await rig.app(flow, { ...small, disk: 'hot' });
  const records = Array.from({ length: RECORDS }, (_, at) => ({ key: `k${at}`, value: keyOf(at), timestamp: at }));
  for (let at = 0; at < RECORDS; at += 1000) await rig.send('hot-in', records.slice(at, at + 1000));
  await app.drained();
  await app.close();
  const next = new Map<string, number>();
  for (const { key, value } of await rig.read('hot-out')) {
    const count = (next.get(key) ?? 0) + 1;
    expect(Number(value), key).toBe(count);
    next.set(key, count);
  }
  const wanted = new Map<string, number>();
  for (let at = 0; at < RECORDS; at++) wanted.set(keyOf(at), (wanted.get(keyOf(at)) ?? 0) + 1);
  expect(new Map([...next].sort())).toEqual(new Map([...wanted].sort()));
});

/** Keeps the last value of each key behind a repartition, and passes it on. */
const lastOf = (name: string) =>
  topology(name, (t) => {
    t.stream(topic(`${name}-in`, text))
      .groupBy((value) => value.slice(0, value.indexOf('|')))
      .reduce((_, value) => value, { store: store.keyValue('last', text), emit: 'onUpdate' })
      .toStream()
      .to(topic(`${name}-out`, text));
  });
const rowOf = (key: string, round: number, bytes: number): string => `${key}|${round}|`.padEnd(bytes, 'x');

/** Values of three keys, one after another, through an application; then one on another disk, which has to restore them. */
async function passAndRestore(name: string, bytes: number, rounds: number, options: RigAppOptions): Promise<void> {
  const app = await rig.app(lastOf(name), { ...options, disk: name });
  const sent = new Map<string, string>();
  for (let round = 0; round < rounds; round++) {
    for (const key of ['a', 'b', 'c']) {
      const value = rowOf(key, round, bytes);
      sent.set(key, value);
      await rig.send(`${name}-in`, [{ key: `k${round}${key}`, value, timestamp: round }]);
    }
  }
  await app.drained();
  await app.close();
  const out = await rig.read(`${name}-out`);
  expect(out).toHaveLength(3 * rounds);
  expect(asTable(out)).toEqual(sent);
  const next = await rig.app(lastOf(name), { ...options, disk: `${name}-elsewhere` });
  const found = new Map<string, unknown>();
  for (const key of sent.keys()) {
    const located = next.reads.locatePartition('last', next.reads.partitionOf('last', key));
    if (located.kind !== 'here') throw new Error(`${key} is ${located.kind}`);
    for (const row of await next.reads.read(located.taskId, 'last', { kind: 'entry', key, asOfMs: undefined })) found.set(key, row.value);
  }
  await next.close();
  expect(found).toEqual(sent);
}

test('values of 900,000 bytes pass repartition, store and changelog, larger than every buffer, and come back after a restart without a disk', async () => {
  await makeTopics('large-in', 'large-out');
  await passAndRestore('large', 900_000, 4, { ...small, disk: 'large' });
});

test.each(['lmdb', 'rocksdb', 'memory'] as const)('with tuning.recordBytesMax values of 10 MiB do as well, on %s', async (engine) => {
  const name = `huge-${engine}`;
  await rig.createTopicsWith(2, { 'retention.ms': '-1', 'max.message.bytes': String(12 * MIB) }, `${name}-in`, `${name}-out`);
  await passAndRestore(name, 10 * MIB, 2, { ...small, engine, tuning: { ...small.tuning, recordBytesMax: 11 * MIB }, disk: name });
});

test('a record above tuning.recordBytesMax goes to the produce policy, and the message says what to raise', async () => {
  await makeTopics('above-in', 'above-out');
  const app = await rig.app(lastOf('above'), { ...small, tuning: { ...small.tuning, recordBytesMax: 10_000 }, disk: 'above' });
  const ended = app.waitFor('failed');
  await rig.send('above-in', [{ key: 'k', value: rowOf('a', 1, 20_000), timestamp: 1 }]);
  await ended;
  expect(app.failure?.message).toMatch(/at most 10000 are sent.*tuning\.recordBytesMax/);
  await app.close();
});

test('many values at once whose batches lie around the bound of a topic: each arrives once, whole', async () => {
  const BOUND = 100_000;
  await makeTopics('bound-in');
  await rig.createTopicsWith(2, { 'retention.ms': '-1', 'max.message.bytes': String(BOUND) }, 'bound-out');
  const app = await rig.app(lastOf('bound'), { ...small, disk: 'bound' });
  // Records of an eighth, a half and nearly all of what the topic takes in one batch, and of no length to speak of.
  const sizes = [BOUND / 8, BOUND / 2 - 100, BOUND - 200, 10, BOUND / 3];
  const records = Array.from({ length: 60 }, (_, at) => ({
    key: `k${at}`,
    value: rowOf(`key-${at % 7}`, at, sizes[at % sizes.length] as number),
    timestamp: at,
  }));
  await rig.send('bound-in', records);
  await app.drained();
  expect(app.failure).toBeUndefined();
  await app.close();
  expect((await rig.read('bound-out')).map(({ value }) => value).sort()).toEqual(records.map(({ value }) => value).sort());
});

test('a record that no topic of the application takes stops it at that record, which is named; what came before is committed', async () => {
  await makeTopics('over-in');
  await rig.createTopicsWith(2, { 'retention.ms': '-1', 'max.message.bytes': '4000' }, 'over-out');
  const app = await rig.app(lastOf('over'), { ...small, disk: 'over' });
  await rig.send('over-in', [{ key: 'k', value: rowOf('a', 1, 100), timestamp: 1 }]);
  await app.drained();
  const ended = app.waitFor('failed');
  await rig.send('over-in', [{ key: 'k', value: rowOf('a', 2, 50_000), timestamp: 2 }]);
  await ended;
  expect(app.failure?.message).toContain('over-out');
  await app.close();
  expect((await rig.read('over-out')).map(({ value }) => value)).toEqual([rowOf('a', 1, 100)]);
});

test('a value without a byte and a record with a thousand headers go through', async () => {
  await makeTopics('odd-in', 'odd-out');
  const flow = topology('odd', (t) => {
    t.stream(topic('odd-in', text)).repartition({ as: 'again' }).to(topic('odd-out', text));
  });
  const app = await rig.app(flow, { ...small, disk: 'odd' });
  const headers = createHeaders(Array.from({ length: 1000 }, (_, at) => [`header-${at}`, `value-${at}`] as const));
  await rig.send('odd-in', [
    { key: 'empty', value: '', timestamp: 1 },
    { key: '', value: 'no key to speak of', timestamp: 2 },
    { key: 'headed', value: 'v', timestamp: 3, headers },
  ]);
  await app.drained();
  await app.close();
  const out = await rig.read('odd-out');
  expect(asTable(out)).toEqual(
    new Map([
      ['', 'no key to speak of'],
      ['empty', ''],
      ['headed', 'v'],
    ]),
  );
  expect([...(out.find(({ key }) => key === 'headed')?.headers ?? [])].map(([name, value]) => [name, String(value)])).toEqual(
    [...headers].map(([name, value]) => [name, String(value)]),
  );
});
