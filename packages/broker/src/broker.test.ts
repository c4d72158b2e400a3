import { type MemoryDisk, MillraceError, memoryDisk } from '@millrace/core';
import { APIS, encodeRequest, encodeResponse, NO_UUID, RecordReader, readBatches } from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from './broker.ts';
import type { BrokerOptions } from './options.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, type TestPorts, testPorts } from './testing/raw-client.ts';

const started: Broker[] = [];
afterEach(async () => {
  for (const broker of started.splice(0)) await broker.close();
});

async function start(ports: TestPorts = testPorts(), options: Partial<BrokerOptions> = {}): Promise<{ broker: Broker; client: RawClient; ports: TestPorts }> {
  const broker = await startBroker({ dataDir: '/data', ...options }, ports);
  started.push(broker);
  return { broker, client: await RawClient.connect(ports, broker.port), ports };
}

const produceBody = (topic: string, records: Buffer, acks = -1) => ({
  acks,
  timeoutMs: 1_000,
  topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
});
async function produce(client: RawClient, topic: string, records: Buffer, acks = -1, version = 9) {
  const { responses } = await client.ask(APIS.produce, version, produceBody(topic, records, acks));
  return responses[0]?.partitionResponses[0];
}
const fetchBody = (topic: string, fetchOffset: number, extra: object = {}) => ({
  maxWaitMs: 0,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }] }],
  ...extra,
});
async function values(client: RawClient, topic: string, from = 0): Promise<string[]> {
  const { responses } = await client.ask(APIS.fetch, 12, fetchBody(topic, from));
  const records = responses[0]?.partitions[0]?.records ?? Buffer.alloc(0);
  const found: string[] = [];
  for (const batch of readBatches(records, 0, records.length, { checkCrc: true })) {
    const reader = new RecordReader().reset(batch);
    while (reader.next()) if (!batch.control) found.push(reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength));
  }
  return found;
}
async function createTopic(client: RawClient, name: string, config: Record<string, string> = {}, partitions = 1): Promise<string> {
  const configs = Object.entries(config).map(([key, value]) => ({ name: key, value }));
  const { topics } = await client.ask(APIS.createTopics, 7, { topics: [{ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs }] });
  expect(topics[0]?.errorCode).toBe(0);
  return topics[0]?.topicId as string;
}
const simple = (value: string): Buffer => clientBatch({ records: [['k', value]] });

test('metrics tell what the log holds, and how many groups and open transactions there are', async () => {
  const { broker, client } = await start();
  const metric = (name: string) => broker.metrics().find((sample) => sample.name === name)?.value;
  const before = metric('log_bytes') as number;
  await createTopic(client, 't');
  const records = simple('v');
  await produce(client, 't', records);
  expect(metric('log_bytes')).toBe(before + records.length);
  expect([metric('topics'), metric('groups'), metric('transactions_open')]).toEqual([3, 0, 0]);
  const offsets = { topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }] }] };
  await client.ask(APIS.offsetCommit, 8, { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '', ...offsets });
  const { producerId } = await client.ask(APIS.initProducerId, 5, { transactionalId: 'x', transactionTimeoutMs: 60_000, producerEpoch: -1 });
  await client.ask(APIS.addPartitionsToTxn, 3, { transactionalId: 'x', producerId, producerEpoch: 0, topics: [{ name: 't', partitions: [0] }] });
  expect([metric('groups'), metric('transactions_open')]).toEqual([1, 1]);
});

