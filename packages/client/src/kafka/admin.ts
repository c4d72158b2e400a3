// LogAdmin over Kafka: topics, offsets, groups from the outside.
// Owns: nothing but its cluster.  Never: creates a topic by asking for it, caches what a caller asks.
import { type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import { APIS, NO_UUID } from '@millrace/protocol';
import type {
  CommittedOffset,
  GroupMetadata,
  LogAdmin,
  NewTopic,
  OffsetSpec,
  OffsetToCommit,
  PartitionStart,
  PresentMember,
  TopicDescription,
} from '../port.ts';
import { askLeaders } from './ask-leaders.ts';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { type EpochQuestion, epochEnds } from './epoch-ends.ts';
import { kafkaFailure } from './error-response.ts';
import { EARLIEST, LATEST, listOffsets } from './list-offsets.ts';
import { offsetTopics } from './offset-topics.ts';
import { withCoordinator, withRetries } from './retry.ts';

const UNKNOWN_TOPIC = 3;
const UNKNOWN_TOPIC_ID = 100;
const TOPIC_EXISTS = 36;
const UNKNOWN_MEMBER = 25;
const GROUP_NOT_FOUND = 69;
const TOPIC_RESOURCE = 2;
/** InitProducerId has to wait until the transaction that it ends is settled. */
const FENCE_MS = 60_000;
const FENCE_TRANSACTION_TIMEOUT_MS = 60_000;

export class KafkaAdmin implements LogAdmin {
  readonly #cluster: KafkaCluster;

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster;
  }

  describeTopics(names: readonly string[] | undefined): Promise<ReadonlyMap<string, TopicDescription>> {
    return withRetries(this.#cluster, { what: 'Describing topics' }, async () => {
      const body = await this.#cluster.fetchMetadata(names);
      const found = new Map<string, TopicDescription>();
      for (const topic of body.topics) {
        if (topic.name === null || topic.errorCode === UNKNOWN_TOPIC) continue;
        if (topic.errorCode !== 0) throw kafkaFailure(topic.errorCode, `Describing topic ${topic.name}`, { topic: topic.name });
        found.set(topic.name, { name: topic.name, topicId: topic.topicId, partitions: topic.partitions.length, internal: topic.isInternal });
      }
      return found;
    });
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    if (topics.length === 0) return;
    await this.#onAny('Creating topics', async (connection) => {
      const body = await connection.request(APIS.createTopics, {
        topics: topics.map((topic) => ({
          name: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: topic.replication,
          assignments: [],
          configs: Object.entries(topic.config).map(([name, value]) => ({ name, value })),
        })),
        timeoutMs: this.#cluster.options.requestTimeoutMs,
      });
      for (const topic of body.topics) {
        if (topic.errorCode !== 0 && topic.errorCode !== TOPIC_EXISTS)
          throw kafkaFailure(topic.errorCode, `Creating topic ${topic.name}`, { topic: topic.name }, topic.errorMessage);
      }
    });
    await this.#untilUsable(topics);
  }

  /** A topic that was just created has no leaders for a moment: callers would only stumble over that. */
  #untilUsable(topics: readonly NewTopic[]): Promise<void> {
    return withRetries(this.#cluster, { what: 'Waiting for the new topics' }, async () => {
      const body = await this.#cluster.fetchMetadata(topics.map(({ name }) => name));
      for (const topic of body.topics) {
        const code = topic.errorCode !== 0 ? topic.errorCode : (topic.partitions.find((each) => each.leaderId < 0)?.errorCode ?? 0);
        if (code !== 0) throw kafkaFailure(code, `Waiting for topic ${topic.name}`, { topic: topic.name ?? '' });
      }
    });
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#onAny('Deleting topics', async (connection) => {
      const body = await connection.request(APIS.deleteTopics, {
        topics: names.map((name) => ({ name, topicId: NO_UUID })),
        timeoutMs: this.#cluster.options.requestTimeoutMs,
      });
      for (const topic of body.responses) {
        const gone = topic.errorCode === UNKNOWN_TOPIC || topic.errorCode === UNKNOWN_TOPIC_ID;
        if (topic.errorCode !== 0 && !gone)
          throw kafkaFailure(topic.errorCode, `Deleting topic ${topic.name}`, { topic: topic.name ?? '' }, topic.errorMessage);
      }
    });
  }

  topicConfig(name: string): Promise<Readonly<Record<string, string>>> {
    return this.#onAny('Reading topic configs', async (connection) => {
      const body = await connection.request(APIS.describeConfigs, {
        resources: [{ resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: null }],
      });
      const result = body.results[0];
      if (result === undefined || result.errorCode !== 0)
        throw kafkaFailure(result?.errorCode ?? -1, `Reading the config of topic ${name}`, { topic: name }, result?.errorMessage);
      return Object.fromEntries(result.configs.flatMap((config) => (config.value === null ? [] : [[config.name, config.value]])));
    });
  }

  listOffsets(partitions: readonly TopicPartition[], at: OffsetSpec): Promise<ReadonlyMap<string, Offset>> {
    const isolation = at === 'latestStable' ? 'read_committed' : 'read_uncommitted';
    return listOffsets(this.#cluster, partitions, at === 'earliest' ? EARLIEST : typeof at === 'object' ? at.atMs : LATEST, isolation);
  }

  committedOffsets(groupId: string, partitions: readonly TopicPartition[], asOfNow?: 'asOfNow'): Promise<ReadonlyMap<string, CommittedOffset>> {
    if (partitions.length === 0) return Promise.resolve(new Map());
    const topics = groupByTopic(partitions).map(({ topic, items }) => ({ name: topic, partitionIndexes: items.map(({ partition }) => partition) }));
    return this.#onGroup(groupId, 'Reading committed offsets', async (connection) => {
      const body = await connection.request(APIS.offsetFetch, { groups: [{ groupId, topics }], requireStable: asOfNow === undefined });
      const group = body.groups[0];
      if (group === undefined || (group.errorCode !== 0 && group.errorCode !== GROUP_NOT_FOUND))
        throw kafkaFailure(group?.errorCode ?? -1, `Reading committed offsets of group "${groupId}"`, { groupId });
      const found = new Map<string, CommittedOffset>();
      for (const topic of group.topics) {
        for (const each of topic.partitions) {
          const key = partitionKey(topic.name, each.partitionIndex);
          // Also of a topic that the broker does not know (yet): taken for "nothing committed", everything would be read again.
          if (each.errorCode !== 0)
            throw kafkaFailure(each.errorCode, `Reading the committed offset of ${key}`, { groupId, topic: topic.name, partition: each.partitionIndex });
          if (each.committedOffset >= 0) found.set(key, { offset: each.committedOffset as Offset, metadata: each.metadata ?? '' });
        }
      }
      return found;
    });
  }

  groupMembers(groupId: string): Promise<readonly PresentMember[]> {
    return this.#onGroup(groupId, 'Describing the group', async (connection) => {
      const body = await connection.request(APIS.describeGroups, { groups: [groupId], includeAuthorizedOperations: false });
      const group = body.groups[0];
      if (group === undefined || (group.errorCode !== 0 && group.errorCode !== GROUP_NOT_FOUND))
        throw kafkaFailure(group?.errorCode ?? -1, `Describing group "${groupId}"`, { groupId });
      return group.members.map(({ memberId, groupInstanceId, clientId, clientHost }) => ({
        memberId,
        instanceId: groupInstanceId ?? undefined,
        clientId,
        host: clientHost,
      }));
    });
  }

  commitOffsets(group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0) return Promise.resolve();
    const topics = offsetTopics(offsets);
    const body = {
      groupId: group.groupId,
      generationIdOrMemberEpoch: group.generation,
      memberId: group.memberId,
      groupInstanceId: group.instanceId ?? null,
      topics,
    };
    // Whoever asks is to know that one had no answer.
    return withCoordinator(this.#cluster, 'group', group.groupId, { what: 'Committing offsets', repeatSent: false }, async (connection) => {
      const answer = await connection.request(APIS.offsetCommit, body);
      for (const topic of answer.topics) {
        for (const each of topic.partitions) {
          if (each.errorCode !== 0)
            throw kafkaFailure(each.errorCode, `Committing the offset of ${topic.name}-${each.partitionIndex}`, {
              topic: topic.name,
              partition: each.partitionIndex,
            });
        }
      }
    });
  }

  deleteRecords(before: readonly PartitionStart[]): Promise<void> {
    return askLeaders(this.#cluster, 'Deleting records', before, async (connection, led, answered) => {
      const topics = groupByTopic(led).map(({ topic, items }) => ({
        name: topic,
        partitions: items.map(({ partition, offset }) => ({ partitionIndex: partition, offset })),
      }));
      const body = await connection.request(APIS.deleteRecords, { topics, timeoutMs: this.#cluster.options.requestTimeoutMs });
      let failure: Error | undefined;
      for (const topic of body.topics) {
        for (const { partitionIndex, errorCode } of topic.partitions) {
          const where = { topic: topic.name, partition: partitionIndex };
          if (errorCode === 0) answered(topic.name, partitionIndex);
          else failure ??= kafkaFailure(errorCode, `Deleting records of ${topic.name}-${partitionIndex}`, where);
        }
      }
      return failure;
    });
  }

  epochEnds(questions: readonly EpochQuestion[]): Promise<ReadonlyMap<string, Offset>> {
    return epochEnds(this.#cluster, questions);
  }

  removeMember(groupId: string, memberId: string): Promise<void> {
    return this.#onGroup(groupId, 'Removing a member', async (connection) => {
      const body = await connection.request(APIS.leaveGroup, { groupId, members: [{ memberId, groupInstanceId: null, reason: 'its process is gone' }] });
      for (const code of [body.errorCode, ...body.members.map((member) => member.errorCode)]) {
        if (code !== 0 && code !== UNKNOWN_MEMBER && code !== GROUP_NOT_FOUND)
          throw kafkaFailure(code, `Removing member ${memberId} of group "${groupId}"`, { groupId, memberId });
      }
    });
  }

  fenceTransactionalId(transactionalId: string): Promise<void> {
    const options = { what: `Fencing transactional id "${transactionalId}"`, timeoutMs: FENCE_MS, firstWaitMs: 20 };
    return withCoordinator(this.#cluster, 'transaction', transactionalId, options, async (connection) => {
      const body = await connection.request(APIS.initProducerId, {
        transactionalId,
        transactionTimeoutMs: FENCE_TRANSACTION_TIMEOUT_MS,
        producerId: -1,
        producerEpoch: -1,
      });
      if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, `Fencing transactional id "${transactionalId}"`, { transactionalId });
    });
  }

  close(): Promise<void> {
    this.#cluster.close();
    return Promise.resolve();
  }

  #onAny<T>(what: string, attempt: (connection: BrokerConnection) => Promise<T>): Promise<T> {
    return withRetries(this.#cluster, { what }, async () => attempt(await this.#cluster.anyConnection()));
  }

  #onGroup<T>(groupId: string, what: string, attempt: (connection: BrokerConnection) => Promise<T>): Promise<T> {
    return withCoordinator(this.#cluster, 'group', groupId, { what }, attempt);
  }
}
