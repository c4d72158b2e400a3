// What members and their leader tell each other through the group: Kafka's consumer protocol, version 0, user data both ways.
// Owns: the two layouts, which Kafka's own tools can read.  Never: looks into user data.
// Layout: int16 version; then subscription = array of topic names, user data; assignment = array of (topic, array of int32), user data. Source: KIP-62, KIP-429.
import { MillraceError, type TopicPartition } from '@millrace/core';
import { Reader, Writer } from '@millrace/protocol';
import type { MemberAssignment } from '../port.ts';
import { groupByTopic } from './by-topic.ts';

const VERSION = 0;
/** A topic name's length and a count, or a partition: nothing in an array is smaller. */
const NAME_BYTES_MIN = 2;
const TOPIC_BYTES_MIN = 6;
const PARTITION_BYTES = 4;

export interface Subscription {
  readonly topics: readonly string[];
  readonly userData: Uint8Array;
}

export function encodeSubscription({ topics, userData }: Subscription): Buffer {
  const writer = new Writer();
  writer.int16(VERSION);
  writer.int32(topics.length);
  for (const topic of topics) writer.string(topic);
  writer.bytes(userData);
  return writer.finish(false);
}

/** Newer versions only add fields behind ours. Throws ERR_PROTOCOL. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new Reader(bytes);
  reader.int16();
  const topics: string[] = [];
  for (let left = reader.arrayCount(NAME_BYTES_MIN); left > 0; left--) topics.push(name(reader));
  return { topics, userData: copy(reader.bytes()) };
}

export function encodeAssignment({ partitions, userData }: MemberAssignment): Buffer {
  const writer = new Writer();
  writer.int16(VERSION);
  const topics = groupByTopic(partitions);
  writer.int32(topics.length);
  for (const { topic, items } of topics) {
    writer.string(topic);
    writer.int32(items.length);
    for (const { partition } of items) writer.int32(partition);
  }
  writer.bytes(userData);
  return writer.finish(false);
}

/** No bytes at all: the leader has given this member nothing. Throws ERR_PROTOCOL. */
export function decodeAssignment(bytes: Buffer): MemberAssignment {
  if (bytes.length === 0) return { partitions: [], userData: Buffer.alloc(0) };
  const reader = new Reader(bytes);
  reader.int16();
  const partitions: TopicPartition[] = [];
  for (let left = reader.arrayCount(TOPIC_BYTES_MIN); left > 0; left--) {
    const topic = name(reader);
    for (let count = reader.arrayCount(PARTITION_BYTES); count > 0; count--) partitions.push({ topic, partition: reader.int32() });
  }
  return { partitions, userData: copy(reader.bytes()) };
}

function name(reader: Reader): string {
  const topic = reader.string();
  if (topic === null) throw new MillraceError('ERR_PROTOCOL', 'A member of the group sent a topic without a name.');
  return topic;
}

/** The frame behind a view is not ours to keep. */
function copy(bytes: Buffer | null): Buffer {
  return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes);
}