test('metrics tell who is in the groups, and for whom a rebalance waits', async () => {
  const { broker, client } = await start();
  const metric = (name: string) => broker.metrics().find((sample) => sample.name === name)?.value;
  const seen = () => ['group_members', 'group_members_promised', 'groups_rebalancing'].map(metric);
  const protocols = { protocolType: 'consumer', protocols: [{ name: 'p', metadata: Buffer.alloc(0) }] };
  const asked = { groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, groupInstanceId: null, ...protocols, reason: null };
  expect(seen()).toEqual([0, 0, 0]);
  const { memberId } = await client.ask(APIS.joinGroup, 9, { ...asked, memberId: '' });
  expect(seen()).toEqual([0, 1, 0]);
  const { generationId } = await client.ask(APIS.joinGroup, 9, { ...asked, memberId });
  expect(seen()).toEqual([1, 0, 1]);
  const assignments = [{ memberId, assignment: Buffer.alloc(0) }];
  const sync = { groupId: 'g', generationId, memberId, groupInstanceId: null, protocolType: 'consumer', protocolName: 'p', assignments };
  await client.ask(APIS.syncGroup, 5, sync);
  expect(seen()).toEqual([1, 0, 0]);
  await client.ask(APIS.leaveGroup, 5, { groupId: 'g', members: [{ memberId, groupInstanceId: null, reason: null }] });
  expect(seen()).toEqual([0, 0, 0]);
});

test('the address is one that clients take, an IPv6 host in brackets', async () => {
  expect((await start()).broker.address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect((await start(testPorts(), { advertisedHost: '::1' })).broker.address).toMatch(/^\[::1\]:\d+$/);
});

describe('the wire', () => {
  test('ApiVersions of a version that is too new is answered in the form of version 0 with error 35 and one entry', async () => {
    const { client } = await start();
    const request = encodeRequest(APIS.apiVersions, 4, { correlationId: 77, clientId: 'x' }, { clientSoftwareName: 'a', clientSoftwareVersion: '1' });
    request.writeInt16BE(9, 6);
    const answer = client.answerTo(77);
    client.send(request);
    const expected = encodeResponse(APIS.apiVersions, 0, 77, { errorCode: 35, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] });
    expect(await answer).toEqual(expected.subarray(4));
  });

  test('ApiVersions shows librdkafka the old lower bounds, and transactions v2 in force; a feature that may be off shows from version 4 only', async () => {
    const { client } = await start();
    const software = { clientSoftwareName: 'librdkafka', clientSoftwareVersion: '2.11.0' };
    const { apiKeys, finalizedFeatures, supportedFeatures } = await client.ask(APIS.apiVersions, 3, software);
    const range = new Map(apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
    expect(range.get(0)).toEqual([0, 13]);
    expect(range.get(1)).toEqual([4, 18]);
    expect(range.get(24)).toEqual([0, 3]);
    expect(range.get(26)).toEqual([0, 5]);
    expect(finalizedFeatures).toContainEqual({ name: 'transaction.version', minVersionLevel: 2, maxVersionLevel: 2 });
    expect(supportedFeatures).toEqual([]);
    const newer = await client.ask(APIS.apiVersions, 4, software);
    expect(newer.supportedFeatures).toContainEqual({ name: 'transaction.version', minVersion: 0, maxVersion: 2 });
  });

  test('a client name with spaces is refused with INVALID_REQUEST', async () => {
    const { client } = await start();
    expect((await client.ask(APIS.apiVersions, 3, { clientSoftwareName: 'my client', clientSoftwareVersion: '1' })).errorCode).toBe(42);
  });

  test.each([
    ['an unknown API key', 999, 0],
    ['a version that is only advertised', 0, 2],
    ['a version that is not advertised', 0, 14],
  ])('%s ends the connection, and only that one', async (_, key, version) => {
    const { client, broker, ports } = await start();
    const other = await RawClient.connect(ports, broker.port);
    const frame = Buffer.alloc(4 + 12);
    frame.writeInt32BE(12, 0);
    frame.writeInt16BE(key, 4);
    frame.writeInt16BE(version, 6);
    client.send(frame);
    await client.closed;
    expect((await other.ask(APIS.describeCluster, 0, { includeClusterAuthorizedOperations: false })).controllerId).toBe(1);
  });

  test('a length that lies ends the connection', async () => {
    const { client } = await start();
    client.send(Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02]));
    await client.closed;
  });

  test('answers keep the order of their requests, also behind a parked fetch', async () => {
    const { client, broker, ports } = await start();
    const second = await RawClient.connect(ports, broker.port);
    await createTopic(client, 't');
    const fetched = client.ask(APIS.fetch, 12, fetchBody('t', 0, { maxWaitMs: 60_000 }));
    const described = client.ask(APIS.describeCluster, 0, { includeClusterAuthorizedOperations: false });
    await produce(second, 't', simple('wakes it'));
    expect((await fetched).responses[0]?.partitions[0]?.highWatermark).toBe(1);
    await described;
    expect(client.answered).toEqual([1, 2, 3]);
  });

  test('acks=0 gets no answer, and an error then ends the connection', async () => {
    const { client, broker, ports } = await start();
    const second = await RawClient.connect(ports, broker.port);
    await createTopic(client, 't');
    client.send(encodeRequest(APIS.produce, 9, { correlationId: 500, clientId: null }, produceBody('t', simple('quiet'), 0)));
    expect(await values(client, 't')).toEqual(['quiet']);
    expect(client.answered).not.toContain(500);
    client.send(encodeRequest(APIS.produce, 9, { correlationId: 501, clientId: null }, produceBody('missing', simple('x'), 0)));
    await client.closed;
    expect(await values(second, 't')).toEqual(['quiet']);
  });

  test('SASL is declined in its own words', async () => {
    const { client } = await start();
    expect(await client.ask(APIS.saslHandshake, 1, { mechanism: 'PLAIN' })).toMatchObject({ errorCode: 34, mechanisms: [] });
    expect((await client.ask(APIS.saslAuthenticate, 2, { authBytes: Buffer.from('x') })).errorCode).toBe(34);
  });

  test('more requests than may be in flight wait their turn and are all answered', async () => {
    const { client } = await start(testPorts(), { limits: { inFlightMax: 2 } });
    const answers = Array.from({ length: 50 }, () => client.ask(APIS.describeCluster, 0, { includeClusterAuthorizedOperations: false }));
    expect((await Promise.all(answers)).every(({ errorCode }) => errorCode === 0)).toBe(true);
  });
});

