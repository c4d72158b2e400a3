// Serdes whose bytes are UTF-8 text: string, uuid.
import { asBuffer } from '../bytes.ts';
import { MillraceError } from '../errors.ts';
import type { Serde } from './serde.ts';

function textSerde(format: string, check: (value: unknown) => string): Serde<string> {
  return {
    format,
    serialize: (value) => Buffer.from(check(value), 'utf8'),
    deserialize: (bytes) => asBuffer(bytes).toString('utf8'),
    '~direct': { kind: 'text', toText: (value) => check(value), fromText: (text) => text },
  };
}

const plain = textSerde('string', (value) => {
  if (typeof value !== 'string')
    throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.string() was given ${describe(value)}. Map it to a string first, or declare another serde.`);
  return value;
});

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const uuidText = textSerde('uuid', (value) => {
  if (typeof value !== 'string' || !UUID.test(value))
    throw new MillraceError('ERR_RECORD_UNENCODABLE', `serde.uuid() was given ${describe(value)}, which is no UUID.`);
  return value;
});

/** UTF-8 text. `T` may be a union or a brand. */
export function string<T extends string = string>(): Serde<T> {
  return plain as unknown as Serde<T>; // sound: T is erased text; what is read is trusted to be of T, as api.md says
}

/** A UUID as its 36 characters, as Kafka's UUIDSerde writes it. */
export function uuid(): Serde<string> {
  return uuidText;
}

/** A value in a few characters, for messages. */
export function describe(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value)
      : typeof value === 'bigint'
        ? `${value}n`
        : typeof value === 'object' && value !== null
          ? `a ${value.constructor?.name ?? 'object'}`
          : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
