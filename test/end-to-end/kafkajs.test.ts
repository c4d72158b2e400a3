// KafkaJS as a stranger to the embedded broker: topics, groups with rebalance, compression, transactions, restarts.
// It picks the newest version it knows of each API and ignores our lower bounds, so this also proves the older, non-flexible versions.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { CompressionTypes, type Consumer, Kafka, logLevel, type Producer } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
type Broker = Awaited<ReturnType<typeof startBroker>>;

let dataDir: string;
let broker: Broker;
let kafka: Kafka;
const open: { disconnect(): Promise<void> }[] = [];

async function restart(): Promise<void> {
  await broker?.close();
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: broker?.port ?? 0 }, ports);
}
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-kafkajs-'));
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: 0 }, ports);
  kafka = new Kafka({ clientId: 'stranger', brokers: [broker.address], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, retries: 20 } });
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.disconnect();
  await broker.close();
  rmSync(dataDir, { recursive: true, force: true });
});

async function producer(options: Parameters<Kafka['producer']>[0] = {}): Promise<Producer> {
  const made = kafka.producer({ allowAutoTopicCreation: false, ...options });
  await made.connect();
  open.push(made);
  return made;
}
async function createTopic(topic: string, numPartitions = 1): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions }] });
  await admin.disconnect();
}

interface Reading {
  readonly consumer: Consumer;
  readonly values: string[];
  readonly partitions: Set<number>;
  /** Resolves when `enough` holds; looked at after each record. */
  until(enough: (values: readonly string[]) => boolean): Promise<void>;
}
async function read(topic: string, groupId: string, options: { readonly readUncommitted?: boolean } = {}): Promise<Reading> {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 100, rebalanceTimeout: 10_000, maxWaitTimeInMs: 50, ...options });
  await consumer.connect();
  open.push(consumer);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  const values: string[] = [];
  const partitions = new Set<number>();
  const waiting = new Set<() => void>();
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      values.push(String(message.value));
      partitions.add(partition);
      for (const look of [...waiting]) look();
    },
  });
  return {
    consumer,
    values,
    partitions,
    until: (enough) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!enough(values)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

describe('records', () => {
  test('keys, values, headers, times and gzip come back as they were sent', async () => {
    await createTopic('t');
    const sender = await producer();
    await sender.send({
      topic: 't',
      compression: CompressionTypes.GZIP,
      messages: [
        { key: 'k', value: 'v', headers: { h: 'x' }, timestamp: '1234567890123' },
        { key: null, value: null },
      ],
    });
    const consumer = kafka.consumer({ groupId: 'g', maxWaitTimeInMs: 50 });
    await consumer.connect();
    open.push(consumer);
    await consumer.subscribe({ topics: ['t'], fromBeginning: true });
    const seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      void consumer.run({
        eachMessage: async ({ message }) => {
          seen.push([message.offset, message.key?.toString(), message.value?.toString(), message.headers?.h?.toString(), message.timestamp]);
          if (seen.length === 2) resolve();
        },
      });
    });
    expect(seen[0]).toEqual(['0', 'k', 'v', 'x', '1234567890123']);
    expect((seen[1] as unknown[]).slice(0, 3)).toEqual(['1', undefined, undefined]);
  });

  test('an idempotent producer goes on over a restart of the broker, without loss or double', async () => {
    await createTopic('t');
    const sender = await producer({ idempotent: true, maxInFlightRequests: 1 });
    for (let at = 0; at < 10; at++) await sender.send({ topic: 't', messages: [{ value: `a${at}` }] });
    await restart();
    for (let at = 0; at < 10; at++) await sender.send({ topic: 't', messages: [{ value: `b${at}` }] });
    const reading = await read('t', 'g');
    await reading.until((values) => values.length >= 20);
    expect(reading.values).toEqual([...Array.from({ length: 10 }, (_, at) => `a${at}`), ...Array.from({ length: 10 }, (_, at) => `b${at}`)]);
  });
});

describe('groups', () => {
  test('two members share the partitions; when one leaves the other takes over where it stopped', async () => {
    await createTopic('t', 4);
    const sender = await producer();
    const send = (from: number, to: number) =>
      sender.send({ topic: 't', messages: Array.from({ length: to - from }, (_, at) => ({ value: String(from + at), partition: at % 4 })) });
    const first = await read('t', 'g');
    const joined = new Promise<void>((resolve) => {
      first.consumer.on(first.consumer.events.GROUP_JOIN, ({ payload }) => {
        if ((payload.memberAssignment.t ?? []).length === 2) resolve();
      });
    });
    const second = await read('t', 'g');
    await joined;
    await send(0, 40);
    await Promise.all([first.until((values) => values.length >= 20), second.until((values) => values.length >= 20)]);
    expect([...first.partitions, ...second.partitions].sort()).toEqual([0, 1, 2, 3]);
    await second.consumer.disconnect();
    await send(40, 80);
    await first.until((values) => values.length >= 60);
    expect([...first.values, ...second.values].map(Number).sort((left, right) => left - right)).toEqual(Array.from({ length: 80 }, (_, at) => at));
  });

  test('committed offsets outlive a restart of the broker', async () => {
    await createTopic('t');
    const sender = await producer();
    await sender.send({ topic: 't', messages: [{ value: 'before' }] });
    const first = await read('t', 'g');
    await first.until((values) => values.length === 1);
    await first.consumer.disconnect();
    await restart();
    await sender.send({ topic: 't', messages: [{ value: 'after' }] });
    const second = await read('t', 'g');
    await second.until((values) => values.length === 1);
    expect(second.values).toEqual(['after']);
  });
});

