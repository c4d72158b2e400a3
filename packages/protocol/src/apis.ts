// Every API we know, by key. Owns: the registry.  Never: decides versions (the client negotiates, the broker lists `advertised`).
import { produce } from './schemas/00-produce.ts';
import { fetch } from './schemas/01-fetch.ts';
import { listOffsets } from './schemas/02-list-offsets.ts';
import { metadata } from './schemas/03-metadata.ts';
import { offsetCommit } from './schemas/08-offset-commit.ts';
import { offsetFetch } from './schemas/09-offset-fetch.ts';
import { findCoordinator } from './schemas/10-find-coordinator.ts';
import { joinGroup } from './schemas/11-join-group.ts';
import { heartbeat } from './schemas/12-heartbeat.ts';
import { leaveGroup } from './schemas/13-leave-group.ts';
import { syncGroup } from './schemas/14-sync-group.ts';
import { describeGroups } from './schemas/15-describe-groups.ts';
import { listGroups } from './schemas/16-list-groups.ts';
import { saslHandshake } from './schemas/17-sasl-handshake.ts';
import { apiVersions } from './schemas/18-api-versions.ts';
import { createTopics } from './schemas/19-create-topics.ts';
import { deleteTopics } from './schemas/20-delete-topics.ts';
import { deleteRecords } from './schemas/21-delete-records.ts';
import { initProducerId } from './schemas/22-init-producer-id.ts';
import { offsetForLeaderEpoch } from './schemas/23-offset-for-leader-epoch.ts';
import { addPartitionsToTxn } from './schemas/24-add-partitions-to-txn.ts';
import { addOffsetsToTxn } from './schemas/25-add-offsets-to-txn.ts';
import { endTxn } from './schemas/26-end-txn.ts';
import { writeTxnMarkers } from './schemas/27-write-txn-markers.ts';
import { txnOffsetCommit } from './schemas/28-txn-offset-commit.ts';
import { describeAcls } from './schemas/29-describe-acls.ts';
import { createAcls } from './schemas/30-create-acls.ts';
import { deleteAcls } from './schemas/31-delete-acls.ts';
import { describeConfigs } from './schemas/32-describe-configs.ts';
import { alterConfigs } from './schemas/33-alter-configs.ts';
import { alterReplicaLogDirs } from './schemas/34-alter-replica-log-dirs.ts';
import { describeLogDirs } from './schemas/35-describe-log-dirs.ts';
import { saslAuthenticate } from './schemas/36-sasl-authenticate.ts';
import { createPartitions } from './schemas/37-create-partitions.ts';
import { deleteGroups } from './schemas/42-delete-groups.ts';
import { electLeaders } from './schemas/43-elect-leaders.ts';
import { incrementalAlterConfigs } from './schemas/44-incremental-alter-configs.ts';
import { alterPartitionReassignments } from './schemas/45-alter-partition-reassignments.ts';
import { listPartitionReassignments } from './schemas/46-list-partition-reassignments.ts';
import { offsetDelete } from './schemas/47-offset-delete.ts';
import { describeClientQuotas } from './schemas/48-describe-client-quotas.ts';
import { alterClientQuotas } from './schemas/49-alter-client-quotas.ts';
import { describeUserScramCredentials } from './schemas/50-describe-user-scram-credentials.ts';
import { alterUserScramCredentials } from './schemas/51-alter-user-scram-credentials.ts';
import { describeQuorum } from './schemas/55-describe-quorum.ts';
import { updateFeatures } from './schemas/57-update-features.ts';
import { describeCluster } from './schemas/60-describe-cluster.ts';
import { describeProducers } from './schemas/61-describe-producers.ts';
import { describeTransactions } from './schemas/65-describe-transactions.ts';
import { listTransactions } from './schemas/66-list-transactions.ts';
import { consumerGroupHeartbeat } from './schemas/68-consumer-group-heartbeat.ts';
import { consumerGroupDescribe } from './schemas/69-consumer-group-describe.ts';
import { listConfigResources } from './schemas/74-list-config-resources.ts';
import { describeTopicPartitions } from './schemas/75-describe-topic-partitions.ts';

/** The APIs by name, for code that knows which one it speaks. */
export const APIS = {
  produce,
  fetch,
  listOffsets,
  metadata,
  offsetCommit,
  offsetFetch,
  findCoordinator,
  joinGroup,
  heartbeat,
  leaveGroup,
  syncGroup,
  describeGroups,
  listGroups,
  saslHandshake,
  apiVersions,
  createTopics,
  deleteTopics,
  deleteRecords,
  initProducerId,
  offsetForLeaderEpoch,
  addPartitionsToTxn,
  addOffsetsToTxn,
  endTxn,
  writeTxnMarkers,
  txnOffsetCommit,
  describeAcls,
  createAcls,
  deleteAcls,
  describeConfigs,
  alterConfigs,
  alterReplicaLogDirs,
  describeLogDirs,
  saslAuthenticate,
  createPartitions,
  deleteGroups,
  electLeaders,
  incrementalAlterConfigs,
  alterPartitionReassignments,
  listPartitionReassignments,
  offsetDelete,
  describeClientQuotas,
  alterClientQuotas,
  describeUserScramCredentials,
  alterUserScramCredentials,
  describeQuorum,
  updateFeatures,
  describeCluster,
  describeProducers,
  describeTransactions,
  listTransactions,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  listConfigResources,
  describeTopicPartitions,
} as const;

type KnownApi = (typeof APIS)[keyof typeof APIS];
/** Keys of the APIs we know. */
export type ApiKey = KnownApi['key'];
/** The API with that key. */
export type ApiByKey<K extends ApiKey> = Extract<KnownApi, { readonly key: K }>;

const byKey: ReadonlyMap<number, KnownApi> = new Map(Object.values(APIS).map((known) => [known.key, known]));

/** The API with that key; a number that is not a known key (bytes from a socket) gives undefined. */
export function api<K extends ApiKey>(key: K): ApiByKey<K>;
export function api(key: number): KnownApi | undefined;
export function api(key: number): KnownApi | undefined {
  return byKey.get(key);
}
