// What somebody without any right asks for, API by API, and the codes of the refusals. Only tests import it: the broker's own, and the one that
// sends the same to Apache Kafka.
import { APIS, type Api } from '@millrace/protocol';
import { RESOURCE_TYPES } from '../security/access/rule.ts';
import { clientBatch } from './log-fixture.ts';

const TOPIC = 29;
const GROUP = 30;
const CLUSTER = 31;
const TRANSACTIONAL_ID = 53;
/** Served to everybody: before a name is known, or about nobody. */
export const FREE = 0;

const PARTITION = { partitionIndex: 0 };
const records = clientBatch({ records: [['k', 'v']] });
const transactional = clientBatch({ records: [['k', 'v']], producerId: 1, transactional: true });
const filter = {
  resourceTypeFilter: 1,
  resourceNameFilter: null,
  patternTypeFilter: 1,
  principalFilter: null,
  hostFilter: null,
  operation: 1,
  permissionType: 1,
};
const creation = { resourceType: RESOURCE_TYPES.topic, resourceName: 't', principal: 'User:eve', host: '*', operation: 3, permissionType: 3 };
const entity = [{ entityType: 'user', entityName: 'eve' }];
const txn = { transactionalId: 'id', producerId: 1, producerEpoch: 0 };
const member = { groupId: 'g', generationId: 1, memberId: 'm' };
const fetchTopic = { topic: 'secret', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }] };

