// What administrators ask: topics, settings, quotas, passwords, the one node that there is.
// Owns: the shapes.  Never: compares.
import { APIS } from '@millrace/protocol';
import { Known } from './side.ts';
import type { Ask, World } from './world.ts';

const made = (world: World): string => `made-${world.name}-${world.pick(0, 0, 1)}`;
const anyTopic = (world: World): string =>
  world.pick(made(world), made(world), made(world), world.ground.topic, 'no-such-topic', 'a b', '', '.', '..', 'x'.repeat(250), '__consumer_offsets');
const CONFIGS = [
  ['retention.ms', '1000000'],
  ['retention.ms', '-1'],
  ['retention.ms', '-2'],
  ['retention.ms', 'soon'],
  ['retention.bytes', '-1'],
  ['cleanup.policy', 'compact'],
  ['cleanup.policy', 'compact,delete'],
  ['cleanup.policy', 'shred'],
  ['cleanup.policy', ''],
  ['compression.type', 'zstd'],
  ['compression.type', 'none'],
  ['segment.bytes', '14'],
  ['segment.bytes', '1048576'],
  ['segment.bytes', '100000'],
  ['max.message.bytes', '0'],
  ['max.message.bytes', '-1'],
  ['min.insync.replicas', '0'],
  ['min.insync.replicas', '2'],
  ['message.timestamp.type', 'LogAppendTime'],
  ['message.timestamp.type', 'Never'],
  ['min.cleanable.dirty.ratio', '1.5'],
  ['min.cleanable.dirty.ratio', '0'],
  ['unclean.leader.election.enable', 'TRUE'],
  ['unclean.leader.election.enable', 'yes'],
  ['preallocate', 'true'],
  ['segment.index.bytes', '3'],
  ['flush.ms', '0'],
  ['flush.messages', '0'],
  ['delete.retention.ms', '-1'],
  ['file.delete.delay.ms', '-1'],
  ['max.compaction.lag.ms', '0'],
  ['min.compaction.lag.ms', '-1'],
  ['index.interval.bytes', '-1'],
  ['segment.ms', '0'],
  ['segment.jitter.ms', '-1'],
  ['message.timestamp.before.max.ms', '-1'],
  ['compression.gzip.level', '10'],
  ['compression.lz4.level', '0'],
  ['compression.zstd.level', '23'],
  ['local.retention.ms', '5'],
  ['remote.storage.enable', 'false'],
  ['message.format.version', '3.0'],
  ['message.downconversion.enable', 'true'],
  ['follower.replication.throttled.replicas', '*'],
  ['no.such.setting', '1'],
  ['', ''],
] as const;
const setting = (world: World): { name: string; value: string | null } => {
  const [name, value] = world.pick(...CONFIGS);
  return { name, value: world.once(12) ? null : value };
};

const createTopics = (world: World): Ask => ({
  api: APIS.createTopics,
  body: {
    topics: [
      {
        name: anyTopic(world),
        numPartitions: world.pick(1, 2, -1, 0, -2),
        replicationFactor: world.pick(1, 1, -1, 0, 2),
        assignments: world.pick<unknown>(
          [],
          [],
          [],
          [{ partitionIndex: 0, brokerIds: [1] }],
          [{ partitionIndex: 1, brokerIds: [1] }],
          [{ partitionIndex: 0, brokerIds: [9] }],
          [{ partitionIndex: 0, brokerIds: [] }],
        ),
        configs: world.pick<unknown>([], [setting(world)], [setting(world)]),
      },
    ],
    timeoutMs: 5_000,
    validateOnly: world.once(3),
  },
});
const deleteTopics = (world: World): Ask => {
  const name = made(world);
  return {
    api: APIS.deleteTopics,
    body: { topicNames: [name], topics: [world.once(3) ? { name: null, topicId: world.topicId('nothing') } : { name }], timeoutMs: 5_000 },
  };
};
const createPartitions = (world: World): Ask => ({
  api: APIS.createPartitions,
  body: {
    topics: [
      {
        name: world.pick(made(world), made(world), 'no-such-topic'),
        count: world.pick(1, 2, 3, 0, -1),
        assignments: world.pick<unknown>(null, null, [], [{ brokerIds: [1] }], [{ brokerIds: [9] }]),
      },
    ],
    timeoutMs: 5_000,
    validateOnly: world.once(2),
  },
});
const resource = (world: World): { resourceType: number; resourceName: string } =>
  world.pick(
    { resourceType: 2, resourceName: made(world) },
    { resourceType: 2, resourceName: made(world) },
    { resourceType: 2, resourceName: made(world) },
    { resourceType: 2, resourceName: 'no-such-topic' },
    { resourceType: 2, resourceName: '' },
    { resourceType: 4, resourceName: '77' },
    { resourceType: 4, resourceName: 'nobody' },
    { resourceType: 1, resourceName: 'x' },
    { resourceType: 99, resourceName: 'x' },
  );
