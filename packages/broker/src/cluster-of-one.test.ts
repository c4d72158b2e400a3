// What tools ask of brokers that could be many: the answers of one that is alone, in every version it offers.
import { memoryDisk } from '@millrace/core';
import { APIS, type Api, ERROR_CODES, NO_UUID, type ResponseBody } from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { startBroker } from './broker.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

const E = ERROR_CODES;
const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function start(topics: Readonly<Record<string, number>> = { t: 2 }): Promise<RawClient> {
  const ports = testPorts(memoryDisk());
  const broker = await startBroker({ dataDir: '/data' }, ports);
  const client = await RawClient.connect(ports, broker.port);
  opened.push(broker, client);
  const asked = Object.entries(topics).map(([name, numPartitions]) => ({ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }));
  await client.ask(APIS.createTopics, 7, { topics: asked });
  return client;
}
const offered = ({ versions, advertised }: Api): number[] => {
  const first = Math.max(versions.min, advertised.min);
  return Array.from({ length: advertised.max - first + 1 }, (_, index) => first + index);
};
const transactional = { records: [['k', 'v']] as const, producerId: 7, transactional: true };

test('log directories show every partition with its bytes, or those asked for', async () => {
  const client = await start();
  const records = clientBatch({ records: [['k', 'v']] });
  await client.ask(APIS.produce, 9, { acks: -1, timeoutMs: 1, topicData: [{ name: 't', partitionData: [{ index: 1, records }] }] });
  for (const version of offered(APIS.describeLogDirs)) {
    const all = await client.ask(APIS.describeLogDirs, version, { topics: null });
    expect(all).toMatchObject({ errorCode: 0, results: [{ errorCode: 0, logDir: '/data', totalBytes: -1 }] });
    const size = (topic: string) => all.results[0]?.topics.find(({ name }) => name === topic)?.partitions.map(({ partitionSize }) => partitionSize);
    expect(size('t')).toEqual([0, records.length]);
    expect(size('__consumer_offsets')?.length).toBeGreaterThan(0);
    const one = await client.ask(APIS.describeLogDirs, version, {
      topics: [
        { topic: 't', partitions: [1, 9] },
        { topic: 'missing', partitions: [0] },
      ],
    });
    expect(one.results[0]?.topics).toMatchObject([{ name: 't', partitions: [{ partitionIndex: 1, partitionSize: records.length }] }]);
  }
});

