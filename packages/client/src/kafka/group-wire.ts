// What members and their leader tell each other through the group: Kafka's consumer protocol, version 0, user data both ways.
// Owns: the turn between wire bodies and the port's types; Kafka's own tools can read the bytes.  Never: looks into user data.
// Source: KIP-62, KIP-429.
import type { TopicPartition } from '@millrace/core';
import { consumerProtocolAssignment, consumerProtocolSubscription, decodeEmbedded, encodeEmbedded } from '@millrace/protocol';
import type { MemberAssignment } from '../port.ts';
import { groupByTopic } from './by-topic.ts';

/** The lowest: what later versions add (owned partitions, generation, rack) travels in our user data. */
const VERSION = 0;

export interface Subscription {
  readonly topics: readonly string[];
  readonly userData: Uint8Array;
}

export function encodeSubscription({ topics, userData }: Subscription): Buffer {
  return encodeEmbedded(consumerProtocolSubscription, VERSION, { topics, userData });
}

/** Of any version: newer ones only add fields behind ours. Throws ERR_PROTOCOL. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const { topics, userData } = decodeEmbedded(consumerProtocolSubscription, bytes).value;
  return { topics, userData: ownCopy(userData) };
}

export function encodeAssignment({ partitions, userData }: MemberAssignment): Buffer {
  const assignedPartitions = groupByTopic(partitions).map(({ topic, items }) => ({ topic, partitions: items.map(({ partition }) => partition) }));
  return encodeEmbedded(consumerProtocolAssignment, VERSION, { assignedPartitions, userData });
}

/** No bytes at all: the leader has given this member nothing. Throws ERR_PROTOCOL. */
export function decodeAssignment(bytes: Buffer): MemberAssignment {
  if (bytes.length === 0) return { partitions: [], userData: Buffer.alloc(0) };
  const { assignedPartitions, userData } = decodeEmbedded(consumerProtocolAssignment, bytes).value;
  const partitions: TopicPartition[] = assignedPartitions.flatMap(({ topic, partitions: numbers }) => numbers.map((partition) => ({ topic, partition })));
  return { partitions, userData: ownCopy(userData) };
}

/** The frame behind a view is not ours to keep. */
function ownCopy(bytes: Buffer | null): Buffer {
  return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes);
}
