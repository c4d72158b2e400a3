// One record on its way through an asynchronous operator, and how it is written to the pending store.
// Layout, big-endian: format (1) | timestamp (8, double) | offset (8, double; -1 below a timer) | partition (4) | then, each as length (4, -1 for
// none) and bytes: topic, idempotency key, key, value, raw key, raw value | headers: count (4), per header name and value as above.
// Ours alone: Kafka Streams has no such operator.
import { createHeaders, type ErasedSerde, MillraceError, type Serde, type SerdeInfo } from '@millrace/core';
import type { EarlierRecord } from '@millrace/topology';

/** What a call needs to be made, and made again. */
export interface PendingRecord extends EarlierRecord {
  readonly key: unknown;
  readonly value: unknown;
  /** The same on every attempt and after every crash. */
  readonly idempotencyKey: string;
}

const FORMAT = 1;

/** Of the pending store's values: `key` and `value` are the serdes of the records that come in. */
export function pendingSerde(key: ErasedSerde, value: ErasedSerde): Serde<PendingRecord> {
  return {
    format: `pending(${key.format},${value.format})`,
    serialize(record, info) {
      const infoOf = (role: 'key' | 'value'): SerdeInfo => ({ topic: info.topic, role, headers: record.headers });
      const bytesOf = (serde: ErasedSerde, part: unknown, role: 'key' | 'value'): Uint8Array | null =>
        part === null || part === undefined ? null : serde.serialize(part as never, infoOf(role));
      const fields: (Uint8Array | null)[] = [
        record.source === undefined ? null : Buffer.from(record.source.topic),
        Buffer.from(record.idempotencyKey),
        bytesOf(key, record.key, 'key'),
        bytesOf(value, record.value, 'value'),
        record.rawKey,
        record.rawValue,
      ];
      const head = Buffer.alloc(21);
      head.writeUInt8(FORMAT, 0);
      head.writeDoubleBE(record.timestamp, 1);
      head.writeDoubleBE(record.source?.offset ?? -1, 9);
      head.writeInt32BE(record.source?.partition ?? -1, 17);
      const parts: Uint8Array[] = [head, ...fields.flatMap(field), length(record.headers.size)];
      for (const [name, content] of record.headers) parts.push(...field(Buffer.from(name)), ...field(content));
      return Buffer.concat(parts);
    },
    deserialize(bytes, info) {
      const reader = new FieldReader(bytes);
      if (reader.buffer.readUInt8(0) !== FORMAT) throw unreadable(`format ${reader.buffer.readUInt8(0)}`);
      const timestamp = reader.buffer.readDoubleBE(1);
      const offset = reader.buffer.readDoubleBE(9);
      const partition = reader.buffer.readInt32BE(17);
      const topic = reader.field();
      const idempotencyKey = reader.field()?.toString() ?? '';
      const [keyBytes, valueBytes, rawKey, rawValue] = [reader.field(), reader.field(), reader.field(), reader.field()];
      const headers = createHeaders(Array.from({ length: reader.count() }, () => [reader.field()?.toString() ?? '', reader.field()] as const));
      return {
        timestamp,
        headers,
        source: topic === null ? undefined : { topic: topic.toString(), partition, offset },
        rawKey,
        rawValue,
        idempotencyKey,
        key: keyBytes === null ? null : key.deserialize(keyBytes, { topic: info.topic, role: 'key', headers }),
        value: valueBytes === null ? null : value.deserialize(valueBytes, { topic: info.topic, role: 'value', headers }),
      };
    },
  };
}

function length(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeInt32BE(bytes, 0);
  return buffer;
}

function field(bytes: Uint8Array | null): Uint8Array[] {
  return bytes === null ? [length(-1)] : [length(bytes.length), bytes];
}

class FieldReader {
  readonly buffer: Buffer;
  #at = 21;
  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < this.#at) throw unreadable(`${bytes.length} bytes`);
  }
  count(): number {
    if (this.#at + 4 > this.buffer.length) throw unreadable('it is cut short');
    const count = this.buffer.readInt32BE(this.#at);
    this.#at += 4;
    return count;
  }
  field(): Buffer | null {
    const size = this.count();
    if (size < 0) return null;
    const end = this.#at + size;
    if (end > this.buffer.length) throw unreadable('it is cut short');
    const bytes = Buffer.from(this.buffer.subarray(this.#at, end));
    this.#at = end;
    return bytes;
  }
}

function unreadable(why: string): MillraceError {
  return new MillraceError('ERR_STORE_CORRUPT', `a row of a pending store cannot be read: ${why}`);
}