describe('produce refuses', () => {
  const twoBatches = Buffer.concat([simple('a'), simple('b')]);
  const flipped = simple('a');
  flipped[65] = (flipped[65] as number) ^ 1;
  const nonZeroBase = simple('a');
  nonZeroBase.writeInt32BE(5, 4);
  test.each([
    ['two batches for one partition', twoBatches, 87],
    ['a wrong checksum', flipped, 2],
    ['a cut batch', simple('abc').subarray(0, -1), 2],
    ['a base offset', nonZeroBase, 87],
    ['nothing', Buffer.alloc(0), 87],
    ['a batch above max.message.bytes', simple('x'.repeat(3_000)), 10],
    ['a time more than an hour ahead', clientBatch({ records: [['k', 'v']], timestamp: Date.now() + 7_200_000 }), 32],
    ['a transactional batch outside a transaction', clientBatch({ records: [['k', 'v']], producerId: 4, transactional: true }), 48],
  ])('%s', async (_, records, code) => {
    const { client } = await start();
    await createTopic(client, 't', { 'max.message.bytes': '2000' });
    expect((await produce(client, 't', records))?.errorCode).toBe(code);
    expect(await values(client, 't')).toEqual([]);
  });

  test('a record without a key on a compacted topic, and says which', async () => {
    const { client } = await start();
    await createTopic(client, 't', { 'cleanup.policy': 'compact' });
    const answer = await produce(
      client,
      't',
      clientBatch({
        records: [
          ['k', 'v'],
          [null, 'v'],
        ],
      }),
    );
    expect(answer).toMatchObject({ errorCode: 87, recordErrors: [{ batchIndex: 1 }] });
  });

  test('unknown topics, internal topics and odd acks', async () => {
    const { client } = await start();
    await createTopic(client, 't');
    expect((await produce(client, 'missing', simple('v')))?.errorCode).toBe(3);
    expect((await produce(client, '__consumer_offsets', simple('v')))?.errorCode).toBe(17);
    expect((await produce(client, 't', simple('v'), 2))?.errorCode).toBe(21);
  });
});

