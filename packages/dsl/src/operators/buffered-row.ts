// Bytes of a suppress buffer's rows, as Kafka Streams writes them on its changelog (semantics 15.8), version 3:
// time 8 | offset 8 | topic 4+n | partition 4 | header count 4 | (name 4+n, value 4+n)… | prior 4+n | old 4+n | new 4+n | buffer time 8
// Length -1: null. Length -2 of `old`: it equals `prior`. Big-endian.
import {
  asBuffer,
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

/** A change that waits. */
export interface BufferedRow {
  /** The row as those below have last seen it; null: there was none. */
  readonly prior: unknown;
  /** The row before the newest change. */
  readonly old: unknown;
  /** The newest value; null: a delete. */
  readonly value: unknown;
  /** Decides when it goes on, ms. */
  readonly bufferTime: number;
  /** Of the record behind the newest change. */
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  /** Undefined below a timer. */
  readonly source: SourcePosition | undefined;
}

const NULL = -1;
const SAME_AS_PRIOR = -2;
/** What each changelog record that is no tombstone carries: the version of the bytes. */
export const BUFFER_HEADERS: RecordHeaders = createHeaders([['v', Buffer.from([3])]]);

export function bufferedRowSerde(value: ErasedSerde): ErasedSerde {
  const serde: Serde<BufferedRow> = {
    format: `buffered(${value.format})`,
    serialize(row, info) {
      const encode = (part: unknown): Buffer | null => {
        const bytes = part === null || part === undefined ? null : encodeWith(value, part, info);
        return bytes === null ? null : asBuffer(bytes);
      };
      return write(row, encode(row.prior), encode(row.old), encode(row.value));
    },
    deserialize(bytes, info) {
      const decode = (part: Buffer | null): unknown => (part === null ? null : value.deserialize(part, { ...info, headers: noHeaders }));
      return read(asBuffer(bytes), decode, info.topic);
    },
  };
  return serde as ErasedSerde; // sound: only suppress uses the store
}

/** Bytes that Kafka Streams charges for a row beside its key: `bytesMax` counts as there. */
export function bufferedBytes(row: BufferedRow, prior: Buffer | null, old: Buffer | null, value: Buffer | null): number {
  let bytes = 8 + 8 + 8 + 4 + (row.source?.topic.length ?? 0) + (prior?.length ?? 0) + (value?.length ?? 0);
  if (old !== null && prior?.equals(old) !== true) bytes += old.length;
  for (const [name, header] of row.headers) bytes += name.length + (header?.length ?? 0);
  return bytes;
}

function write(row: BufferedRow, prior: Buffer | null, old: Buffer | null, value: Buffer | null): Buffer {
  const topic = Buffer.from(row.source?.topic ?? '', 'utf8');
  const headers = [...row.headers].map(([name, header]) => [Buffer.from(name, 'utf8'), header] as const);
  const isSame = prior !== null && old !== null && prior.equals(old);
  let size = 8 + 8 + 4 + topic.length + 4 + 4 + 12 + (prior?.length ?? 0) + (isSame ? 0 : (old?.length ?? 0)) + (value?.length ?? 0) + 8;
  for (const [name, header] of headers) size += 8 + name.length + (header?.length ?? 0);
  const out = Buffer.allocUnsafe(size);
  writeSafeInteger(row.timestamp, out, 0);
  out.writeBigInt64BE(BigInt(row.source?.offset ?? -1), 8);
  let at = 16;
  const put = (bytes: Uint8Array | null): void => {
    out.writeInt32BE(bytes?.length ?? NULL, at);
    if (bytes !== null) out.set(bytes, at + 4);
    at += 4 + (bytes?.length ?? 0);
  };
  put(topic);
  at = out.writeInt32BE(row.source?.partition ?? -1, at);
  at = out.writeInt32BE(headers.length, at);
  for (const [name, header] of headers) {
    put(name);
    put(header);
  }
  put(prior);
  if (isSame) at = out.writeInt32BE(SAME_AS_PRIOR, at);
  else put(old);
  put(value);
  writeSafeInteger(row.bufferTime, out, at);
  return out;
}

function read(bytes: Buffer, decode: (part: Buffer | null) => unknown, topic: string): BufferedRow {
  try {
    let at = 16;
    const take = (): Buffer | null => {
      const length = bytes.readInt32BE(at);
      at += 4 + Math.max(0, length);
      if (at > bytes.length) throw new RangeError('past the end');
      return length < 0 ? null : bytes.subarray(at - length, at);
    };
    const timestamp = readSafeInteger(bytes, 0);
    const offset = Number(bytes.readBigInt64BE(8));
    const from = take()?.toString('utf8') ?? '';
    const partition = bytes.readInt32BE(at);
    const count = bytes.readInt32BE(at + 4);
    at += 8;
    const headers: (readonly [string, Uint8Array | null])[] = [];
    for (let index = 0; index < count; index++) {
      const name = take()?.toString('utf8') ?? '';
      const header = take();
      headers.push([name, header === null ? null : Buffer.from(header)]);
    }
    const prior = decode(take());
    const isSame = bytes.readInt32BE(at) === SAME_AS_PRIOR;
    const old = take();
    const value = decode(take());
    return {
      prior,
      old: isSame ? prior : decode(old),
      value,
      bufferTime: readSafeInteger(bytes, at),
      timestamp,
      headers: headers.length === 0 ? noHeaders : createHeaders(headers),
      source: offset < 0 ? undefined : { topic: from, partition, offset },
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new MillraceError(
      'ERR_STORE_CORRUPT',
      `a row of the suppress buffer behind ${topic} is cut short; the store has to be rebuilt from its changelog`,
      { topic },
      error,
    );
  }
}