test('partitions cannot move: to another directory, another broker, another leader', async () => {
  const client = await start();
  for (const version of offered(APIS.alterReplicaLogDirs)) {
    const dir = (path: string) => ({ path, topics: [{ name: 't', partitions: [0, 9] }] });
    const { results } = await client.ask(APIS.alterReplicaLogDirs, version, { dirs: [dir('/data'), dir('/other')] });
    const codes = results.map(({ partitions }) => partitions.map(({ errorCode }) => errorCode));
    expect(codes).toEqual([
      [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION],
      [E.LOG_DIR_NOT_FOUND, E.LOG_DIR_NOT_FOUND],
    ]);
  }
  for (const version of offered(APIS.electLeaders)) {
    const { replicaElectionResults } = await client.ask(APIS.electLeaders, version, { topicPartitions: [{ topic: 't', partitions: [0, 9] }] });
    expect(replicaElectionResults[0]?.partitionResult.map(({ errorCode }) => errorCode)).toEqual([E.ELECTION_NOT_NEEDED, E.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(await client.ask(APIS.electLeaders, version, { topicPartitions: null })).toMatchObject({ errorCode: 0, replicaElectionResults: [] });
  }
  for (const version of offered(APIS.alterPartitionReassignments)) {
    const move = (partitionIndex: number, replicas: number[] | null) => ({ partitionIndex, replicas });
    const topics = [{ name: 't', partitions: [move(0, [1]), move(0, [2]), move(0, [1, 2]), move(0, null), move(9, [1])] }];
    const { responses } = await client.ask(APIS.alterPartitionReassignments, version, { topics });
    const refused = [E.INVALID_REPLICA_ASSIGNMENT, E.INVALID_REPLICA_ASSIGNMENT, E.NO_REASSIGNMENT_IN_PROGRESS, E.UNKNOWN_TOPIC_OR_PARTITION];
    expect(responses[0]?.partitions.map(({ errorCode }) => errorCode)).toEqual([E.NONE, ...refused]);
  }
  expect(await client.ask(APIS.listPartitionReassignments, 0, { topics: null })).toMatchObject({ errorCode: 0, topics: [] });
});

test('the quorum is this broker, and features stay at their level', async () => {
  const client = await start();
  for (const version of offered(APIS.describeQuorum)) {
    const topics = ['__cluster_metadata', 't'].map((topicName) => ({ topicName, partitions: [{ partitionIndex: 0 }] }));
    const [quorum, other] = (await client.ask(APIS.describeQuorum, version, { topics })).topics;
    expect(quorum?.partitions[0]).toMatchObject({ errorCode: 0, leaderId: 1, currentVoters: [{ replicaId: 1 }], observers: [] });
    expect(other?.partitions[0]?.errorCode).toBe(E.UNKNOWN_TOPIC_OR_PARTITION);
  }
  for (const version of offered(APIS.updateFeatures)) {
    const set = (feature: string, maxVersionLevel: number) => client.ask(APIS.updateFeatures, version, { featureUpdates: [{ feature, maxVersionLevel }] });
    expect((await set('transaction.version', 2)).errorCode).toBe(E.NONE);
    expect((await set('transaction.version', 1)).errorCode).toBe(E.INVALID_UPDATE_VERSION);
    expect((await set('other', 1)).errorCode).toBe(E.INVALID_UPDATE_VERSION);
  }
});

test('resources with settings are listed by type; a type that is not known is unsupported', async () => {
  const client = await start();
  expect((await client.ask(APIS.listConfigResources, 0, {})).configResources).toEqual([]);
  const list = (...resourceTypes: number[]) => client.ask(APIS.listConfigResources, 1, { resourceTypes });
  expect((await list(4)).configResources).toEqual([{ resourceName: '1', resourceType: 4 }]);
  expect((await list(2)).configResources).toContainEqual({ resourceName: 't', resourceType: 2 });
  expect((await list()).configResources.map(({ resourceType }) => resourceType)).toEqual(expect.arrayContaining([2, 4, 8]));
  expect((await list(3)).errorCode).toBe(E.UNSUPPORTED_VERSION);
});

describe('DescribeTopicPartitions', () => {
  test('goes through all partitions page by page, each once, in order of names', async () => {
    const client = await start({ b: 3, a: 2, c: 1 });
    const names = ['c', 'a', 'b', 'missing', 'a'].map((name) => ({ name }));
    for (const responsePartitionLimit of [1, 2, 3, 5, 6, 100]) {
      const seen: string[] = [];
      let cursor: { topicName: string; partitionIndex: number } | null = null;
      for (let page = 0; page < 20; page++) {
        const answer: ResponseBody<typeof APIS.describeTopicPartitions> = await client.ask(APIS.describeTopicPartitions, 0, {
          topics: names,
          responsePartitionLimit,
          cursor,
        });
        const found = answer.topics.flatMap(({ name, partitions }) => partitions.map(({ partitionIndex }) => `${name}${partitionIndex}`));
        expect(found.length).toBeLessThanOrEqual(responsePartitionLimit);
        seen.push(...found);
        cursor = answer.nextCursor ?? null;
        if (cursor === null) break;
      }
      expect(seen).toEqual(['a0', 'a1', 'b0', 'b1', 'b2', 'c0']);
    }
  });

  test('says what does not exist, and tells of every topic when none is named', async () => {
    const client = await start();
    const one = await client.ask(APIS.describeTopicPartitions, 0, { topics: [{ name: 'missing' }] });
    expect(one.topics).toMatchObject([{ errorCode: E.UNKNOWN_TOPIC_OR_PARTITION, name: 'missing', topicId: NO_UUID }]);
    const all = await client.ask(APIS.describeTopicPartitions, 0, { topics: [] });
    expect(all.topics.map(({ name, isInternal }) => [name, isInternal])).toEqual([
      ['__consumer_offsets', true],
      ['__transaction_state', true],
      ['t', false],
    ]);
  });
});

test('transactional ids are listed by a pattern of the whole id; what is no pattern is told so', async () => {
  const client = await start();
  for (const transactionalId of ['orders-1', 'orders-2', 'other'])
    await client.ask(APIS.initProducerId, 5, { transactionalId, transactionTimeoutMs: 60_000, producerEpoch: -1 });
  const list = async (transactionalIdPattern: string | null) => {
    const answer = await client.ask(APIS.listTransactions, 2, { stateFilters: [], producerIdFilters: [], transactionalIdPattern });
    return answer.errorCode === 0 ? answer.transactionStates.map(({ transactionalId }) => transactionalId).sort() : answer.errorCode;
  };
  expect(await list('orders-.*')).toEqual(['orders-1', 'orders-2']);
  expect(await list('orders')).toEqual([]);
  expect(await list('(')).toBe(E.INVALID_REGULAR_EXPRESSION);
  for (const none of [null, '']) expect(await list(none)).toHaveLength(3);
  expect(await list(`${'(a*)*'.repeat(20)}b`)).toBeDefined(); // answers at once, whatever it says
});

describe('WriteTxnMarkers', () => {
  test('ends a transaction that hangs in a partition, and refuses an older epoch', async () => {
    for (const version of offered(APIS.writeTxnMarkers)) {
      const client = await start();
      const { producerId } = await client.ask(APIS.initProducerId, 5, { transactionalId: 'x', transactionTimeoutMs: 60_000, producerEpoch: -1 });
      const who = { transactionalId: 'x', producerId, producerEpoch: 0 };
      const records = clientBatch({ ...transactional, producerId });
      await client.ask(APIS.produce, 12, { transactionalId: 'x', acks: -1, timeoutMs: 1, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] });
      const write = async (producerEpoch: number, partition: number) => {
        const topics = [{ name: 't', partitionIndexes: [partition] }];
        const marker = { producerId, producerEpoch, transactionResult: false, topics, coordinatorEpoch: 0 };
        return (await client.ask(APIS.writeTxnMarkers, version, { markers: [marker] })).markers[0]?.topics[0]?.partitions[0]?.errorCode;
      };
      const stable = async () => {
        const topics = [{ name: 't', partitions: [{ partitionIndex: 0, timestamp: -1 }] }];
        return (await client.ask(APIS.listOffsets, 9, { replicaId: -1, isolationLevel: 1, topics })).topics[0]?.partitions[0]?.offset;
      };
      expect([await stable(), await write(0, 9)]).toEqual([0, E.UNKNOWN_TOPIC_OR_PARTITION]);
      expect([await write(1, 0), await stable(), await write(0, 0)]).toEqual([E.NONE, 2, E.INVALID_PRODUCER_EPOCH]);
      expect((await client.ask(APIS.endTxn, 5, { ...who, committed: false })).errorCode).toBe(E.NONE);
    }
  });
});
