// An application that reads by pattern, on the embedded broker: topics that match come and go while it runs (fault row M4).
// `drained` waits for every record of every topic that matches when it is called, so nothing here looks at a clock.
import { serde } from '@millrace/core';
import { store, topic, topicPattern, topology } from '@millrace/dsl';
import type { RunningApp } from '@millrace/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig, type EngineName, type Sent } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
const tuning = { metadataRefresh: '150ms' };
/** Counts per key over all topics that match, straight from them; every update comes out. */
const countOf = (name: string) =>
  topology(name, (t) => {
    t.stream(topicPattern(new RegExp(`${name}-in-.+`), text))
      .groupByKey()
      .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
      .toStream()
      .mapValues((count) => String(count), { value: serde.string() })
      .to(topic(`${name}-out`, text));
  });
/** Each record as `<topic>:<value>`. */
const copyOf = (name: string) =>
  topology(name, (t) =>
    t
      .stream(topicPattern(new RegExp(`${name}-in-.+`), text))
      .mapValues((value, _, context) => `${context.source?.topic}:${value}`)
      .to(topic(`${name}-out`, text)),
  );
const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4'];
const records = (from: number, to: number): readonly Sent[] =>
  Array.from({ length: to - from }, (_, at) => ({ key: KEYS[(from + at) % KEYS.length] as string, value: String(from + at), timestamp: from + at }));
const valuesOf = async (name: string): Promise<readonly (string | null)[]> => (await rig.read(`${name}-out`)).map(({ value }) => value);
/** The updates of each key are 1, 2, 3 and so on to `each`: nothing lost, nothing twice. */
async function expectCounted(name: string, each: number): Promise<void> {
  const seen = await rig.read(`${name}-out`);
  for (const key of KEYS)
    expect(seen.filter((row) => row.key === key).map(({ value }) => Number(value))).toEqual(Array.from({ length: each }, (_, at) => at + 1));
}

const revoked = (app: RunningApp): Promise<void> =>
  new Promise((resolve) => {
    const watching = app.events.subscribe(({ kind }) => {
      if (kind !== 'revoked') return;
      watching.unsubscribe();
      resolve();
    });
  });

test.each<EngineName>(['memory', 'lmdb'])('a topic made while the application runs is read with the others, exactly once, with %s', async (engine) => {
  const name = `new-${engine}`;
  await rig.createTopics(2, 'delete', `${name}-in-a`, `${name}-out`);
  const app = await rig.app(countOf(name), { engine, disk: name, tuning });
  await rig.send(`${name}-in-a`, records(0, 50));
  await app.drained();
  await rig.createTopics(2, 'delete', `${name}-in-b`, `${name}-other`);
  // While the new topic joins, the old one goes on.
  await Promise.all([rig.send(`${name}-in-a`, records(50, 100)), rig.send(`${name}-in-b`, records(0, 50))]);
  await app.drained();
  expect(app.tasks().map(({ id, state }) => `${id} ${state}`)).toEqual(['0_0 running', '0_1 running']);
  await app.close();
  await expectCounted(name, 30);

  const again = await rig.app(countOf(name), { engine, disk: name, tuning });
  await rig.send(`${name}-in-b`, records(50, 100));
  await again.drained();
  await again.close();
  await expectCounted(name, 40);
});

test('two instances take a new topic up together, and no record is processed by both', async () => {
  const name = 'two';
  await rig.createTopics(4, 'delete', `${name}-in-a`, `${name}-out`);
  const apps = [
    await rig.app(countOf(name), { engine: 'memory', disk: 'two-a', tuning }),
    await rig.app(countOf(name), { engine: 'memory', disk: 'two-b', tuning }),
  ];
  await rig.send(`${name}-in-a`, records(0, 50));
  await rig.createTopics(4, 'delete', `${name}-in-b`);
  await rig.send(`${name}-in-b`, records(0, 50));
  await Promise.all(apps.map((app) => app.drained()));
  const tasks = apps.map((app) => app.tasks().map(({ id }) => id));
  expect(tasks.flat().sort()).toEqual(['0_0', '0_1', '0_2', '0_3']);
  expect(tasks.every((own) => own.length === 2)).toBe(true);
  await Promise.all(apps.map((app) => app.close()));
  await expectCounted(name, 20);
});

