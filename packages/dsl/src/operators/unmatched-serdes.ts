// Bytes of the store in which a left or outer join keeps records that have found no partner yet, as Kafka Streams writes them (semantics 17.10).
// Key: 8-byte time | side (1 left, 0 right) | key. Value: 1 | 4-byte count | for each value 4-byte length, side, bytes.
import { asBuffer, type ErasedSerde, encodeWith, MillraceError, readSafeInteger, type Serde, writeSafeInteger } from '@millrace/core';

export interface UnmatchedKey {
  readonly timestamp: number;
  readonly isLeft: boolean;
  readonly key: unknown;
}

const KEY_AT = 9;
const HEAD_BYTES = 5;
/** First byte of a list whose values differ in length. */
const VARIABLE_SIZE = 1;

export function unmatchedKeySerde(inner: ErasedSerde): ErasedSerde {
  const serde: Serde<UnmatchedKey> = {
    format: `unmatched(${inner.format})`,
    serialize({ timestamp, isLeft, key }, info) {
      const bytes = encodeWith(inner, key, info) ?? Buffer.alloc(0);
      const all = Buffer.allocUnsafe(KEY_AT + bytes.length);
      writeSafeInteger(timestamp, all, 0);
      all[KEY_AT - 1] = isLeft ? 1 : 0;
      all.set(bytes, KEY_AT);
      return all;
    },
    deserialize(bytes, info) {
      const all = asBuffer(bytes);
      if (all.length < KEY_AT) throw corrupt(info.topic);
      return { timestamp: readSafeInteger(all, 0), isLeft: all[KEY_AT - 1] === 1, key: inner.deserialize(all.subarray(KEY_AT), info) };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own nodes use the store
}

/** A list of values of one side; which side is in the key as well, so the list is decoded by its own bytes alone. */
export interface UnmatchedValues {
  readonly isLeft: boolean;
  readonly values: readonly unknown[];
}

export function unmatchedValuesSerde(left: ErasedSerde, right: ErasedSerde): ErasedSerde {
  const serde: Serde<UnmatchedValues> = {
    format: `unmatched(${left.format}|${right.format})`,
    serialize({ isLeft, values }, info) {
      const head = Buffer.allocUnsafe(HEAD_BYTES);
      head[0] = VARIABLE_SIZE;
      head.writeInt32BE(values.length, 1);
      const parts: Uint8Array[] = [head];
      for (const value of values) {
        const bytes = encodeWith(isLeft ? left : right, value, info) ?? Buffer.alloc(0);
        const front = Buffer.allocUnsafe(5);
        front.writeInt32BE(bytes.length + 1, 0);
        front[4] = isLeft ? 1 : 0;
        parts.push(front, bytes);
      }
      return Buffer.concat(parts);
    },
    deserialize(bytes, info) {
      const all = asBuffer(bytes);
      if (all.length < HEAD_BYTES || all[0] !== VARIABLE_SIZE) throw corrupt(info.topic);
      const count = all.readInt32BE(1);
      const values: unknown[] = [];
      let isLeft = false;
      let at = HEAD_BYTES;
      for (let index = 0; index < count; index++) {
        if (at + 5 > all.length) throw corrupt(info.topic);
        const length = all.readInt32BE(at);
        if (length < 1 || at + 4 + length > all.length) throw corrupt(info.topic);
        isLeft = all[at + 4] === 1;
        values.push((isLeft ? left : right).deserialize(all.subarray(at + 5, at + 4 + length), info));
        at += 4 + length;
      }
      return { isLeft, values };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own nodes use the store
}

function corrupt(topic: string): MillraceError {
  return new MillraceError(
    'ERR_STORE_CORRUPT',
    `A row of ${topic} is not one that a join has kept for records without partner. Has something else written to it?`,
    {
      topic,
    },
  );
}
