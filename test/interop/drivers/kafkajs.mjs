// KafkaJS: one scenario against one broker. Exit code 0 means that it passed.
// Usage: kafkajs.mjs ADDRESS SCENARIO NAME; KAFKA_CONNECTION is JSON, settings that a secured broker asks for. It brings gzip only; snappy and lz4 are lent by our protocol package, as its users lend theirs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { compress, decompress } from '@millrace/protocol';
import kafkajs from 'kafkajs';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
const [address, scenario, name] = process.argv.slice(2);
const WAIT_MS = 40_000;
const secured = JSON.parse(process.env.KAFKA_CONNECTION ?? '{}');
const kafka = new Kafka({ clientId: 'interop', brokers: [address], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50, retries: 10 }, ...secured });
const admin = kafka.admin();
await admin.connect();
const LENT = { snappy: 2, lz4: 3 };
for (const [codec, id] of Object.entries(LENT))
  CompressionCodecs[CompressionTypes[codec.toUpperCase()]] = () => ({
    compress: async ({ buffer }) => compress(id, buffer),
    decompress: async (buffer) => decompress(id, buffer, 64 * 1024 * 1024),
  });

async function send(values, { partitions, ...options } = {}) {
  const producer = kafka.producer(options.producer);
  await producer.connect();
  const messages = values.map((value, at) => ({
    value: String(value),
    ...(partitions === undefined ? {} : { partition: at % partitions }),
    ...options.message?.(at),
  }));
  await producer.send({ topic: name, messages, compression: options.compression });
  await producer.disconnect();
}

/** A group member; `mine` are its partitions. */
async function member(groupId, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 6000, maxWaitTimeInMs: 100, ...options });
  const self = { values: [], mine: [], consumer, leave: () => consumer.disconnect() };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.mine = payload.memberAssignment[name] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [name], fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => void self.values.push(String(message.value)) });
  return self;
}

async function until(what, words) {
  for (const end = Date.now() + WAIT_MS; !what(); ) {
    assert(Date.now() < end, `waited ${WAIT_MS} ms: ${JSON.stringify(words())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const create = (numPartitions = 1) => admin.createTopics({ topics: [{ topic: name, numPartitions }], waitForLeaders: true });
const range = (from, to) => Array.from({ length: to - from }, (_, at) => from + at);

async function topics() {
  assert.equal(await create(3), true);
  assert.equal(await create(3), false);
  assert.equal((await admin.fetchTopicMetadata({ topics: [name] })).topics[0].partitions.length, 3);
  const resource = { type: 2, name };
  await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] });
  const { resources } = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['retention.ms'] }] });
  assert.equal(resources[0].configEntries[0].configValue, '3600000');
  await admin.createPartitions({ topicPartitions: [{ topic: name, count: 5 }] });
  assert.equal((await admin.fetchTopicMetadata({ topics: [name] })).topics[0].partitions.length, 5);
  await admin.deleteTopics({ topics: [name] });
  assert(!(await admin.listTopics()).includes(name));
}

async function compression(codec) {
  await create();
  const values = range(0, 2000).map((at) => `${at} ${'x'.repeat(200)}`);
  await send(values, { compression: CompressionTypes[codec.toUpperCase()], producer: { idempotent: true, maxInFlightRequests: 1 } });
  const one = await member(`${name}-g`);
  await until(
    () => one.values.length >= values.length,
    () => one.values.length,
  );
  assert.deepEqual(one.values, values);
  await one.leave();
}

async function groups() {
  await create(6);
  await send(range(0, 60), { partitions: 6 });
  const one = await member(`${name}-g`);
  await until(
    () => one.mine.length === 6 && one.values.length === 60,
    () => [one.mine, one.values.length],
  );
  const two = await member(`${name}-g`);
  await until(
    () => one.mine.length === 3 && two.mine.length === 3,
    () => [one.mine, two.mine],
  );
  assert.deepEqual([...one.mine, ...two.mine].sort(), range(0, 6));
  const { groups: described } = await admin.describeGroups([`${name}-g`]);
  assert.equal(described[0].members.length, 2);
  await send(range(60, 120), { partitions: 6 });
  await until(
    () => new Set([...one.values, ...two.values]).size === 120,
    () => [one.values.length, two.values.length],
  );
  await two.leave();
  await until(
    () => one.mine.length === 6,
    () => one.mine,
  );
  await send(range(120, 180), { partitions: 6 });
  await until(
    () => new Set([...one.values, ...two.values]).size === 180,
    () => [one.values.length, two.values.length],
  );
  await one.leave();
  await admin.deleteGroups([`${name}-g`]);
}

async function transactions() {
  await create();
  const producer = kafka.producer({ transactionalId: `${name}-tx`, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (const ending of ['commit', 'abort', 'commit']) {
    const transaction = await producer.transaction();
    await transaction.send({ topic: name, messages: range(0, 10).map((at) => ({ value: `${ending} ${at}` })) });
    if (ending === 'commit')
      await transaction.sendOffsets({ consumerGroupId: `${name}-offsets`, topics: [{ topic: name, partitions: [{ partition: 0, offset: '5' }] }] });
    await transaction[ending]();
  }
  await producer.disconnect();
  const expected = range(0, 10).map((at) => `commit ${at}`);
  const one = await member(`${name}-g`);
  await until(
    () => one.values.length >= 20,
    () => one.values,
  );
  assert.deepEqual(one.values, [...expected, ...expected]);
  await one.leave();
  const dirty = await member(`${name}-all`, { readUncommitted: true });
  await until(
    () => dirty.values.length >= 30,
    () => dirty.values,
  );
  assert.equal(dirty.values.filter((value) => value.startsWith('abort')).length, 10);
  await dirty.leave();
  const [found] = await admin.fetchOffsets({ groupId: `${name}-offsets`, topics: [name] });
  assert.equal(found.partitions[0].offset, '5');
}

async function offsets() {
  await create();
  await send(range(0, 10), { message: (at) => ({ timestamp: String(1_700_000_000_000 + at * 1000) }) });
  assert.deepEqual(await admin.fetchTopicOffsets(name), [{ partition: 0, offset: '10', high: '10', low: '0' }]);
  const [found] = await admin.fetchTopicOffsetsByTimestamp(name, 1_700_000_004_500);
  assert.equal(found.offset, '5');
  const groupId = `${name}-g`;
  await admin.setOffsets({ groupId, topic: name, partitions: [found] });
  const one = await member(groupId);
  await until(
    () => one.values.length >= 5,
    () => one.values,
  );
  assert.deepEqual(one.values, ['5', '6', '7', '8', '9']);
  one.consumer.seek({ topic: name, partition: 0, offset: '8' });
  await until(
    () => one.values.length >= 7,
    () => one.values,
  );
  await one.leave();
  await admin.resetOffsets({ groupId, topic: name, earliest: true });
  const again = await member(groupId);
  await until(
    () => again.values.length >= 10,
    () => again.values,
  );
  await again.leave();
  await admin.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '4' }] });
  assert.equal((await admin.fetchTopicOffsets(name))[0].low, '4');
}

const codecs = Object.fromEntries(['none', 'gzip', 'snappy', 'lz4'].map((codec) => [codec, () => compression(codec)]));
const end = setTimeout(() => process.exit(2), 2 * WAIT_MS);
await { topics, groups, transactions, offsets, ...codecs }[scenario]();
clearTimeout(end);
await admin.disconnect();
if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain');
process.exit(0);
