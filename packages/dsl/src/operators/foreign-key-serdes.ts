// What travels between the two sides of a foreign-key join, and the rows of its subscription store, as Kafka Streams writes them (semantics 13.5, 13.6).
// Subscription: version (top bit: no hash) | instruction | 16-byte hash | primary key | 4-byte partition, which version 0 lacks.
// Answer: version (top bit: no hash) | 16-byte hash | the other side's value; no bytes are no value. Row key: 4-byte length | foreign key | primary key.
import { asBuffer, copyBytes, type ErasedSerde, encodeWith, MillraceError, noHeaders, type Serde, type SerdeInfo } from '@millrace/core';
import { HASH_BYTES } from './value-hash.ts';

/** What the other side does with a subscription. The numbers are on the wire. */
export const FORGET = 0;
export const FORGET_AND_ANSWER = 1;
export const KEEP_AND_ANSWER = 2;
export const KEEP_AND_ANSWER_IF_FOUND = 3;

export interface Subscription {
  readonly instruction: number;
  /** Of the row that subscribes; null where it has been deleted. */
  readonly hash: Buffer | null;
  readonly primary: unknown;
  /** Partition of the row that subscribes; undefined from an application older than Kafka Streams 3.1. */
  readonly partition: number | undefined;
}

export interface ForeignAnswer {
  readonly hash: Buffer | null;
  /** Null: there is no such row. */
  readonly value: unknown;
  /** Where the answer goes; not written. */
  readonly partition: number | undefined;
}

export interface SubscriptionKey {
  readonly foreign: unknown;
  /** Undefined: all rows of the foreign key, as a prefix. */
  readonly primary: unknown;
}

const VERSION = 1;
const NO_HASH = 0x80;

export function subscriptionSerde(primary: ErasedSerde, pseudoTopic: string): ErasedSerde {
  const info: SerdeInfo = { topic: pseudoTopic, role: 'key', headers: noHeaders };
  const serde: Serde<Subscription> = {
    format: `subscription(${primary.format})`,
    serialize(subscription) {
      const { hash, partition, instruction } = subscription;
      const version = partition === undefined ? 0 : VERSION;
      const key = encodeWith(primary, subscription.primary, info) ?? Buffer.alloc(0);
      const keyAt = 2 + (hash === null ? 0 : HASH_BYTES);
      const all = Buffer.allocUnsafe(keyAt + key.length + (partition === undefined ? 0 : 4));
      all[0] = version | (hash === null ? NO_HASH : 0);
      all[1] = instruction;
      if (hash !== null) all.set(hash, 2);
      all.set(key, keyAt);
      if (partition !== undefined) all.writeInt32BE(partition, keyAt + key.length);
      return all;
    },
    deserialize(given, { topic }) {
      const bytes = copyBytes(given); // kept in a store, beyond the batch
      const [head = 0, instruction = 0] = bytes;
      const version = head & ~NO_HASH;
      const keyAt = 2 + (head & NO_HASH ? 0 : HASH_BYTES);
      const keyEnd = bytes.length - (version === 0 ? 0 : 4);
      if (version > VERSION || keyEnd < keyAt || instruction > KEEP_AND_ANSWER_IF_FOUND) throw corrupt(topic, `version ${version}, ${bytes.length} bytes`);
      return {
        instruction,
        hash: head & NO_HASH ? null : bytes.subarray(2, keyAt),
        primary: primary.deserialize(bytes.subarray(keyAt, keyEnd), info),
        partition: version === 0 ? undefined : bytes.readInt32BE(keyEnd),
      };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own nodes use the topic and the store
}

export function answerSerde(value: ErasedSerde): ErasedSerde {
  const serde: Serde<ForeignAnswer> = {
    format: `answer(${value.format})`,
    serialize(answer, info) {
      const { hash } = answer;
      const bytes = answer.value === null ? null : encodeWith(value, answer.value, info);
      return Buffer.concat([Buffer.of(hash === null ? NO_HASH : 0), hash ?? Buffer.alloc(0), bytes ?? Buffer.alloc(0)]);
    },
    deserialize(given, info) {
      const bytes = asBuffer(given);
      const head = bytes[0] ?? 0;
      const valueAt = 1 + (head & NO_HASH ? 0 : HASH_BYTES);
      if ((head & ~NO_HASH) !== 0 || bytes.length < valueAt) throw corrupt(info.topic, `version ${head & ~NO_HASH}, ${bytes.length} bytes`);
      return {
        hash: head & NO_HASH ? null : copyBytes(bytes.subarray(1, valueAt)),
        value: bytes.length === valueAt ? null : value.deserialize(bytes.subarray(valueAt), info),
        partition: undefined,
      };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own nodes use the topic
}

export function subscriptionKeySerde(
  foreign: ErasedSerde,
  primary: ErasedSerde,
  pseudoTopics: { readonly foreign: string; readonly primary: string },
): ErasedSerde {
  const foreignInfo: SerdeInfo = { topic: pseudoTopics.foreign, role: 'key', headers: noHeaders };
  const primaryInfo: SerdeInfo = { topic: pseudoTopics.primary, role: 'key', headers: noHeaders };
  const serde: Serde<SubscriptionKey> = {
    format: `subscription(${foreign.format}|${primary.format})`,
    serialize(key) {
      const front = encodeWith(foreign, key.foreign, foreignInfo) ?? Buffer.alloc(0);
      const back = key.primary === undefined ? Buffer.alloc(0) : (encodeWith(primary, key.primary, primaryInfo) ?? Buffer.alloc(0));
      const all = Buffer.allocUnsafe(4 + front.length + back.length);
      all.writeInt32BE(front.length, 0);
      all.set(front, 4);
      all.set(back, 4 + front.length);
      return all;
    },
    deserialize(given, { topic }) {
      const bytes = asBuffer(given);
      const end = bytes.length < 4 ? -1 : 4 + bytes.readInt32BE(0);
      if (end < 4 || end > bytes.length) throw corrupt(topic, `${bytes.length} bytes of key`);
      return { foreign: foreign.deserialize(bytes.subarray(4, end), foreignInfo), primary: primary.deserialize(bytes.subarray(end), primaryInfo) };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own nodes use the store
}

function corrupt(topic: string, what: string): MillraceError {
  return new MillraceError(
    'ERR_RECORD_UNDECODABLE',
    `${topic} holds a message of a foreign-key join that this version does not know (${what}). Has something else written to it, or a newer version of the application?`,
    { topic },
  );
}
