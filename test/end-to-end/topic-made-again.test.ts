// An input topic is deleted and made again under an application (fault row M1), and an application is begun anew by hand (M7).
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppRig, asTable } from './app-rig.ts';

const rig = new AppRig();
beforeAll(() => rig.start());
afterAll(() => rig.close());

const text = { key: serde.string(), value: serde.string() };
/** Counts values per key behind a repartition; every update comes out. */
const countOf = (name: string) =>
  topology(name, (t) => {
    t.stream(topic(`${name}-in`, text))
      .groupBy((value) => value)
      .count({ store: store.keyValue('counts', { key: serde.string(), value: serde.safeInt() }), emit: 'onUpdate' })
      .toStream()
      .mapValues((count) => String(count), { value: serde.string() })
      .to(topic(`${name}-out`, text));
  });
const words = (word: string, count: number) => Array.from({ length: count }, (_, at) => ({ key: `k${at}`, value: word, timestamp: at }));
const makeTopics = (name: string): Promise<void> => rig.createTopicsWith(2, { 'retention.ms': '-1' }, `${name}-in`, `${name}-out`);
async function makeAgain(name: string): Promise<void> {
  const admin = rig.admin();
  await admin.deleteTopics([name]);
  await admin.createTopics([{ name, partitions: 2, replication: -1, config: { 'retention.ms': '-1' } }]);
  await admin.close();
}
const kafka = () => new Kafka({ brokers: [rig.address], logLevel: logLevel.NOTHING }).admin();

test.each([3, 60])('a topic made again while it is read stops the instance, which names it; started again, it reads all %i new records', async (count) => {
  const name = `again-${count}`;
  await makeTopics(name);
  const options = { engine: 'memory', disk: name } as const;
  const app = await rig.app(countOf(name), options);
  await rig.send(`${name}-in`, words('old', 20));
  await app.drained();
  const ended = app.waitFor('failed');
  await makeAgain(`${name}-in`);
  await rig.send(`${name}-in`, words('new', count));
  await ended;
  expect(app.failure).toMatchObject({ code: 'ERR_TOPIC_RECREATED', where: { topic: `${name}-in` } });
  await app.close();

  const next = await rig.app(countOf(name), options);
  await next.drained();
  await next.close();
  expect(asTable(await rig.read(`${name}-out`))).toEqual(
    new Map([
      ['new', String(count)],
      ['old', '20'],
    ]),
  );
});

test.each([3, 60])('a topic made again while the application is down is read from its start: all %i new records', async (count) => {
  const name = `down-${count}`;
  await makeTopics(name);
  const options = { engine: 'memory', disk: name } as const;
  const app = await rig.app(countOf(name), options);
  await rig.send(`${name}-in`, words('old', 20));
  await app.drained();
  await app.close();
  await makeAgain(`${name}-in`);
  await rig.send(`${name}-in`, words('new', count));
  const next = await rig.app(countOf(name), options);
  await next.drained();
  await next.close();
  expect(asTable(await rig.read(`${name}-out`)).get('new')).toBe(String(count));
});

test('an application is begun anew by hand: its group cannot be deleted while it runs; without group and internal topics all is counted again, from nothing', async () => {
  const name = 'anew';
  await makeTopics(name);
  const options = { engine: 'lmdb', disk: name } as const; // what lies on the disk belongs to topics that are gone
  const app = await rig.app(countOf(name), options);
  await rig.send(`${name}-in`, words('one', 20));
  await app.drained();
  const admin = kafka();
  await admin.connect();
  await expect(admin.deleteGroups([name])).rejects.toThrow();
  await app.close();

  await admin.deleteGroups([name]);
  const internal = (await admin.listTopics()).filter((topicName) => topicName.startsWith(`${name}-`) && /-(changelog|repartition)$/.test(topicName));
  expect(internal).toHaveLength(2);
  await admin.deleteTopics({ topics: [...internal, `${name}-out`] });
  await admin.disconnect();
  await rig.createTopicsWith(2, { 'retention.ms': '-1' }, `${name}-out`);
  const next = await rig.app(countOf(name), options);
  await next.drained();
  await next.close();
  expect((await rig.read(`${name}-out`)).map(({ value }) => Number(value))).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
  rmSync(join(rig.folder, name), { recursive: true });
});