describe('produce', () => {
  test('with LogAppendTime stamps the batch and says so', async () => {
    const { client } = await start();
    await createTopic(client, 't', { 'message.timestamp.type': 'LogAppendTime' });
    const answer = await produce(client, 't', clientBatch({ records: [['k', 'v']], timestamp: 5 }));
    expect(answer?.logAppendTimeMs).toBeGreaterThan(1_000_000);
    const { responses } = await client.ask(APIS.fetch, 12, fetchBody('t', 0));
    const records = responses[0]?.partitions[0]?.records as Buffer;
    expect(readBatches(records, 0, records.length, { checkCrc: true })[0]).toMatchObject({ logAppendTime: true, maxTimestamp: answer?.logAppendTimeMs });
  });

  test('waits for the device when told to: what was acknowledged outlives a power loss', async () => {
    const ports = testPorts();
    const { client } = await start(ports, { fsync: 'perBatchGroup' });
    started.pop(); // its disk dies with the power
    await createTopic(client, 't');
    expect((await produce(client, 't', simple('a')))?.errorCode).toBe(0);
    ports.disk.crash('drop');
    const again = await start(testPorts(ports.disk), { fsync: 'perBatchGroup' });
    expect(await values(again.client, 't')).toEqual(['a']);
  });
});

describe('fetch', () => {
  test('below the log start or past the log end is out of range; at the log end it is empty', async () => {
    const { client } = await start();
    await createTopic(client, 't');
    await produce(client, 't', simple('a'));
    for (const [offset, code] of [
      [1, 0],
      [2, 1],
    ] as const)
      expect((await client.ask(APIS.fetch, 12, fetchBody('t', offset))).responses[0]?.partitions[0]?.errorCode).toBe(code);
    await client.ask(APIS.deleteRecords, 2, { topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: -1 }] }], timeoutMs: 1_000 });
    expect((await client.ask(APIS.fetch, 12, fetchBody('t', 0))).responses[0]?.partitions[0]).toMatchObject({ errorCode: 1, logStartOffset: -1 });
  });

  test('by topic id from version 13, an unknown one is said per partition', async () => {
    const { client } = await start();
    const topicId = await createTopic(client, 't');
    await produce(client, 't', simple('a'));
    const ask = (id: string) =>
      client.ask(APIS.fetch, 13, fetchBody('', 0, { topics: [{ topicId: id, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }] }));
    expect((await ask(topicId)).responses[0]).toMatchObject({ topicId, partitions: [{ errorCode: 0, highWatermark: 1 }] });
    expect((await ask('BBBBBBBBBBBBBBBBBBBBBB')).responses[0]?.partitions[0]?.errorCode).toBe(100);
  });

  test('sessions are declined', async () => {
    const { client } = await start();
    await createTopic(client, 't');
    expect((await client.ask(APIS.fetch, 12, fetchBody('t', 0, { sessionId: 0, sessionEpoch: 0 }))).sessionId).toBe(0);
    expect((await client.ask(APIS.fetch, 12, fetchBody('t', 0, { sessionId: 5, sessionEpoch: 1 }))).errorCode).toBe(70);
  });

  test('a topic deleted while a fetch is parked on it answers the fetch', async () => {
    const { client, broker, ports } = await start();
    const second = await RawClient.connect(ports, broker.port);
    await createTopic(client, 't');
    const parked = client.ask(APIS.fetch, 12, fetchBody('t', 0, { maxWaitMs: 60_000 }));
    await second.ask(APIS.deleteTopics, 6, { topics: [{ name: 't', topicId: NO_UUID }], timeoutMs: 1_000 });
    expect((await parked).responses[0]?.partitions[0]?.errorCode).toBe(3);
  });
});

