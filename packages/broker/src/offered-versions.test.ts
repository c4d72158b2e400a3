// What this broker offers, against what the clients it is for need: no API and no version may go missing, and each that is offered is served.
// The ranges are those of protocol.md's survey: KafkaJS, platformatic, librdkafka with its map of features, Java 3.9 and 4.x, and Kafka's tools.
import { APIS, type Api, type RequestInput } from '@millrace/protocol';
import { afterEach, expect, test } from 'vitest';
import { startBroker } from './broker.ts';
import { RawClient, testPorts } from './testing/raw-client.ts';

type Name = keyof typeof APIS;
type Range = readonly [min: number, max: number];

/** At least these versions, by the name of the API. */
const NEEDED: Readonly<Record<Name, Range>> = {
  ...{ produce: [0, 12], fetch: [4, 17], listOffsets: [1, 11], metadata: [0, 12] },
  ...{ offsetCommit: [2, 9], offsetFetch: [1, 9], findCoordinator: [0, 6] },
  ...{ joinGroup: [0, 9], heartbeat: [0, 4], leaveGroup: [0, 5], syncGroup: [0, 5], describeGroups: [0, 5], listGroups: [0, 5] },
  ...{ saslHandshake: [0, 1], apiVersions: [0, 4], saslAuthenticate: [0, 2] },
  ...{ createTopics: [2, 7], deleteTopics: [1, 6], deleteRecords: [0, 2], createPartitions: [0, 3] },
  ...{ initProducerId: [0, 5], addPartitionsToTxn: [0, 3], addOffsetsToTxn: [0, 4], endTxn: [0, 5], txnOffsetCommit: [0, 5], writeTxnMarkers: [1, 1] },
  ...{ offsetForLeaderEpoch: [2, 4], describeConfigs: [1, 4], alterConfigs: [0, 2], incrementalAlterConfigs: [0, 1] },
  ...{ deleteGroups: [0, 2], offsetDelete: [0, 0], describeCluster: [0, 1], describeTopicPartitions: [0, 0], describeProducers: [0, 0] },
  ...{ describeTransactions: [0, 0], listTransactions: [0, 2], consumerGroupHeartbeat: [0, 1], consumerGroupDescribe: [0, 1] },
  ...{ describeAcls: [1, 3], createAcls: [1, 3], deleteAcls: [1, 3], describeClientQuotas: [0, 1], alterClientQuotas: [0, 1] },
  ...{ describeUserScramCredentials: [0, 0], alterUserScramCredentials: [0, 0] },
  ...{ describeLogDirs: [1, 4], alterReplicaLogDirs: [1, 2], electLeaders: [0, 2], describeQuorum: [0, 2], updateFeatures: [0, 2] },
  ...{ alterPartitionReassignments: [0, 0], listPartitionReassignments: [0, 0], listConfigResources: [0, 1] },
};
/** More would be wrong: from 4 on brokers speak it to each other, and clients that take it then need the right to cluster actions. */
const NOT_BEYOND: Partial<Record<Name, number>> = { addPartitionsToTxn: 3 };

/** Where a default will not do: acks 0 wants no answer, and null was not always allowed. */
const SPELLED_OUT: Readonly<Record<number, object>> = {
  [APIS.produce.key]: { acks: -1 },
  [APIS.metadata.key]: { topics: [] },
  [APIS.offsetFetch.key]: { topics: [] },
};

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function start(): Promise<{ connect(): Promise<RawClient> }> {
  const ports = testPorts();
  const broker = await startBroker({ dataDir: '/data' }, ports);
  opened.push(broker);
  return {
    async connect() {
      const client = await RawClient.connect(ports, broker.port);
      opened.push(client);
      return client;
    },
  };
}

test('every API is offered in every version that its clients need', async () => {
  const client = await (await start()).connect();
  const { apiKeys, finalizedFeatures } = await client.ask(APIS.apiVersions, 4, { clientSoftwareName: 'test', clientSoftwareVersion: '1' });
  const offered = new Map(apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]));
  const short: string[] = [];
  for (const [name, [min, max]] of Object.entries(NEEDED) as [Name, Range][]) {
    const [from, to] = offered.get(APIS[name].key) ?? [Number.POSITIVE_INFINITY, -1];
    const most = NOT_BEYOND[name] ?? Number.POSITIVE_INFINITY;
    if ((from as number) > min || (to as number) < max || (to as number) > most) short.push(`${name}: needed ${min}-${max}, offered ${from}-${to}`);
  }
  expect(short).toEqual([]);
  expect(offered.size).toBe(Object.keys(NEEDED).length);
  expect(finalizedFeatures).toContainEqual({ name: 'transaction.version', maxVersionLevel: 2, minVersionLevel: 2 });
});

test('every version that is offered is answered, and the answer is read to its last byte', { timeout: 20_000 }, async () => {
  const broker = await start();
  const silent: string[] = [];
  for (const known of Object.values(APIS) as readonly Api[])
    for (let version = Math.max(known.versions.min, known.advertised.min); version <= known.advertised.max; version++) {
      const client = await broker.connect();
      // Sound: fields that are left out are written as their defaults.
      const answer = client.ask(known, version, (SPELLED_OUT[known.key] ?? {}) as RequestInput<Api>).then(() => 'answered');
      if ((await Promise.race([answer, client.closed])) !== 'answered') silent.push(`${known.name} ${version}`);
    }
  expect(silent).toEqual([]);
});
