// Serdes without content of their own: bytes, none, nullable, windowed, a user's codec.
import { asBuffer } from '../bytes.ts';
import { type Duration, durationMs } from '../duration.ts';
import { MillraceError } from '../errors.ts';
import type { Windowed } from '../windowed.ts';
import { readSafeInteger, writeSafeInteger } from './numbers.ts';
import type { Serde } from './serde.ts';
import { describe } from './text.ts';

const bytesSerde: Serde<Uint8Array> = {
  format: 'bytes',
  serialize(value) {
    if (!(value instanceof Uint8Array)) throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.bytes() was given ${describe(value)}.`);
    return value;
  },
  deserialize: (bytes) => bytes,
  '~direct': { kind: 'bytes' },
};

/** The bytes as they are: a view on the batch, valid during the call. Copy to keep. */
export const bytes = (): Serde<Uint8Array> => bytesSerde;

const noneSerde: Serde<null> = {
  format: 'none',
  serialize: () => null,
  deserialize: () => null, // whatever is there is ignored: the topic is declared to carry nothing here
  '~null': true,
};

/** No key, no value. */
export const none = (): Serde<null> => noneSerde;

/** The only place where `null` enters a type: a value that may be a tombstone, a key that may be missing. */
export function nullable<V, In>(inner: Serde<V, In>): Serde<V | null, In | null> {
  const direct = inner['~direct'];
  return {
    format: inner.format,
    serialize: (value, info) => (value === null ? null : inner.serialize(value, info)),
    deserialize: (raw, info) => inner.deserialize(raw, info),
    '~null': true,
    ...(direct === undefined ? {} : { '~direct': direct }),
  };
}

function windowedWith<K>(
  inner: Serde<K>,
  format: string,
  size: number,
  write: (windowed: Windowed<K>, target: Buffer, at: number) => void,
  read: (source: Buffer, at: number) => { start: number; end: number },
): Serde<Windowed<K>> {
  return {
    format,
    serialize(value, info) {
      const key = inner.serialize(value.key, info);
      if (key === null) throw new MillraceError('ERR_RECORD_UNENCODABLE', 'a windowed key needs a key that is not null');
      const out = Buffer.allocUnsafe(key.length + size);
      out.set(key, 0);
      write(value, out, key.length);
      return out;
    },
    deserialize(raw, info) {
      if (raw.length < size) throw new MillraceError('ERR_RECORD_UNDECODABLE', `a windowed key has at least ${size} bytes, got ${raw.length}`);
      const source = asBuffer(raw);
      const split = raw.length - size;
      return { key: inner.deserialize(source.subarray(0, split), info), window: read(source, split) };
    },
  };
}

/** A windowed key as Kafka Streams writes it: key bytes, then 8 bytes of window start. The end comes from `size`. */
export function windowed<K>(inner: Serde<K>, options: { readonly size: Duration }): Serde<Windowed<K>> {
  const sizeMs = durationMs(options.size, 'windowed.size');
  return windowedWith(
    inner,
    `windowed(${inner.format})`,
    8,
    (value, target, at) => writeSafeInteger(value.window.start, target, at),
    (source, at) => {
      const start = readSafeInteger(source, at);
      return { start, end: start + sizeMs };
    },
  );
}

/** A session key as Kafka Streams writes it: key bytes, 8 bytes of end, 8 bytes of start. */
export function sessionWindowed<K>(inner: Serde<K>): Serde<Windowed<K>> {
  return windowedWith(
    inner,
    `sessionWindowed(${inner.format})`,
    16,
    (value, target, at) => {
      writeSafeInteger(value.window.end, target, at);
      writeSafeInteger(value.window.start, target, at + 8);
    },
    (source, at) => ({ end: readSafeInteger(source, at), start: readSafeInteger(source, at + 8) }),
  );
}

/** Your own codec. */
export function of<V, In = V>(codec: Serde<V, In>): Serde<V, In> {
  if (typeof codec?.format !== 'string' || typeof codec.serialize !== 'function' || typeof codec.deserialize !== 'function')
    throw new MillraceError('ERR_OPTION', 'serde.of() wants { format, serialize, deserialize }.');
  return codec;
}