describe('topics', () => {
  test('metadata creates a named topic when it may, and says unknown when it may not', async () => {
    const { client } = await start(testPorts(), { partitions: 3 });
    const ask = async (name: string, allowAutoTopicCreation: boolean) =>
      (await client.ask(APIS.metadata, 12, { topics: [{ name }], allowAutoTopicCreation })).topics[0];
    expect(await ask('t', false)).toMatchObject({ errorCode: 3 });
    expect(await ask('t', true)).toMatchObject({ errorCode: 0, partitions: { length: 3 } });
    expect(await ask('no/slash', true)).toMatchObject({ errorCode: 17 });
    const all = await client.ask(APIS.metadata, 12, { topics: null });
    expect(all.topics.filter(({ isInternal }) => !isInternal).map(({ name }) => name)).toEqual(['t']);
  });

  test('deleted and created again, a topic is empty and has a new id', async () => {
    const { client } = await start();
    const first = await createTopic(client, 't');
    await produce(client, 't', simple('old'));
    await client.ask(APIS.deleteTopics, 6, { topics: [{ name: 't', topicId: NO_UUID }], timeoutMs: 1_000 });
    expect(await createTopic(client, 't')).not.toBe(first);
    expect(await values(client, 't')).toEqual([]);
  });

  test.each([
    ['twice the same name', { name: 't' }, 36],
    ['an illegal name', { name: 'a b' }, 17],
    ['a name that collides', { name: 'x_y' }, 17],
    ['no partitions', { name: 'n', numPartitions: 0 }, 37],
    ['two replicas', { name: 'n', replicationFactor: 2 }, 38],
    ['an unknown setting', { name: 'n', configs: [{ name: 'nope', value: '1' }] }, 40],
    ['a wrong value', { name: 'n', configs: [{ name: 'retention.ms', value: 'soon' }] }, 40],
    ['a foreign broker', { name: 'n', numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: [7] }] }, 39],
  ])('creating one with %s is refused', async (_, asked, code) => {
    const { client } = await start();
    await createTopic(client, 't');
    await createTopic(client, 'x.y');
    const topic = { numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...asked };
    expect((await client.ask(APIS.createTopics, 7, { topics: [topic] })).topics[0]?.errorCode).toBe(code);
  });

  test('settings can be described, replaced, changed one by one, and last over a restart', async () => {
    const ports = testPorts();
    const { client, broker } = await start(ports);
    await createTopic(client, 't', { 'retention.ms': '1000' });
    const resource = { resourceType: 2, resourceName: 't' };
    const change = (name: string, configOperation: number, value: string | null) =>
      client.ask(APIS.incrementalAlterConfigs, 1, { resources: [{ ...resource, configs: [{ name, configOperation, value }] }], validateOnly: false });
    expect((await change('cleanup.policy', 2, 'compact')).responses[0]?.errorCode).toBe(0);
    expect((await change('retention.ms', 1, null)).responses[0]?.errorCode).toBe(0);
    expect((await change('retention.ms', 0, 'x')).responses[0]?.errorCode).toBe(40);
    await broker.close();
    const again = await start(ports);
    const { results } = await again.client.ask(APIS.describeConfigs, 4, {
      resources: [{ ...resource, configurationKeys: ['cleanup.policy', 'retention.ms'] }],
      includeSynonyms: true,
    });
    expect(results[0]?.configs.map(({ name, value, configSource }) => [name, value, configSource])).toEqual([
      ['cleanup.policy', 'delete,compact', 1],
      ['retention.ms', '604800000', 5],
    ]);
    expect((await again.client.ask(APIS.alterConfigs, 2, { resources: [{ ...resource, configs: [] }], validateOnly: false })).responses[0]?.errorCode).toBe(0);
    const after = await again.client.ask(APIS.describeConfigs, 4, { resources: [{ ...resource, configurationKeys: ['cleanup.policy'] }] });
    expect(after.results[0]?.configs[0]?.value).toBe('delete');
  });

  test('partitions can be added, never taken away', async () => {
    const { client } = await start();
    await createTopic(client, 't', {}, 2);
    const grow = async (count: number) =>
      (await client.ask(APIS.createPartitions, 3, { topics: [{ name: 't', count, assignments: null }], timeoutMs: 1_000, validateOnly: false })).results[0]
        ?.errorCode;
    expect(await grow(2)).toBe(37);
    expect(await grow(4)).toBe(0);
    expect((await client.ask(APIS.metadata, 12, { topics: [{ name: 't' }] })).topics[0]?.partitions.length).toBe(4);
  });

  test('records are deleted up to the watermark, but not on a compacted topic', async () => {
    const { client } = await start();
    await createTopic(client, 't');
    await createTopic(client, 'c', { 'cleanup.policy': 'compact' });
    await produce(client, 't', simple('a'));
    const remove = async (name: string, offset: number) =>
      (await client.ask(APIS.deleteRecords, 2, { topics: [{ name, partitions: [{ partitionIndex: 0, offset }] }], timeoutMs: 1_000 })).topics[0]?.partitions[0];
    expect(await remove('t', 2)).toMatchObject({ errorCode: 1 });
    expect(await remove('t', 1)).toMatchObject({ errorCode: 0, lowWatermark: 1 });
    expect(await remove('c', 0)).toMatchObject({ errorCode: 44 });
  });
});

