// An application on Apache Kafka that reads by pattern: a topic made while it runs is read with the others, exactly once, and one that is deleted leaves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@millrace/core';
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
import { type App, createApp, serde, store, topic, topicPattern, topology } from 'millrace';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { committedUpdatesOn } from '../end-to-end/committed-updates.ts';

const address = process.env.MILLRACE_TEST_KAFKA ?? '';
const NAME = `pattern-${process.pid}`;
const text = { key: serde.string(), value: serde.string() };
const counting = topology(NAME, (t) => {
  t.stream(topicPattern(new RegExp(`${NAME}-in-.+`), text))
    .groupByKey()
    .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() })
    .to(topic(`${NAME}-out`, text));
});

const folder = mkdtempSync(join(tmpdir(), 'millrace-pattern-'));
let admin: Admin;
let producer: Producer;
let app: App;
beforeAll(async () => {
  const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
  admin = kafka.admin();
  producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
});
afterAll(async () => {
  await app?.close();
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  rmSync(folder, { recursive: true, force: true });
});

const make = (...names: string[]): Promise<boolean> => admin.createTopics({ topics: names.map((name) => ({ topic: `${NAME}-${name}`, numPartitions: 2 })) });
const KEYS = ['k0', 'k1', 'k2', 'k3'];
const send = (name: string, count: number) =>
  producer.send({
    topic: `${NAME}-${name}`,
    messages: Array.from({ length: count }, (_, at) => ({ key: KEYS[at % KEYS.length] as string, value: String(at) })),
  });
/** The updates of each key, in order. */
async function updates(): Promise<readonly (readonly number[])[]> {
  const all = await committedUpdatesOn(address, `${NAME}-out`);
  return KEYS.map((key) => all.filter((one) => one.key === Buffer.from(key).toString('hex')).map(({ value }) => Number(value)));
}

test('a topic made while the application runs joins, and one that is deleted leaves', async () => {
  await make('in-a', 'out');
  app = createApp(counting, { brokers: [address], stateDir: folder, http: false, log: silentLogger, tuning: { metadataRefresh: '300ms' } });
  await app.start();
  await app.waitFor('running');
  await send('in-a', 40);
  await app.drained();
  await make('in-b');
  await Promise.all([send('in-a', 40), send('in-b', 40)]);
  await app.drained();
  const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at + 1);
  expect(await updates()).toEqual(KEYS.map(() => upTo(30)));

  await admin.deleteTopics({ topics: [`${NAME}-in-b`] });
  await send('in-a', 40);
  await app.drained();
  expect(await updates()).toEqual(KEYS.map(() => upTo(40)));
  expect(app.state).toBe('running');
}, 180_000);
