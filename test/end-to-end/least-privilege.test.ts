// The rights that docs/broker-security.md promises are enough for an application: with exactly those it runs, restarts and commits exactly once.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { createApp, serde, topic, topology } from 'millrace';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'millrace-least-'));
const file = (name: string): string => join(import.meta.dirname, '../fixtures/tls', `${name}.pem`);
const ca = readFileSync(file('ca.cert'), 'utf8');
const APPLICATION = 'word-count';
const WHO = 'User:counter';

let broker: Broker;
beforeAll(async () => {
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  const security = {
    tls: { key: file('server.key'), cert: file('server.cert') },
    sasl: { users: { counter: 'counter-secret', boss: 'boss-secret' } },
    authorization: {
      superUsers: ['User:boss'],
      rules: [
        { principal: WHO, operation: 'read', resourceType: 'topic', name: 'words' },
        { principal: WHO, operation: 'write', resourceType: 'topic', name: 'counts' },
        { principal: WHO, operation: 'all', resourceType: 'topic', name: `${APPLICATION}-`, pattern: 'prefixed' },
        { principal: WHO, operation: 'read', resourceType: 'group', name: APPLICATION },
        { principal: WHO, operation: 'write', resourceType: 'transactionalId', name: `${APPLICATION}-`, pattern: 'prefixed' },
        { principal: WHO, operation: 'idempotentWrite', resourceType: 'cluster' },
      ],
    },
  } as const;
  broker = await startBroker({ dataDir: join(folder, 'broker'), port: 0, autoCreateTopics: false, security }, ports);
  const admin = boss().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'words', numPartitions: 2 }, { topic: 'counts' }, { topic: 'secret' }] });
  await admin.disconnect();
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

const boss = (): Kafka =>
  new Kafka({
    brokers: [broker.address],
    logLevel: logLevel.NOTHING,
    ssl: { ca: [ca] },
    sasl: { mechanism: 'scram-sha-256', username: 'boss', password: 'boss-secret' },
  });

async function produce(words: readonly string[]): Promise<void> {
  const producer = boss().producer();
  await producer.connect();
  await producer.send({ topic: 'words', messages: words.map((value) => ({ key: value, value })) });
  await producer.disconnect();
}

const words = topic('words', { key: serde.string(), value: serde.string() });
const counts = topic('counts', { key: serde.string(), value: serde.safeInt() });
const program = topology(APPLICATION, (t) => {
  t.stream(words)
    .groupBy((_, word) => word.toUpperCase(), { key: serde.string(), value: serde.string() })
    .count()
    .toStream()
    .to(counts);
});

async function run(): Promise<void> {
  const app = createApp(program, {
    brokers: [broker.address],
    ssl: { ca },
    sasl: { mechanism: 'scram-sha-512', username: 'counter', password: 'counter-secret' },
    createTopics: true,
    stateDir: join(folder, 'state'),
    http: false,
    log: silentLogger,
  });
  await app.start();
  try {
    await app.waitFor('running');
    await app.drained();
  } finally {
    await app.close();
  }
}

async function total(): Promise<number> {
  const consumer = boss().consumer({ groupId: 'audit', readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic: 'counts', fromBeginning: true });
  const latest = new Map<string, number>();
  const admin = boss().admin();
  await admin.connect();
  const end = Number((await admin.fetchTopicOffsets('counts'))[0]?.high ?? 0);
  await admin.disconnect();
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachBatch: async ({ batch, resolveOffset }) => {
          for (const { key, value, offset } of batch.messages) {
            latest.set(String(key), Number(value?.readBigInt64BE()));
            resolveOffset(offset);
          }
          if (Number(batch.lastOffset()) >= end - 2) resolve(); // the last offset is the marker of the commit
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return [...latest.values()].reduce((sum, one) => sum + one, 0);
}

test('an application with exactly the documented rights counts, stops, and goes on where it was', async () => {
  await produce(['a', 'b', 'a']);
  await run();
  await produce(['c', 'a']);
  await run();
  expect(await total()).toBe(5);
});