const alterConfigs = (world: World): Ask => ({
  api: APIS.alterConfigs,
  body: { resources: [{ ...resource(world), configs: world.pick<unknown>([setting(world)], [setting(world)], []) }], validateOnly: world.once(2) },
});
const incrementalAlter = (world: World): Ask => ({
  api: APIS.incrementalAlterConfigs,
  body: {
    resources: [{ ...resource(world), configs: [{ ...setting(world), configOperation: world.pick(0, 0, 0, 1, 2, 3, 4) }] }],
    validateOnly: world.once(2),
  },
});
const describeConfigs = (world: World): Ask => ({
  api: APIS.describeConfigs,
  body: {
    resources: [{ ...resource(world), configurationKeys: world.pick(null, ['retention.ms'], ['no.such.setting'], []) }],
    includeSynonyms: world.once(2),
    includeDocumentation: false,
  },
});
const ENTITIES = [
  [{ entityType: 'user', entityName: 'eve' }],
  [{ entityType: 'user', entityName: null }],
  [{ entityType: 'client-id', entityName: 'app' }],
  [
    { entityType: 'user', entityName: 'eve' },
    { entityType: 'client-id', entityName: 'app' },
  ],
  [{ entityType: 'ip', entityName: '10.1.2.3' }],
  [{ entityType: 'ip', entityName: 'not an address!' }],
  [{ entityType: 'planet', entityName: 'mars' }],
  [],
] as const;
const alterQuotas = (world: World): Ask => ({
  api: APIS.alterClientQuotas,
  body: {
    entries: [
      {
        entity: world.pick<unknown>(...ENTITIES),
        ops: [
          {
            key: world.pick('producer_byte_rate', 'consumer_byte_rate', 'request_percentage', 'connection_creation_rate', 'nonsense'),
            value: world.pick(1_000_000_000, 0, -1, 0.5),
            remove: world.once(3),
          },
        ],
      },
    ],
    validateOnly: world.once(2),
  },
});
const describeQuotas = (world: World): Ask => ({
  api: APIS.describeClientQuotas,
  body: {
    components: [{ entityType: world.pick('user', 'client-id', 'ip', 'planet', ''), matchType: world.pick(0, 1, 2, 3), match: world.pick('eve', null, 'app') }],
    strict: world.once(2),
  },
});
const alterScram = (world: World): Ask => ({
  api: APIS.alterUserScramCredentials,
  body: {
    deletions: world.pick<unknown>([], [], [{ name: world.pick('eve', 'nobody', ''), mechanism: world.pick(1, 2, 0, 9) }]),
    upsertions: world.pick<unknown>(
      [],
      [
        {
          name: world.pick('eve', ''),
          mechanism: world.pick(1, 2, 0, 9),
          iterations: world.pick(4_096, 8_192, 100, 0, 100_000),
          salt: world.pick(Buffer.from('salt'), Buffer.alloc(0)),
          saltedPassword: world.pick(Buffer.alloc(32, 1), Buffer.alloc(0)),
        },
      ],
    ),
  },
});
const describeScram = (world: World): Ask => ({
  api: APIS.describeUserScramCredentials,
  body: { users: world.pick<unknown>([{ name: 'eve' }], [{ name: 'nobody' }], [{ name: '' }], [{ name: 'eve' }, { name: 'eve' }]) },
});
const acl = (world: World) => ({
  resourceType: world.pick(2, 3, 1, 0),
  resourceName: world.pick('t', ''),
  resourcePatternType: world.pick(3, 4, 1),
  principal: world.pick('User:eve', 'eve'),
  host: '*',
  operation: world.pick(3, 1, 0),
  permissionType: world.pick(3, 2, 1),
});
const createAcls = (world: World): Ask => ({ api: APIS.createAcls, body: { creations: [acl(world)] } });
const filter = (world: World) => ({
  resourceTypeFilter: world.pick(1, 2, 0),
  resourceNameFilter: world.pick(null, 't'),
  patternTypeFilter: world.pick(1, 2, 3, 0),
  principalFilter: null,
  hostFilter: null,
  operation: world.pick(1, 3, 0),
  permissionType: world.pick(1, 3, 0),
});
const describeAcls = (world: World): Ask => ({ api: APIS.describeAcls, body: filter(world) });
const deleteAcls = (world: World): Ask => ({ api: APIS.deleteAcls, body: { filters: [filter(world)] } });
const electLeaders = (world: World): Ask => ({
  api: APIS.electLeaders,
  body: { electionType: world.pick(0, 0, 1, 2), topicPartitions: [{ topic: world.topicName(), partitions: [world.partition()] }], timeoutMs: 5_000 },
});
const reassign = (world: World): Ask => ({
  api: APIS.alterPartitionReassignments,
  body: {
    timeoutMs: 5_000,
    topics: [{ name: world.topicName(), partitions: [{ partitionIndex: world.partition(), replicas: world.pick<unknown>([1], null, [9], [], [1, 1]) }] }],
  },
});
const listReassignments = (world: World): Ask => ({
  api: APIS.listPartitionReassignments,
  body: { timeoutMs: 5_000, topics: world.pick<unknown>(null, [{ name: world.topicName(), partitionIndexes: [world.partition()] }]) },
});
const updateFeatures = (world: World): Ask => ({
  api: APIS.updateFeatures,
  body: {
    timeoutMs: 5_000,
    featureUpdates: [
      {
        feature: world.pick('transaction.version', 'group.version', 'nonsense'),
        maxVersionLevel: world.pick(99, -1, 50),
        upgradeType: world.pick(1, 2, 3, 0, 9),
      },
    ],
    validateOnly: true,
  },
});
const describeLogDirs = (world: World): Ask => ({
  api: APIS.describeLogDirs,
  body: { topics: [{ topic: world.topicName(), partitions: [world.partition()] }] },
});
const alterLogDirs = (world: World): Ask => ({
  api: APIS.alterReplicaLogDirs,
  body: { dirs: [{ path: world.pick('/nowhere', '', 'relative'), topics: [{ name: world.topicName(), partitions: [world.partition()] }] }] },
});
const findCoordinator = (world: World): Ask => ({
  api: APIS.findCoordinator,
  body: { key: world.group, keyType: world.pick(0, 0, 1, 2, 9), coordinatorKeys: world.pick([world.group], [], [world.group, '']) },
});
const describeCluster = (world: World): Ask => ({
  api: APIS.describeCluster,
  body: { includeClusterAuthorizedOperations: false, endpointType: world.pick(1, 1, 2, 9) },
});
const listGroups = (world: World): Ask => ({
  api: APIS.listGroups,
  body: { statesFilter: [world.pick('Dead', 'Nonsense')], typesFilter: world.pick([], ['classic'], ['nonsense']) },
});
const listTransactions = (world: World): Ask => ({
  api: APIS.listTransactions,
  body: { stateFilters: [world.pick('Nonsense', 'Dead', '')], producerIdFilters: [9_999_999], transactionalIdPattern: world.pick(null, '(', 'x') },
});
const configResources = (world: World): Ask => ({ api: APIS.listConfigResources, body: { resourceTypes: [world.pick(2, 4, 16, 99)] } });
const metadata = (world: World): Ask => ({
  api: APIS.metadata,
  body: { topics: [{ name: anyTopic(world) }], allowAutoTopicCreation: false },
  versions: [1, 13],
});
const handshake = (world: World): Ask => ({ api: APIS.saslHandshake, body: { mechanism: world.pick('PLAIN', 'nonsense', '') }, versions: [1, 1], lane: 7 });
const versions = (world: World): Ask => ({
  api: APIS.apiVersions,
  body: { clientSoftwareName: world.pick('a', '', 'a b', '-a', 'a-'), clientSoftwareVersion: world.pick('1', '', '.1') },
  versions: [3, 4],
});
const markers = (world: World): Ask => ({
  api: APIS.writeTxnMarkers,
  body: {
    markers: [
      {
        producerId: new Known('pid 0', 4_000_000),
        producerEpoch: 0,
        transactionResult: world.once(2),
        topics: [{ name: 'no-such-topic', partitionIndexes: [0] }],
        coordinatorEpoch: 0,
      },
    ],
  },
});

export const ADMIN: readonly ((world: World) => Ask)[] = [
  ...[createTopics, createTopics, createTopics, createTopics, deleteTopics, createPartitions, createPartitions, metadata],
  ...[alterConfigs, alterConfigs, incrementalAlter, incrementalAlter, incrementalAlter, describeConfigs],
  ...[alterQuotas, describeQuotas, alterScram, describeScram, createAcls, describeAcls, deleteAcls],
  ...[electLeaders, reassign, listReassignments, updateFeatures, describeLogDirs, alterLogDirs],
  ...[findCoordinator, describeCluster, listGroups, listTransactions, configResources, handshake, versions, markers],
];