describe('offsets', () => {
  test('special timestamps are known by version', async () => {
    const { client } = await start();
    await createTopic(client, 't');
    await produce(
      client,
      't',
      clientBatch({
        records: [
          ['a', '1'],
          ['b', '2'],
        ],
        timestamps: [50, 20],
      }),
    );
    const list = async (version: number, timestamp: number) => {
      const { topics } = await client.ask(APIS.listOffsets, version, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }],
      });
      const found = topics[0]?.partitions[0];
      return [found?.errorCode, found?.offset, found?.timestamp];
    };
    expect(await list(9, -1)).toEqual([0, 2, -1]);
    expect(await list(9, -2)).toEqual([0, 0, -1]);
    expect(await list(9, -3)).toEqual([0, 0, 50]);
    expect(await list(6, -3)).toEqual([35, -1, -1]);
    expect(await list(9, -5)).toEqual([0, -1, -1]);
    expect(await list(9, 51)).toEqual([0, -1, -1]);
    expect(await list(9, -9)).toEqual([35, -1, -1]);
  });
});

describe('the data directory', () => {
  async function fails(disk: MemoryDisk): Promise<MillraceError> {
    const error = await startBroker({ dataDir: '/data' }, testPorts(disk)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!MillraceError.is(error)) throw new Error(`no MillraceError: ${String(error)}`);
    return error;
  }

  test('is held by one broker at a time, and free after the close', async () => {
    const { broker, ports } = await start();
    expect(await fails(ports.disk)).toMatchObject({ code: 'ERR_DATA_DIR', message: expect.stringContaining('another process has it') });
    await broker.close();
    await start(testPorts(ports.disk));
  });

  test.each([
    ['the format is another one', '/data/format', JSON.stringify({ format: 'millrace-broker', version: 99 }), 'format version 99'],
    ['the format file is no JSON', '/data/format', '{', '/data/format'],
    ['the metadata is cut', '/data/meta.json', '{"version":1', '/data/meta.json'],
  ])('is refused, naming the file, when %s', async (_, file, content, named) => {
    const { broker, ports } = await start();
    await broker.close();
    ports.disk.replaceWhole(file, Buffer.from(content));
    expect(await fails(ports.disk)).toMatchObject({ code: 'ERR_DATA_DIR', message: expect.stringContaining(named) });
  });

  test('with a damaged topic description is refused, naming it', async () => {
    const { client, broker, ports } = await start();
    await createTopic(client, 't');
    await broker.close();
    const [uuid] = ports.disk.list('/data/topics').map(({ name }) => name);
    ports.disk.replaceWhole(`/data/topics/${uuid}/topic.json`, Buffer.from('garbage'));
    expect(await fails(ports.disk)).toMatchObject({ code: 'ERR_DATA_DIR', where: { file: `/data/topics/${uuid}/topic.json` } });
  });

  test('that belongs to somebody else is left alone', async () => {
    const disk = memoryDisk();
    disk.makeDirectory('/data');
    disk.replaceWhole('/data/thesis.txt', Buffer.from('precious'));
    expect(await fails(disk)).toMatchObject({ code: 'ERR_DATA_DIR', message: expect.stringContaining('thesis.txt') });
    expect(disk.list('/data').map(({ name }) => name)).toContain('thesis.txt');
  });

  test('remembers topics, ids and records over a clean close, without raising the epoch', async () => {
    const ports = testPorts();
    const { client, broker } = await start(ports);
    const id = await createTopic(client, 't');
    await produce(client, 't', simple('kept'));
    await broker.close();
    const again = await start(ports);
    expect(again.broker.recovered).toBe(false);
    expect(again.broker.clusterId).toBe(broker.clusterId);
    expect(await values(again.client, 't')).toEqual(['kept']);
    expect((await again.client.ask(APIS.metadata, 12, { topics: [{ name: 't' }] })).topics[0]).toMatchObject({ topicId: id, partitions: [{ leaderEpoch: 0 }] });
  });

  test('after a kill keeps what was acknowledged and raises the epoch, whose beginning a client can ask for', async () => {
    const ports = testPorts();
    const { client } = await start(ports);
    started.pop();
    await createTopic(client, 't');
    await produce(client, 't', simple('a'));
    ports.disk.kill();
    const again = await start(testPorts(ports.disk));
    expect(again.broker.recovered).toBe(true);
    await produce(again.client, 't', simple('b'));
    expect(await values(again.client, 't')).toEqual(['a', 'b']);
    const end = async (currentLeaderEpoch: number, leaderEpoch: number) =>
      (await again.client.ask(APIS.offsetForLeaderEpoch, 4, { topics: [{ topic: 't', partitions: [{ partition: 0, currentLeaderEpoch, leaderEpoch }] }] }))
        .topics[0]?.partitions[0];
    expect(await end(1, 0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 1 });
    expect(await end(1, 1)).toMatchObject({ errorCode: 0, leaderEpoch: 1, endOffset: 2 });
    expect(await end(0, 0)).toMatchObject({ errorCode: 74 });
    expect(await end(2, 0)).toMatchObject({ errorCode: 75 });
  });

  test('a topic whose creation or deletion was cut short is not there at the next start', async () => {
    const ports = testPorts();
    const { broker } = await start(ports);
    await broker.close();
    ports.disk.makeDirectory('/data/topics/half-made/0');
    const again = await start(ports);
    expect((await again.client.ask(APIS.metadata, 12, { topics: null })).topics.filter(({ isInternal }) => !isInternal)).toEqual([]);
    expect(ports.disk.exists('/data/topics/half-made')).toBe(false);
  });

  test('is given free when the port is taken, and the next start is clean', async () => {
    const ports = testPorts();
    const { broker } = await start(ports);
    const other = startBroker({ dataDir: '/other', port: broker.port }, ports);
    await expect(other).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
    expect((await start(ports, { dataDir: '/other' })).broker.recovered).toBe(false);
  });
});
