// What a group writes to __consumer_offsets, as values and as Kafka's own bytes.
// Owns: the translation both ways.  Never: decides or changes state.
// Written: group metadata v3, offsets v3 (v1 for the rare one with its own expiry). Read: whatever Kafka wrote.
import { copyBytes } from '@millrace/core';
import { decodeEmbedded, embeddedVersion, encodeEmbedded, groupMetadataKey, groupMetadataValue, offsetCommitKey, offsetCommitValue } from '@millrace/protocol';
import type { InternalRecord } from '../internal-log.ts';
import { decodeConsumerRecord, encodeConsumerRecord } from './consumer/records.ts';
import type { ConsumerRecord } from './consumer/state.ts';
import type { GroupMetadata, OffsetValue } from './state.ts';

export type GroupRecord =
  | (ConsumerRecord & { readonly groupId: string })
  | { readonly kind: 'group'; readonly groupId: string /** null: the group is gone. */; readonly value: GroupMetadata | null }
  | {
      readonly kind: 'offset';
      readonly groupId: string;
      readonly topic: string;
      readonly partition: number;
      /** null: the offset is gone. */
      readonly value: OffsetValue | null;
    };

const OFFSET_KEY_VERSION = 1;
const GROUP_KEY_VERSION = 2;
const VALUE_VERSION = 3;
const EXPIRING_OFFSET_VERSION = 1;

export function encodeGroupRecord(record: GroupRecord): InternalRecord {
  if (record.kind !== 'group' && record.kind !== 'offset') return encodeConsumerRecord(record);
  if (record.kind === 'group') {
    return {
      key: encodeEmbedded(groupMetadataKey, GROUP_KEY_VERSION, { group: record.groupId }),
      value: record.value === null ? null : encodeMetadata(record.value),
    };
  }
  return {
    key: encodeEmbedded(offsetCommitKey, OFFSET_KEY_VERSION, { group: record.groupId, topic: record.topic, partition: record.partition }),
    value: record.value === null ? null : encodeOffset(record.value),
  };
}

/** Undefined for keys that are not ours (formats of newer coordinators share the topic). Throws ERR_PROTOCOL for damaged bytes. */
export function decodeGroupRecord({ key, value }: InternalRecord): GroupRecord | undefined {
  const version = embeddedVersion(key);
  if (version === GROUP_KEY_VERSION) {
    return { kind: 'group', groupId: decodeEmbedded(groupMetadataKey, key).value.group, value: value === null ? null : decodeMetadata(value) };
  }
  if (version > GROUP_KEY_VERSION) return decodeConsumerRecord({ key, value });
  if (version !== 0 && version !== OFFSET_KEY_VERSION) return undefined;
  const { group, topic, partition } = decodeEmbedded(offsetCommitKey, key).value;
  return { kind: 'offset', groupId: group, topic, partition, value: value === null ? null : decodeOffset(value) };
}

function encodeMetadata(value: GroupMetadata): Buffer {
  return encodeEmbedded(groupMetadataValue, VALUE_VERSION, {
    protocolType: value.protocolType,
    generation: value.generation,
    protocol: value.protocolName,
    leader: value.leaderId,
    currentStateTimestamp: value.sinceMs,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeout: member.rebalanceTimeoutMs,
      sessionTimeout: member.sessionTimeoutMs,
      subscription: member.subscription,
      assignment: member.assignment,
    })),
  });
}

function decodeMetadata(bytes: Buffer): GroupMetadata {
  const { value } = decodeEmbedded(groupMetadataValue, bytes);
  return {
    protocolType: value.protocolType,
    generation: value.generation,
    protocolName: value.protocol,
    leaderId: value.leader,
    sinceMs: value.currentStateTimestamp,
    members: value.members.map((member) => ({
      memberId: member.memberId,
      instanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      rebalanceTimeoutMs: member.rebalanceTimeout < 0 ? member.sessionTimeout : member.rebalanceTimeout,
      sessionTimeoutMs: member.sessionTimeout,
      subscription: copyBytes(member.subscription),
      assignment: copyBytes(member.assignment),
    })),
  };
}

function encodeOffset(value: OffsetValue): Buffer {
  const fields = { offset: value.offset, leaderEpoch: value.leaderEpoch, metadata: value.metadata, commitTimestamp: value.committedAtMs };
  if (value.expiresAtMs === undefined) return encodeEmbedded(offsetCommitValue, VALUE_VERSION, fields);
  return encodeEmbedded(offsetCommitValue, EXPIRING_OFFSET_VERSION, { ...fields, expireTimestamp: value.expiresAtMs });
}

function decodeOffset(bytes: Buffer): OffsetValue {
  const { value } = decodeEmbedded(offsetCommitValue, bytes);
  return {
    offset: value.offset,
    leaderEpoch: value.leaderEpoch,
    metadata: value.metadata,
    committedAtMs: value.commitTimestamp,
    expiresAtMs: value.expireTimestamp < 0 ? undefined : value.expireTimestamp,
  };
}
