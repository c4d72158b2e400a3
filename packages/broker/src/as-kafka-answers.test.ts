// Answers that Apache Kafka gives to requests that are wrong, or nearly, each seen there by npm run compare: which error is said, and which first.
import { APIS, type Api } from '@millrace/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from './broker.ts';
import { clientBatch } from './testing/log-fixture.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

let broker: Broker;
let client: RawClient;

beforeAll(async () => {
  const ports = testPorts();
  broker = await startBroker({ dataDir: '/data', autoCreateTopics: false }, ports);
  client = await RawClient.connect(ports, broker.port);
  await client.ask(APIS.createTopics, 7, { topics: [{ name: 't', numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }] });
});
afterAll(() => broker.close());

const ask = (api: Api, version: number, body: object): Promise<object> => client.ask(api, version, body as never) as Promise<object>;
const offsets = (topic: string, partition = 0) => [{ name: topic, partitions: [{ partitionIndex: partition, committedOffset: 1, committedMetadata: '' }] }];
const creation = (change: object) => ({ topics: [{ name: 'new', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...change }] });
const resource = (name: string, configs: readonly object[]) => ({ resources: [{ resourceType: 2, resourceName: name, configs }], validateOnly: false });
const fetchOf = (change: object, fetchOffset = 0, topic = 't') => ({
  ...{ maxWaitMs: 0, minBytes: 0, maxBytes: 1_000 },
  topics: [{ topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000 }] }],
  ...change,
});
const records = clientBatch({ records: [['k', 'v']], producerId: 77, epoch: 0, sequence: 0, transactional: true });
const produceOf = (name: string, acks: number) => ({
  ...{ acks, timeoutMs: 1_000, transactionalId: 'nobody' },
  topicData: [{ name, partitionData: [{ index: 0, records: Buffer.from(records) }] }],
});
const inPartition = (errorCode: number) => ({ topics: [{ partitions: [{ errorCode }] }] });

describe('an answer', () => {
  test.each<[what: string, api: Api, version: number, body: object, answer: object]>([
    ['a fetch that ends a session is served', APIS.fetch, 12, fetchOf({ sessionId: 9, sessionEpoch: -1 }), { errorCode: 0, sessionId: 0 }],
    ['a fetch that goes on with one is not', APIS.fetch, 12, fetchOf({ sessionId: 0, sessionEpoch: 5 }), { errorCode: 70, responses: [] }],
    [
      'beside a fetch error nothing is said of the log',
      ...([APIS.fetch, 12, fetchOf({}, 99)] as const),
      { responses: [{ partitions: [{ errorCode: 1, highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }] }] },
    ],
    [
      'a special time that the version lacks is told before a missing topic',
      APIS.listOffsets,
      2,
      { replicaId: -1, topics: [{ name: 'none', partitions: [{ partitionIndex: 0, timestamp: -4 }] }] },
      inPartition(35),
    ],
    ['acks that do not exist come after a missing topic', APIS.produce, 9, produceOf('none', 5), { responses: [{ partitionResponses: [{ errorCode: 3 }] }] }],
    ['a producer that the coordinator does not know', APIS.produce, 9, produceOf('t', -1), { responses: [{ partitionResponses: [{ errorCode: 49 }] }] }],
    [
      'a missing partition of a commit comes before a wrong generation',
      APIS.offsetCommit,
      8,
      { groupId: 'g', generationIdOrMemberEpoch: 3, memberId: 'm', topics: offsets('t', 9) },
      inPartition(3),
    ],
    [
      'and before an unknown producer',
      APIS.txnOffsetCommit,
      3,
      { transactionalId: 'x', groupId: 'g', producerId: 1, producerEpoch: 0, topics: offsets('none') },
      inPartition(3),
    ],
    ['a sync that names no protocol', APIS.syncGroup, 5, { groupId: 'g', generationId: 1, memberId: 'm', assignments: [] }, { errorCode: 23 }],
    ['a topic that is there, with everything else wrong', APIS.createTopics, 7, creation({ name: 't', replicationFactor: 7 }), { topics: [{ errorCode: 36 }] }],
    [
      'a wrong setting before a wrong number',
      APIS.createTopics,
      7,
      creation({ numPartitions: 0, configs: [{ name: 'no', value: '1' }] }),
      { topics: [{ errorCode: 40 }] },
    ],
    ['a wrong number before too many replicas', APIS.createTopics, 7, creation({ numPartitions: 0, replicationFactor: 2 }), { topics: [{ errorCode: 37 }] }],
    ['settings without a topic name', APIS.alterConfigs, 2, resource('', []), { responses: [{ errorCode: 42 }] }],
    [
      'a wrong setting of a topic that is not there',
      APIS.alterConfigs,
      2,
      resource('none', [{ name: 'retention.ms', value: 'soon' }]),
      { responses: [{ errorCode: 40 }] },
    ],
    ['the endpoints of controllers', APIS.describeCluster, 1, { includeClusterAuthorizedOperations: false, endpointType: 2 }, { errorCode: 114 }],
    ['what everybody may do to a cluster', APIS.describeCluster, 1, { includeClusterAuthorizedOperations: true }, { clusterAuthorizedOperations: 8096 }],
    [
      'what everybody may do to a group',
      APIS.describeGroups,
      5,
      { groups: ['g'], includeAuthorizedOperations: true },
      { groups: [{ authorizedOperations: 3400 }] },
    ],
  ])('%s', async (_, api, version, body, answer) => {
    expect(await ask(api, version, body)).toMatchObject(answer);
  });
});

test('a static member that joins while it is still there is refused; one that wants nothing raises no epoch', async () => {
  const enter = { memberEpoch: 0, rebalanceTimeoutMs: 1_000, topicPartitions: [] };
  const heartbeat = (groupId: string, subscribedTopicNames: readonly string[], instanceId: string | null) =>
    ask(APIS.consumerGroupHeartbeat, 1, { groupId, memberId: 'a', ...enter, subscribedTopicNames, instanceId });
  expect(await heartbeat('one', ['t'], 'i')).toMatchObject({ errorCode: 0, memberEpoch: 2 });
  expect(await heartbeat('one', ['t'], 'i')).toMatchObject({ errorCode: 111 });
  expect(await heartbeat('two', [], null)).toMatchObject({ errorCode: 0, memberEpoch: 1 });
});

test('cleanup.policy may be empty: nothing is deleted and nothing is compacted', async () => {
  const configs = [{ name: 'cleanup.policy', value: '' }];
  expect(await ask(APIS.createTopics, 7, creation({ name: 'kept', configs }))).toMatchObject({ topics: [{ errorCode: 0 }] });
});