/** API, version, request, and every error code that must be in the answer (in any place). */
export const DENIED_CASES: readonly (readonly [api: Api, version: number, body: object, codes: readonly number[]])[] = [
  [APIS.produce, 9, { acks: -1, timeoutMs: 1, topicData: [{ name: 'secret', partitionData: [{ index: 0, records }] }] }, [TOPIC]],
  [
    APIS.produce,
    9,
    { transactionalId: 'id', acks: -1, timeoutMs: 1, topicData: [{ name: 'secret', partitionData: [{ index: 0, records: transactional }] }] },
    [TRANSACTIONAL_ID],
  ],
  [APIS.fetch, 12, { maxWaitMs: 10_000, minBytes: 1, topics: [fetchTopic] }, [TOPIC]],
  [APIS.fetch, 4, { maxWaitMs: 10_000, minBytes: 1, topics: [fetchTopic] }, [TOPIC]],
  [APIS.listOffsets, 6, { replicaId: -1, isolationLevel: 0, topics: [{ name: 'secret', partitions: [{ ...PARTITION, timestamp: -1 }] }] }, [TOPIC]],
  [APIS.metadata, 9, { topics: [{ name: 'secret' }] }, [TOPIC]],
  [APIS.metadata, 9, { topics: null, includeClusterAuthorizedOperations: true, includeTopicAuthorizedOperations: true }, []],
  [APIS.metadata, 9, { topics: [{ name: 'made-by-asking' }] }, [TOPIC]],
  [
    APIS.offsetCommit,
    8,
    { groupId: 'g', memberId: '', topics: [{ name: 'secret', partitions: [{ ...PARTITION, committedOffset: 1, committedMetadata: '' }] }] },
    [GROUP],
  ],
  [APIS.offsetFetch, 8, { groups: [{ groupId: 'g', topics: null }] }, [GROUP]],
  [APIS.offsetFetch, 7, { groupId: 'g', topics: [{ name: 'secret', partitionIndexes: [0] }] }, [GROUP]],
  [APIS.offsetFetch, 1, { groupId: 'g', topics: [{ name: 'secret', partitionIndexes: [0] }] }, [GROUP]],
  [APIS.findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] }, [GROUP]],
  [APIS.findCoordinator, 4, { keyType: 1, coordinatorKeys: ['id'] }, [TRANSACTIONAL_ID]],
  [APIS.findCoordinator, 2, { key: 'g', keyType: 0 }, [GROUP]],
  [
    APIS.joinGroup,
    7,
    {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'x', metadata: Buffer.alloc(0) }],
    },
    [GROUP],
  ],
  [APIS.heartbeat, 4, member, [GROUP]],
  [APIS.leaveGroup, 4, { groupId: 'g', members: [{ memberId: 'm' }] }, [GROUP]],
  [APIS.syncGroup, 5, { ...member, protocolType: 'consumer', protocolName: 'x', assignments: [] }, [GROUP]],
  [APIS.describeGroups, 5, { groups: ['g'], includeAuthorizedOperations: true }, [GROUP]],
  [APIS.listGroups, 4, { statesFilter: [] }, []],
  [APIS.saslHandshake, 1, { mechanism: 'PLAIN' }, [34]],
  [APIS.apiVersions, 3, { clientSoftwareName: 'x', clientSoftwareVersion: '1' }, [FREE]],
  [APIS.saslAuthenticate, 2, { authBytes: Buffer.alloc(1) }, [34]],
  [APIS.createTopics, 7, { topics: [{ name: 'new', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }] }, [TOPIC]],
  [APIS.deleteTopics, 6, { topics: [{ name: 'secret' }], timeoutMs: 10_000 }, [TOPIC]],
  [APIS.deleteTopics, 5, { topicNames: ['secret'], timeoutMs: 10_000 }, [TOPIC]],
  [APIS.deleteRecords, 2, { topics: [{ name: 'secret', partitions: [{ ...PARTITION, offset: -1 }] }], timeoutMs: 1 }, [TOPIC]],
  [APIS.initProducerId, 4, { transactionalId: 'id', transactionTimeoutMs: 1000 }, [TRANSACTIONAL_ID]],
  [APIS.initProducerId, 4, { transactionalId: null, transactionTimeoutMs: 1000 }, [CLUSTER]],
  [APIS.offsetForLeaderEpoch, 4, { topics: [{ topic: 'secret', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }, [TOPIC]],
  [APIS.addPartitionsToTxn, 3, { ...txn, topics: [{ name: 'secret', partitions: [0] }] }, [TRANSACTIONAL_ID]],
  [APIS.addOffsetsToTxn, 3, { ...txn, groupId: 'g' }, [TRANSACTIONAL_ID]],
  [APIS.endTxn, 3, { ...txn, committed: true }, [TRANSACTIONAL_ID]],
  [
    APIS.writeTxnMarkers,
    1,
    { markers: [{ producerId: 1, producerEpoch: 0, transactionResult: true, topics: [{ name: 'secret', partitionIndexes: [0] }], coordinatorEpoch: 0 }] },
    [CLUSTER],
  ],
  [
    APIS.txnOffsetCommit,
    3,
    { ...txn, groupId: 'g', topics: [{ name: 'secret', partitions: [{ ...PARTITION, committedOffset: 1, committedMetadata: '' }] }] },
    [TRANSACTIONAL_ID],
  ],
  [APIS.describeAcls, 2, filter, [CLUSTER]],
  [APIS.createAcls, 2, { creations: [creation] }, [CLUSTER]],
  [APIS.deleteAcls, 2, { filters: [filter] }, [CLUSTER]],
  [
    APIS.describeConfigs,
    4,
    {
      resources: [
        { resourceType: 2, resourceName: 'secret', configurationKeys: null },
        { resourceType: 4, resourceName: '1', configurationKeys: null },
        { resourceType: 32, resourceName: 'g', configurationKeys: null },
      ],
    },
    [TOPIC, CLUSTER, GROUP],
  ],
  [APIS.alterConfigs, 2, { resources: [{ resourceType: 2, resourceName: 'secret', configs: [] }], validateOnly: false }, [TOPIC]],
  [APIS.alterReplicaLogDirs, 2, { dirs: [{ path: '/x', topics: [{ name: 'secret', partitions: [0] }] }] }, [CLUSTER]],
  [APIS.describeLogDirs, 4, { topics: null }, [CLUSTER]],
  [APIS.createPartitions, 3, { topics: [{ name: 'secret', count: 5, assignments: null }], timeoutMs: 1, validateOnly: false }, [TOPIC]],
  [APIS.deleteGroups, 2, { groupsNames: ['g'] }, [GROUP]],
  [APIS.electLeaders, 2, { electionType: 0, topicPartitions: null }, [CLUSTER]],
  [APIS.incrementalAlterConfigs, 1, { resources: [{ resourceType: 4, resourceName: '1', configs: [] }], validateOnly: false }, [CLUSTER]],
  [APIS.alterPartitionReassignments, 0, { topics: [] }, [CLUSTER]],
  [APIS.listPartitionReassignments, 0, { topics: null }, [CLUSTER]],
  [APIS.offsetDelete, 0, { groupId: 'g', topics: [{ name: 'secret', partitions: [PARTITION] }] }, [GROUP]],
  [APIS.describeClientQuotas, 1, { components: [], strict: false }, [CLUSTER]],
  [APIS.alterClientQuotas, 1, { entries: [{ entity, ops: [{ key: 'producer_byte_rate', value: 1, remove: false }] }], validateOnly: false }, [CLUSTER]],
  [APIS.describeUserScramCredentials, 0, { users: [{ name: 'ada' }] }, [CLUSTER]],
  [
    APIS.alterUserScramCredentials,
    0,
    { deletions: [], upsertions: [{ name: 'eve', mechanism: 1, iterations: 4096, salt: Buffer.alloc(8), saltedPassword: Buffer.alloc(32) }] },
    [CLUSTER],
  ],
  [APIS.describeQuorum, 1, { topics: [{ topicName: '__cluster_metadata', partitions: [PARTITION] }] }, [CLUSTER]],
  [APIS.updateFeatures, 1, { featureUpdates: [] }, [CLUSTER]],
  [APIS.describeCluster, 1, { includeClusterAuthorizedOperations: true }, [FREE]],
  [APIS.describeProducers, 0, { topics: [{ name: 'secret', partitionIndexes: [0] }] }, [TOPIC]],
  [APIS.describeTransactions, 0, { transactionalIds: ['id'] }, [TRANSACTIONAL_ID]],
  [APIS.listTransactions, 0, { stateFilters: [], producerIdFilters: [] }, []],
  [
    APIS.consumerGroupHeartbeat,
    0,
    { groupId: 'g', memberId: '', memberEpoch: 0, rebalanceTimeoutMs: 1000, subscribedTopicNames: ['secret'], topicPartitions: [] },
    [GROUP],
  ],
  [APIS.consumerGroupDescribe, 0, { groupIds: ['g'], includeAuthorizedOperations: true }, [GROUP]],
  [APIS.listConfigResources, 0, {}, [CLUSTER]],
  [APIS.describeTopicPartitions, 0, { topics: [{ name: 'secret' }] }, [TOPIC]],
  [APIS.describeTopicPartitions, 0, { topics: [] }, []],
];

/** Every number under a name that ends in "errorCode". */
export function codesIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(codesIn);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return [];
  return Object.entries(value).flatMap(([name, one]) => (/errorCode$/i.test(name) && typeof one === 'number' ? [one] : codesIn(one)));
}
