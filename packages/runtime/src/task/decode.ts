// Bytes of a record to the values a graph sees: by the serde's direct form where there is one, without an intermediate array.
// One reader function per source, key and value, chosen once.
// Never: asks the policy (the queue does). What it returns outlives the frame, but for serde.bytes(), which promises a view for the
// length of the call: a copy would cost three times the view, and stores copy what they keep.
import { type DirectForm, type ErasedSerde, MillraceError, noHeaders, type SerdeInfo } from '@millrace/core';
import type { RecordReader } from '@millrace/protocol';
import type { SourceNode } from '@millrace/topology';

export type ReadPart = (reader: RecordReader) => unknown;

export interface Decoder {
  readonly key: ReadPart;
  readonly value: ReadPart;
}

/** `buffer.utf8Slice` is in every Node and twice as fast as a decoder; its types leave it out. */
export type Utf8Slice = Buffer & { utf8Slice(start: number, end: number): string };

/** Throws, from the functions it returns: ERR_UNEXPECTED_NULL_KEY, ERR_UNEXPECTED_TOMBSTONE, and whatever a serde throws. */
export function createDecoder(source: SourceNode, topic: string): Decoder {
  const key = readBytesOf(source.key, 'key', topic);
  const value = readBytesOf(source.value, 'value', topic);
  const noKey = nullReader(
    source.key,
    () =>
      new MillraceError(
        'ERR_UNEXPECTED_NULL_KEY',
        `a record of ${topic} has no key, and its key serde (${source.key.format}) has no null. Declare serde.nullable(…) or serde.none() for the key, or set onError: 'skip'`,
      ),
  );
  const noValue =
    source.nullValues === 'tombstone'
      ? () => null
      : nullReader(
          source.value,
          () =>
            new MillraceError(
              'ERR_UNEXPECTED_TOMBSTONE',
              `a record of ${topic} has no value (a tombstone), and its value serde (${source.value.format}) has no null. Read the topic as a table, declare serde.nullable(…), or set onError: 'skip'`,
            ),
        );
  return {
    key: (reader) => (reader.keyLength < 0 ? noKey() : key(reader.buffer, reader.keyStart, reader.keyLength, reader)),
    value: (reader) => (reader.valueLength < 0 ? noValue() : value(reader.buffer, reader.valueStart, reader.valueLength, reader)),
  };
}

function nullReader(serde: ErasedSerde, error: () => MillraceError): () => null {
  if (serde['~null'] === true) return () => null;
  return () => {
    throw error();
  };
}

/** One small object from Node's slab and one copy; the frame it came from will be used again. */
function copyOf(buffer: Buffer, start: number, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  buffer.copy(copy, 0, start, start + length);
  return copy;
}

type ReadBytes = (buffer: Buffer, start: number, length: number, reader: RecordReader) => unknown;

function readBytesOf(serde: ErasedSerde, role: 'key' | 'value', topic: string): ReadBytes {
  const direct = serde['~direct'];
  if (direct !== undefined) return readDirect(serde, direct);
  return (buffer, start, length, reader) => {
    const info: SerdeInfo = { topic, role, headers: reader.headerCount === 0 ? noHeaders : reader.headers() };
    return serde.deserialize(copyOf(buffer, start, length), info);
  };
}

function readDirect(serde: ErasedSerde, direct: DirectForm): ReadBytes {
  switch (direct.kind) {
    case 'text': {
      const { fromText } = direct;
      return (buffer, start, length) => fromText((buffer as Utf8Slice).utf8Slice(start, start + length));
    }
    case 'fixed': {
      const { size, read } = direct;
      return (buffer, start, length) => {
        if (length !== size) throw new MillraceError('ERR_RECORD_UNDECODABLE', `${serde.format} wants ${size} bytes, got ${length}`);
        return read(buffer, start);
      };
    }
    case 'bytes':
      return (buffer, start, length) => buffer.subarray(start, start + length);
  }
}
