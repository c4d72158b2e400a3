// What a consumer group writes to __consumer_offsets, as values and as Kafka's own bytes.
// Owns: the translation both ways.  Never: decides or changes state.
import {
  consumerGroupCurrentKey,
  consumerGroupCurrentValue,
  consumerGroupEpochKey,
  consumerGroupEpochValue,
  consumerGroupMemberKey,
  consumerGroupMemberValue,
  consumerGroupTargetEpochKey,
  consumerGroupTargetEpochValue,
  consumerGroupTargetKey,
  consumerGroupTargetValue,
  decodeEmbedded,
  embeddedVersion,
  encodeEmbedded,
} from '@millrace/protocol';
import type { InternalRecord } from '../../internal-log.ts';
import type { ConsumerMember, ConsumerRecord, CurrentAssignment, ReconcileState } from './state.ts';
import { type TopicPartitions, topicPartitions } from './topic-partitions.ts';

type OfGroup = ConsumerRecord & { readonly groupId: string };

const KEY_VERSION = { epoch: 3, member: 5, targetEpoch: 6, target: 7, current: 8 } as const;
const VALUE_VERSION = 0;
/** As on the wire; the first is what a state of a newer Kafka is read as. */
const STATES: readonly (readonly [ReconcileState, number])[] = [
  ['stable', 1],
  ['unrevoked', 2],
  ['unreleased', 3],
];

export function encodeConsumerRecord(record: OfGroup): InternalRecord {
  const { groupId } = record;
  switch (record.kind) {
    case 'consumer-epoch':
      return {
        key: encodeEmbedded(consumerGroupEpochKey, KEY_VERSION.epoch, { groupId }),
        value: record.value && encodeEmbedded(consumerGroupEpochValue, VALUE_VERSION, record.value),
      };
    case 'consumer-target-epoch':
      return {
        key: encodeEmbedded(consumerGroupTargetEpochKey, KEY_VERSION.targetEpoch, { groupId }),
        value: record.value && encodeEmbedded(consumerGroupTargetEpochValue, VALUE_VERSION, record.value),
      };
    case 'consumer-member':
      return {
        key: encodeEmbedded(consumerGroupMemberKey, KEY_VERSION.member, { groupId, memberId: record.memberId }),
        value: record.value && encodeMember(record.value),
      };
    case 'consumer-target':
      return {
        key: encodeEmbedded(consumerGroupTargetKey, KEY_VERSION.target, { groupId, memberId: record.memberId }),
        value: record.value && encodeEmbedded(consumerGroupTargetValue, VALUE_VERSION, { topicPartitions: listed(record.value) }),
      };
    case 'consumer-current':
      return {
        key: encodeEmbedded(consumerGroupCurrentKey, KEY_VERSION.current, { groupId, memberId: record.memberId }),
        value: record.value && encodeCurrent(record.value),
      };
  }
}

/** Undefined for keys that are not ours. Throws ERR_PROTOCOL for damaged bytes. */
export function decodeConsumerRecord({ key, value }: InternalRecord): OfGroup | undefined {
  switch (embeddedVersion(key)) {
    case KEY_VERSION.epoch: {
      const { groupId } = decodeEmbedded(consumerGroupEpochKey, key).value;
      return { kind: 'consumer-epoch', groupId, value: value && decodeEmbedded(consumerGroupEpochValue, value).value };
    }
    case KEY_VERSION.targetEpoch: {
      const { groupId } = decodeEmbedded(consumerGroupTargetEpochKey, key).value;
      return {
        kind: 'consumer-target-epoch',
        groupId,
        value: value && { assignmentEpoch: decodeEmbedded(consumerGroupTargetEpochValue, value).value.assignmentEpoch },
      };
    }
    case KEY_VERSION.member: {
      const { groupId, memberId } = decodeEmbedded(consumerGroupMemberKey, key).value;
      return { kind: 'consumer-member', groupId, memberId, value: value && decodeMember(value) };
    }
    case KEY_VERSION.target: {
      const { groupId, memberId } = decodeEmbedded(consumerGroupTargetKey, key).value;
      return { kind: 'consumer-target', groupId, memberId, value: value && gathered(decodeEmbedded(consumerGroupTargetValue, value).value.topicPartitions) };
    }
    case KEY_VERSION.current: {
      const { groupId, memberId } = decodeEmbedded(consumerGroupCurrentKey, key).value;
      return { kind: 'consumer-current', groupId, memberId, value: value && decodeCurrent(value) };
    }
    default:
      return undefined;
  }
}

function encodeMember(member: ConsumerMember): Buffer {
  return encodeEmbedded(consumerGroupMemberValue, VALUE_VERSION, {
    instanceId: member.instanceId,
    rackId: member.rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.subscribedNames,
    subscribedTopicRegex: member.subscribedPattern,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    serverAssignor: member.assignorName,
  });
}

function decodeMember(bytes: Buffer): ConsumerMember {
  const { value } = decodeEmbedded(consumerGroupMemberValue, bytes);
  return {
    instanceId: value.instanceId,
    rackId: value.rackId,
    clientId: value.clientId,
    clientHost: value.clientHost,
    subscribedNames: value.subscribedTopicNames,
    subscribedPattern: value.subscribedTopicRegex,
    rebalanceTimeoutMs: value.rebalanceTimeoutMs,
    assignorName: value.serverAssignor,
  };
}

function encodeCurrent(current: CurrentAssignment): Buffer {
  return encodeEmbedded(consumerGroupCurrentValue, VALUE_VERSION, {
    memberEpoch: current.memberEpoch,
    previousMemberEpoch: current.previousEpoch,
    state: STATES.find(([name]) => name === current.state)?.[1] ?? 1,
    assignedPartitions: listed(current.assigned).map((topic) => ({ ...topic, assignmentEpochs: current.assignedEpochs.get(topic.topicId) ?? null })),
    partitionsPendingRevocation: listed(current.revoking),
  });
}

function decodeCurrent(bytes: Buffer): CurrentAssignment {
  const { value } = decodeEmbedded(consumerGroupCurrentValue, bytes);
  return {
    memberEpoch: value.memberEpoch,
    previousEpoch: value.previousMemberEpoch,
    state: STATES.find(([, number]) => number === value.state)?.[0] ?? 'stable',
    assigned: gathered(value.assignedPartitions),
    assignedEpochs: new Map(
      value.assignedPartitions.map(({ topicId, partitions, assignmentEpochs }) => [topicId, assignmentEpochs ?? partitions.map(() => value.memberEpoch)]),
    ),
    revoking: gathered(value.partitionsPendingRevocation),
  };
}

interface WireTopic {
  readonly topicId: string;
  readonly partitions: readonly number[];
}

/** As messages and records carry it. */
export function listed(set: TopicPartitions): WireTopic[] {
  return [...set].map(([topicId, partitions]) => ({ topicId, partitions }));
}
export function gathered(topics: readonly WireTopic[]): TopicPartitions {
  return topicPartitions(topics.map(({ topicId, partitions }) => [topicId, partitions]));
}
