// What the APIs of administrators' tools need: log directories, moves, elections, features, transactions left hanging.
import { APIS, ERROR_CODES } from '@millrace/protocol';
import { PASS, type Row, row } from './guard.ts';

const errorCode = ERROR_CODES.CLUSTER_AUTHORIZATION_FAILED;
const errorMessage = 'Cluster authorization failed.';

const writeTxnMarkers = row(APIS.writeTxnMarkers, 'cluster action or alter on the cluster', ({ markers }, ask) =>
  ask.mayCluster('clusterAction') || ask.mayCluster('alter')
    ? PASS
    : {
        kind: 'answer',
        response: {
          markers: markers.map(({ producerId, topics }) => ({
            producerId,
            topics: topics.map(({ name, partitionIndexes }) => ({
              name,
              partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode })),
            })),
          })),
        },
      },
);

const alterReplicaLogDirs = row(APIS.alterReplicaLogDirs, 'alter on the cluster', ({ dirs }, ask) =>
  ask.mayCluster('alter')
    ? PASS
    : {
        kind: 'answer',
        response: {
          results: dirs.flatMap(({ topics }) =>
            topics.map(({ name, partitions }) => ({ topicName: name, partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode })) })),
          ),
        },
      },
);

const describeLogDirs = row(APIS.describeLogDirs, 'describe on the cluster', (_, ask) =>
  ask.mayCluster('describe') ? PASS : { kind: 'answer', response: { errorCode, results: [] } },
);

const electLeaders = row(APIS.electLeaders, 'alter on the cluster', ({ topicPartitions }, ask) =>
  ask.mayCluster('alter')
    ? PASS
    : {
        kind: 'answer',
        response: {
          errorCode,
          replicaElectionResults: (topicPartitions ?? []).map(({ topic, partitions }) => ({
            topic,
            partitionResult: partitions.map((partitionId) => ({ partitionId, errorCode, errorMessage })),
          })),
        },
      },
);

const alterPartitionReassignments = row(APIS.alterPartitionReassignments, 'alter on the cluster', (_, ask) =>
  ask.mayCluster('alter') ? PASS : { kind: 'answer', response: { errorCode, errorMessage, responses: [] } },
);
const listPartitionReassignments = row(APIS.listPartitionReassignments, 'describe on the cluster', (_, ask) =>
  ask.mayCluster('describe') ? PASS : { kind: 'answer', response: { errorCode, errorMessage, topics: [] } },
);
const describeQuorum = row(APIS.describeQuorum, 'describe on the cluster', (_, ask) =>
  ask.mayCluster('describe') ? PASS : { kind: 'answer', response: { errorCode, errorMessage, topics: [] } },
);
const updateFeatures = row(APIS.updateFeatures, 'alter on the cluster', (_, ask) =>
  ask.mayCluster('alter') ? PASS : { kind: 'answer', response: { errorCode, errorMessage, results: [] } },
);
const listConfigResources = row(APIS.listConfigResources, 'describe configs on the cluster', (_, ask) =>
  ask.mayCluster('describeConfigs') ? PASS : { kind: 'answer', response: { errorCode, configResources: [] } },
);

export const UPKEEP_ROWS: readonly Row[] = [
  writeTxnMarkers,
  alterReplicaLogDirs,
  describeLogDirs,
  electLeaders,
  alterPartitionReassignments,
  listPartitionReassignments,
  describeQuorum,
  updateFeatures,
  listConfigResources,
];