test('an application whose pattern matches nothing runs, and begins with the first topic; a wider one brings more tasks', async () => {
  const name = 'none';
  await rig.createTopics(1, 'delete', `${name}-out`);
  const app = await rig.app(copyOf(name), { engine: 'memory', disk: name, tuning });
  expect(app.tasks()).toEqual([]);
  await app.drained();
  await rig.createTopics(1, 'delete', `${name}-in-a`);
  await rig.send(`${name}-in-a`, records(0, 2));
  await app.drained();
  await rig.createTopics(3, 'delete', `${name}-in-b`);
  await rig.send(`${name}-in-b`, records(2, 4));
  await app.drained();
  expect(app.tasks().map(({ id }) => id)).toEqual(['0_0', '0_1', '0_2']);
  await app.close();
  expect([...(await valuesOf(name))].sort()).toEqual([`${name}-in-a:0`, `${name}-in-a:1`, `${name}-in-b:2`, `${name}-in-b:3`]);
});

test('a topic that is deleted leaves, its tasks with it, and the rest goes on', async () => {
  const name = 'gone';
  await rig.createTopics(1, 'delete', `${name}-in-a`, `${name}-out`);
  await rig.createTopics(3, 'delete', `${name}-in-b`);
  const app = await rig.app(countOf(name), { engine: 'memory', disk: name, tuning });
  await rig.send(`${name}-in-a`, records(0, 50));
  await rig.send(`${name}-in-b`, records(0, 50));
  await app.drained();
  expect(app.tasks()).toHaveLength(3);
  const admin = rig.admin();
  await admin.deleteTopics([`${name}-in-b`]);
  await admin.close();
  await revoked(app);
  await rig.send(`${name}-in-a`, records(50, 100));
  await app.drained();
  expect(app.tasks().map(({ id, state }) => `${id} ${state}`)).toEqual(['0_0 running']);
  expect(app.failure).toBeUndefined();
  await app.close();
  const last = (await rig.read(`${name}-out`)).filter(({ key }) => key === 'k0').map(({ value }) => Number(value));
  expect(Math.max(...last)).toBeGreaterThanOrEqual(20);
});

test('a topic with more partitions than the changelog has stops the application with both numbers', async () => {
  const name = 'wide';
  await rig.createTopics(1, 'delete', `${name}-in-a`, `${name}-out`);
  const app = await rig.app(countOf(name), { engine: 'memory', disk: name, tuning });
  const ended = app.waitFor('failed');
  await rig.createTopics(2, 'delete', `${name}-in-b`);
  await ended;
  expect(app.failure).toMatchObject({ code: 'ERR_PARTITION_COUNT' });
  expect(app.failure?.message).toMatch(/its changelog 'wide-counts-changelog', which has 1: 'wide-in-b' has 2/);
  await app.close();
});

test('a topic that patterns of two sources match stops the application with its name', async () => {
  const name = 'both';
  await rig.createTopics(1, 'delete', `${name}-out`);
  const reading = topology(name, (t) => {
    for (const part of ['a', 'b']) t.stream(topicPattern(new RegExp(`${name}-in-.*${part}.*`), text)).to(topic(`${name}-out`, text));
  });
  const app = await rig.app(reading, { engine: 'memory', disk: name, tuning });
  const ended = app.waitFor('failed');
  await rig.createTopics(1, 'delete', `${name}-in-ab`);
  await ended;
  expect(app.failure).toMatchObject({ code: 'ERR_TOPOLOGY' });
  expect(app.failure?.message).toMatch(/Topic "both-in-ab" matches the patterns of two sources/);
  await app.close();
});

