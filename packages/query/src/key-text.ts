// A key as it stands in a URL, read by the store's own key serde.
// The text becomes a value, and the value must pass the serde: what the serde would not write cannot be in the store.
import { type ErasedSerde, encodeWith, noHeaders } from '@millrace/core';
import { Problem } from './problem.ts';

export const KEY_FORMATS = ['auto', 'json', 'string', 'base64', 'hex'] as const;
export type KeyFormat = (typeof KEY_FORMATS)[number];

/** The key value behind `text`. Throws the problem invalid-key. */
export function parseKey(serde: ErasedSerde, text: string, format: KeyFormat): unknown {
  for (const candidate of candidates(serde, text, format)) {
    if (isHeldBy(serde, candidate)) return candidate;
  }
  throw new Problem(
    'invalid-key',
    `"${text.slice(0, 100)}" is no key of this store: its keys are ${serde.format}${format === 'auto' ? '' : `, and keyFormat is ${format}`}.`,
  );
}

function candidates(serde: ErasedSerde, text: string, format: KeyFormat): readonly unknown[] {
  switch (format) {
    case 'string':
      return [text];
    case 'json':
      return fromJson(text);
    case 'base64':
      return fromBytes(serde, Buffer.from(text, text.includes('-') || text.includes('_') ? 'base64url' : 'base64'));
    case 'hex':
      return /^([0-9a-f]{2})*$/i.test(text) ? fromBytes(serde, Buffer.from(text, 'hex')) : [];
    case 'auto':
      break;
  }
  switch (serde.format) {
    case 'string':
    case 'uuid':
      return [text];
    case 'int16':
    case 'int32':
      return /^-?\d+$/.test(text) ? [Number(text)] : [];
    case 'int64':
      return /^-?\d{1,20}$/.test(text) ? [BigInt(text), Number(text)] : []; // one format, two value types: a bigint or a safe number
    case 'float32':
    case 'float64':
      return text.trim() === '' ? [] : [Number(text)];
    case 'boolean':
      return text === 'true' ? [true] : text === 'false' ? [false] : [];
    case 'bytes':
      return [Buffer.from(text, 'utf8')];
    case 'json':
      return [...fromJson(text), text]; // alice is easier to type than "alice"
    default:
      return [text, ...fromJson(text)]; // a codec of the user's own: it knows what it takes
  }
}

function fromJson(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

function fromBytes(serde: ErasedSerde, bytes: Buffer): readonly unknown[] {
  try {
    return [serde.deserialize(bytes, INFO)];
  } catch {
    return [];
  }
}

const INFO = { topic: '', role: 'key', headers: noHeaders } as const;

function isHeldBy(serde: ErasedSerde, value: unknown): boolean {
  try {
    return encodeWith(serde, value, INFO) !== null;
  } catch {
    return false;
  }
}
