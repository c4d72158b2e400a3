// Bytes of the store in which a stream-table join with grace keeps records until their time has come, as Kafka Streams writes them (semantics 11.7).
// Key: 0 | 8-byte time | key | 4-byte sequence. Value: the record's context (8-byte time, 8-byte offset, 4-byte length and topic, 4-byte
// partition, 4-byte count and headers), -1, -1, 4-byte length and value, 8 bytes of padding.
import {
  asBuffer,
  copyBytes,
  createHeaders,
  type ErasedSerde,
  encodeWith,
  MillraceError,
  noHeaders,
  type RecordHeaders,
  readSafeInteger,
  type Serde,
  writeSafeInteger,
} from '@millrace/core';
import type { SourcePosition } from '@millrace/topology';

export interface WaitingKey {
  readonly timestamp: number;
  readonly key: unknown;
  /** Tells records of one key and time apart. */
  readonly sequence: number;
}

export interface WaitingRecord {
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  readonly source: SourcePosition | undefined;
}

const TIME_AT = 1;
const KEY_AT = 9;
const SEQUENCE_BYTES = 4;
const NONE = -1;
const PADDING_BYTES = 8;

export function waitingKeySerde(inner: ErasedSerde): ErasedSerde {
  const serde: Serde<WaitingKey> = {
    format: `waiting(${inner.format})`,
    serialize({ timestamp, key, sequence }, info) {
      const bytes = encodeWith(inner, key, info) ?? Buffer.alloc(0);
      const all = Buffer.allocUnsafe(KEY_AT + bytes.length + SEQUENCE_BYTES);
      all[0] = 0;
      writeSafeInteger(timestamp, all, TIME_AT);
      all.set(bytes, KEY_AT);
      all.writeInt32BE(sequence, KEY_AT + bytes.length);
      return all;
    },
    deserialize(given, info) {
      const all = asBuffer(given);
      const end = all.length - SEQUENCE_BYTES;
      if (end < KEY_AT) throw corrupt(info.topic);
      return { timestamp: readSafeInteger(all, TIME_AT), key: inner.deserialize(all.subarray(KEY_AT, end), info), sequence: all.readInt32BE(end) };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own node uses the store
}

export function waitingRecordSerde(inner: ErasedSerde): ErasedSerde {
  const serde: Serde<WaitingRecord> = {
    format: `waiting(${inner.format})`,
    serialize(record, info) {
      const value = encodeWith(inner, record.value, info) ?? Buffer.alloc(0);
      return Buffer.concat([contextOf(record), int32(NONE), int32(NONE), int32(value.length), value, Buffer.alloc(PADDING_BYTES)]);
    },
    deserialize(given, info) {
      const reader = new Reader(copyBytes(given), info.topic);
      const timestamp = reader.long();
      const offset = reader.long();
      const topic = reader.bytes(reader.int())?.toString('utf8') ?? '';
      const partition = reader.int();
      const headers: (readonly [string, Uint8Array | null])[] = [];
      for (let left = reader.int(); left > 0; left--) headers.push([reader.bytes(reader.int())?.toString('utf8') ?? '', reader.bytes(reader.int()) ?? null]);
      reader.bytes(reader.int());
      reader.bytes(reader.int());
      const value = reader.bytes(reader.int());
      return {
        value: value === undefined ? null : inner.deserialize(value, info),
        timestamp,
        headers: headers.length === 0 ? noHeaders : createHeaders(headers),
        source: offset < 0 ? undefined : { topic, partition, offset },
      };
    },
  };
  return serde as ErasedSerde; // sound: only the join's own node uses the store
}

function contextOf({ timestamp, source, headers }: WaitingRecord): Buffer {
  const topic = Buffer.from(source?.topic ?? '', 'utf8');
  const parts: Uint8Array[] = [int64(timestamp), int64(source?.offset ?? NONE), int32(topic.length), topic, int32(source?.partition ?? NONE)];
  const list = [...headers];
  parts.push(int32(list.length));
  for (const [name, value] of list) {
    const bytes = Buffer.from(name, 'utf8');
    parts.push(int32(bytes.length), bytes, int32(value?.length ?? NONE), value ?? Buffer.alloc(0));
  }
  return Buffer.concat(parts);
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #topic: string;
  #at = 0;
  constructor(bytes: Buffer, topic: string) {
    this.#bytes = bytes;
    this.#topic = topic;
  }
  long(): number {
    return Number(this.#take(8).readBigInt64BE());
  }
  int(): number {
    return this.#take(4).readInt32BE();
  }
  /** Undefined for a negative length. */
  bytes(length: number): Buffer | undefined {
    return length < 0 ? undefined : this.#take(length);
  }
  #take(length: number): Buffer {
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw corrupt(this.#topic);
    return this.#bytes.subarray(from, this.#at);
  }
}

function corrupt(topic: string): MillraceError {
  return new MillraceError('ERR_STORE_CORRUPT', `A row of ${topic} is not one that a join has kept for later. Has something else written to it?`, { topic });
}