describe('transactions', () => {
  test('what was committed is seen, what was aborted is not, and offsets move with the commit only', async () => {
    await createTopic('t');
    await createTopic('in');
    const sender = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const admin = kafka.admin();
    await admin.connect();
    open.push(admin);
    const offsetOf = async (): Promise<string | undefined> => (await admin.fetchOffsets({ groupId: 'g', topics: ['in'] }))[0]?.partitions[0]?.offset;

    const aborted = await sender.transaction();
    await aborted.send({ topic: 't', messages: [{ value: 'aborted' }] });
    await aborted.sendOffsets({ consumerGroupId: 'g', topics: [{ topic: 'in', partitions: [{ partition: 0, offset: '5' }] }] });
    await aborted.abort();
    expect(await offsetOf()).toBe('-1');

    const committed = await sender.transaction();
    await committed.send({ topic: 't', messages: [{ value: 'committed' }] });
    await committed.sendOffsets({ consumerGroupId: 'g', topics: [{ topic: 'in', partitions: [{ partition: 0, offset: '7' }] }] });
    expect(await offsetOf()).toBe('-1');
    await committed.commit();
    expect(await offsetOf()).toBe('7');

    const plain = await producer();
    await plain.send({ topic: 't', messages: [{ value: 'end' }] });
    const reading = await read('t', 'reader');
    await reading.until((values) => values.includes('end'));
    expect(reading.values).toEqual(['committed', 'end']);
    const everything = await read('t', 'dirty reader', { readUncommitted: true });
    await everything.until((values) => values.includes('end'));
    expect(everything.values).toEqual(['aborted', 'committed', 'end']);
  });

  test('an open transaction holds readers back until it ends', async () => {
    await createTopic('t');
    const sender = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const transaction = await sender.transaction();
    await transaction.send({ topic: 't', messages: [{ value: 'first' }] });
    const plain = await producer();
    await plain.send({ topic: 't', messages: [{ value: 'second' }] });
    const reading = await read('t', 'reader');
    const dirty = await read('t', 'dirty reader', { readUncommitted: true });
    await dirty.until((values) => values.length === 2);
    expect(reading.values).toEqual([]);
    await transaction.commit();
    await reading.until((values) => values.length === 2);
    expect(reading.values).toEqual(['first', 'second']);
  });

  test('a second producer with the same id ends the first one and its open transaction', async () => {
    await createTopic('t');
    const zombie = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const lost = await zombie.transaction();
    await lost.send({ topic: 't', messages: [{ value: 'lost' }] });
    const successor = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const kept = await successor.transaction();
    await kept.send({ topic: 't', messages: [{ value: 'kept' }] });
    await kept.commit();
    await expect(lost.commit()).rejects.toThrow();
    const reading = await read('t', 'reader');
    await reading.until((values) => values.length >= 1);
    expect(reading.values).toEqual(['kept']);
  });

  test('committed transactions outlive a restart of the broker, and the same transactional id goes on', async () => {
    await createTopic('t');
    const sender = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const first = await sender.transaction();
    await first.send({ topic: 't', messages: [{ value: 'one' }] });
    await first.commit();
    await restart();
    // KafkaJS cannot find its coordinator over a connection that broke: the successor is a new producer, as after a restart of the application.
    const successor = await producer({ transactionalId: 'x', maxInFlightRequests: 1, idempotent: true });
    const second = await successor.transaction();
    await second.send({ topic: 't', messages: [{ value: 'two' }] });
    await second.commit();
    const reading = await read('t', 'reader');
    await reading.until((values) => values.length === 2);
    expect(reading.values).toEqual(['one', 'two']);
  });
});

test('the admin client creates, describes, alters, grows, purges and deletes', async () => {
  const admin = kafka.admin();
  await admin.connect();
  open.push(admin);
  expect(await admin.createTopics({ topics: [{ topic: 't', numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '5000' }] }] })).toBe(true);
  expect(await admin.createTopics({ topics: [{ topic: 't' }] })).toBe(false);
  const config = async (): Promise<string | undefined> =>
    (await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: 't', configNames: ['retention.ms'] }] })).resources[0]?.configEntries[0]
      ?.configValue;
  expect(await config()).toBe('5000');
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: 't', configEntries: [{ name: 'retention.ms', value: '9000' }] }] });
  expect(await config()).toBe('9000');
  await admin.createPartitions({ topicPartitions: [{ topic: 't', count: 3 }] });
  expect((await admin.fetchTopicMetadata({ topics: ['t'] })).topics[0]?.partitions.length).toBe(3);
  const sender = await producer();
  await sender.send({ topic: 't', messages: Array.from({ length: 5 }, (_, at) => ({ value: String(at), partition: 0 })) });
  await admin.deleteTopicRecords({ topic: 't', partitions: [{ partition: 0, offset: '3' }] });
  expect((await admin.fetchTopicOffsets('t')).find(({ partition }) => partition === 0)).toMatchObject({ low: '3', high: '5' });
  expect((await admin.describeCluster()).brokers).toEqual([{ nodeId: 1, host: '127.0.0.1', port: broker.port }]);
  const reading = await read('t', 'g');
  await reading.until((values) => values.length === 2);
  await reading.consumer.disconnect();
  expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).toEqual(['g']);
  expect((await admin.deleteGroups(['g']))[0]).toMatchObject({ errorCode: 0 });
  await admin.deleteTopics({ topics: ['t'] });
  expect(await admin.listTopics()).not.toContain('t');
});
