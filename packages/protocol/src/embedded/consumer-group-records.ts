// Records of __consumer_offsets that the consumer group protocol (KIP-848) writes, in Kafka's own bytes.
// The version in a key says what the record is; a null value deletes. Every value has version 0.
// Not here: 4 (partition metadata, which Kafka gave up for the hash in 3) and 16 (resolved patterns: resolved again at each start).
import { array, int8, int32, int64, string, uuid } from '../schema.ts';
import { defineEmbedded } from './embedded.ts';

const topicPartitions = { topicId: uuid(), partitions: array(int32()) };
/** With the member epoch at which each partition was assigned, in the same order (KIP-1251). */
const datedTopicPartitions = { ...topicPartitions, assignmentEpochs: array(int32(), { tag: 0, nullable: 0, default: null }) };
const groupKey = { groupId: string() };
const memberKey = { groupId: string(), memberId: string() };

export const consumerGroupEpochKey = defineEmbedded({ name: 'ConsumerGroupMetadataKey', versions: [3, 3], flexible: undefined, fields: groupKey });
export const consumerGroupEpochValue = defineEmbedded({
  name: 'ConsumerGroupMetadataValue',
  versions: [0, 0],
  flexible: 0,
  fields: { epoch: int32(), metadataHash: int64({ since: 0, tag: 0, default: 0 }) },
});

export const consumerGroupMemberKey = defineEmbedded({ name: 'ConsumerGroupMemberMetadataKey', versions: [5, 5], flexible: undefined, fields: memberKey });
export const consumerGroupMemberValue = defineEmbedded({
  name: 'ConsumerGroupMemberMetadataValue',
  versions: [0, 0],
  flexible: 0,
  fields: {
    instanceId: string({ nullable: 0, default: null }),
    rackId: string({ nullable: 0, default: null }),
    clientId: string(),
    clientHost: string(),
    subscribedTopicNames: array(string()),
    subscribedTopicRegex: string({ nullable: 0, default: null }),
    rebalanceTimeoutMs: int32({ default: -1 }),
    serverAssignor: string({ nullable: 0, default: null }),
  },
});

export const consumerGroupTargetEpochKey = defineEmbedded({
  name: 'ConsumerGroupTargetAssignmentMetadataKey',
  versions: [6, 6],
  flexible: undefined,
  fields: groupKey,
});
export const consumerGroupTargetEpochValue = defineEmbedded({
  name: 'ConsumerGroupTargetAssignmentMetadataValue',
  versions: [0, 0],
  flexible: 0,
  fields: { assignmentEpoch: int32(), assignmentTimestampMs: int64({ since: 0, tag: 0, default: 0 }) },
});

export const consumerGroupTargetKey = defineEmbedded({
  name: 'ConsumerGroupTargetAssignmentMemberKey',
  versions: [7, 7],
  flexible: undefined,
  fields: memberKey,
});
export const consumerGroupTargetValue = defineEmbedded({
  name: 'ConsumerGroupTargetAssignmentMemberValue',
  versions: [0, 0],
  flexible: 0,
  fields: { topicPartitions: array(topicPartitions) },
});

export const consumerGroupCurrentKey = defineEmbedded({
  name: 'ConsumerGroupCurrentMemberAssignmentKey',
  versions: [8, 8],
  flexible: undefined,
  fields: memberKey,
});
export const consumerGroupCurrentValue = defineEmbedded({
  name: 'ConsumerGroupCurrentMemberAssignmentValue',
  versions: [0, 0],
  flexible: 0,
  fields: {
    memberEpoch: int32(),
    previousMemberEpoch: int32(),
    /** 1 stable, 2 has to give partitions up, 3 waits for partitions others have to give up. */
    state: int8(),
    assignedPartitions: array(datedTopicPartitions),
    partitionsPendingRevocation: array(datedTopicPartitions),
  },
});
