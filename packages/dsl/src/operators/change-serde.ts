// Bytes of a change between a regrouped table and its aggregate, as Kafka Streams writes them (semantics 9.10), so that a repartition topic
// can be taken over. The flag is the last byte: 0 the old value only, 1 the new one only, 2 both, with the length of the new one in front.
// 3, 4 and 5 are the same with one byte more before the flag (is this the latest version); read, never written.
import { type ErasedSerde, encodeWith, MillraceError, type Serde, type SerdeInfo } from '@millrace/core';
import { type Change, ChangeCell } from '../change.ts';

const OLD_ONLY = 0;
const NEW_ONLY = 1;
const BOTH = 2;
/** Flags from here on have the byte that says whether the change is the latest. */
const WITH_LATEST = 3;

/** Every change read is an object of its own: records wait in queues. */
export function changeSerde(inner: ErasedSerde): ErasedSerde {
  const serde: Serde<unknown, Change> = {
    format: `change(${inner.format})`,
    serialize(change, info) {
      const now = change.kind === 'put' ? encodeWith(inner, change.value, info) : null;
      const before = change.priorKind === 'present' ? encodeWith(inner, change.prior, info) : null;
      return join(now, before, info);
    },
    deserialize(bytes, info) {
      return split(bytes, inner, info);
    },
  };
  // Sound: only the two ends of a regrouping use it, and both handle changes.
  return serde as ErasedSerde;
}

function join(now: Uint8Array | null, before: Uint8Array | null, info: SerdeInfo): Uint8Array {
  if (now !== null && before !== null) {
    const length = zigZag(now.length);
    return Buffer.concat([length, now, before, Buffer.of(BOTH)]);
  }
  if (now !== null) return Buffer.concat([now, Buffer.of(NEW_ONLY)]);
  if (before !== null) return Buffer.concat([before, Buffer.of(OLD_ONLY)]);
  throw new MillraceError(
    'ERR_RECORD_UNENCODABLE',
    `A change with neither a new nor an old value cannot be written to topic ${info.topic}: the value serde wrote null for both.`,
    {
      topic: info.topic,
    },
  );
}

function split(bytes: Uint8Array, inner: ErasedSerde, info: SerdeInfo): Change {
  const last = bytes[bytes.length - 1];
  if (last === undefined || last > BOTH + WITH_LATEST) throw corrupt(info);
  const flag = last >= WITH_LATEST ? last - WITH_LATEST : last;
  const end = bytes.length - (last >= WITH_LATEST ? 2 : 1);
  if (end < 0) throw corrupt(info);
  const read = (from: number, to: number): unknown => inner.deserialize(bytes.subarray(from, to), info);
  const cell = new ChangeCell();
  if (flag === NEW_ONLY) return cell.withoutPrior(read(0, end));
  if (flag === OLD_ONLY) return cell.withPrior(null, read(0, end));
  const { length, at } = readZigZag(bytes, end, info);
  if (length < 0 || at + length > end) throw corrupt(info);
  return cell.withPrior(read(at, at + length), read(at + length, end));
}

/** Protobuf's sint32. */
function zigZag(value: number): Buffer {
  const bytes: number[] = [];
  let left = value * 2;
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}

function readZigZag(bytes: Uint8Array, end: number, info: SerdeInfo): { readonly length: number; readonly at: number } {
  let raw = 0;
  let scale = 1;
  for (let at = 0; at < Math.min(end, 5); at++) {
    const byte = bytes[at] as number;
    raw += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return { length: raw % 2 === 0 ? raw / 2 : -1, at: at + 1 };
  }
  throw corrupt(info);
}

function corrupt(info: SerdeInfo): MillraceError {
  return new MillraceError(
    'ERR_RECORD_UNDECODABLE',
    `A record of topic ${info.topic} is not a change of a regrouped table. Has something else written to this internal topic?`,
    {
      topic: info.topic,
    },
  );
}