test('topics that take turns: the next one comes when the last is gone, and the counts go on', async () => {
  const name = 'turns';
  await rig.createTopics(1, 'delete', `${name}-in-a`, `${name}-out`);
  const app = await rig.app(countOf(name), { engine: 'lmdb', disk: name, tuning });
  await rig.send(`${name}-in-a`, records(0, 25));
  await app.drained();
  const admin = rig.admin();
  await admin.deleteTopics([`${name}-in-a`]);
  await admin.close();
  await revoked(app);
  await rig.createTopics(1, 'delete', `${name}-in-b`);
  await rig.send(`${name}-in-b`, records(0, 25));
  await app.drained();
  await app.close();
  await expectCounted(name, 10);
});

test('a topic deleted while its records are being processed holds nothing up for good', async () => {
  const name = 'torn';
  await rig.createTopics(1, 'delete', `${name}-in-a`, `${name}-in-b`, `${name}-out`);
  const app = await rig.app(countOf(name), { engine: 'memory', disk: name, tuning: { metadataRefresh: '500ms', transactionTimeout: '1s' } });
  const admin = rig.admin();
  const sending = rig.send(`${name}-in-a`, records(0, 200));
  await rig.send(`${name}-in-b`, records(0, 200));
  await admin.deleteTopics([`${name}-in-b`]);
  await admin.close();
  await sending;
  await rig.send(`${name}-in-a`, records(200, 300));
  await app.drained();
  expect(app.failure).toBeUndefined();
  await app.close();
  const counts = (await rig.read(`${name}-out`)).filter(({ key }) => key === 'k0').map(({ value }) => Number(value));
  expect(counts).toEqual(counts.map((_, at) => at + 1));
  expect(counts.length).toBeGreaterThanOrEqual(60);
});

test('only what the user may see matches; what may be seen and not read stops the application', async () => {
  const who = 'User:reader';
  const rules = [
    { principal: who, operation: 'read', resourceType: 'topic', name: 'open-', pattern: 'prefixed' },
    { principal: who, operation: 'describe', resourceType: 'topic', name: 'seen-', pattern: 'prefixed' },
    { principal: who, operation: 'all', resourceType: 'topic', name: 'rights-', pattern: 'prefixed' },
    { principal: who, operation: 'read', resourceType: 'group', name: 'rights' },
    { principal: who, operation: 'write', resourceType: 'transactionalId', name: 'rights-', pattern: 'prefixed' },
    { principal: who, operation: 'idempotentWrite', resourceType: 'cluster' },
  ] as const;
  const login = (username: string) => ({ mechanism: 'scram-sha-256', username, password: 'a-secret' }) as const;
  const security = { sasl: { users: { reader: 'a-secret', boss: 'a-secret' } }, authorization: { superUsers: ['User:boss'], rules } };
  const guarded = new AppRig({ broker: { security, autoCreateTopics: false }, connection: { sasl: login('boss') } });
  await guarded.start();
  try {
    await guarded.createTopics(1, 'delete', 'open-logs-a', 'hidden-logs-a', 'rights-out');
    const all = topology('rights', (t) => t.stream(topicPattern(/(open|seen|hidden)-logs-.+/, text)).to(topic('rights-out', text)));
    const app = await guarded.app(all, { engine: 'memory', disk: 'rights', tuning, sasl: login('reader') });
    await guarded.send('hidden-logs-a', records(0, 3));
    await guarded.send('open-logs-a', records(3, 6));
    await app.drained();
    expect((await guarded.read('rights-out')).map(({ value }) => value).sort()).toEqual(['3', '4', '5']);
    const ended = app.waitFor('failed');
    await guarded.createTopics(1, 'delete', 'seen-logs-a');
    await ended;
    expect(app.failure).toMatchObject({ code: 'ERR_AUTHORIZATION' });
    expect(app.failure?.message).toContain('seen-logs-a');
    await app.close();
  } finally {
    await guarded.close();
  }
});
