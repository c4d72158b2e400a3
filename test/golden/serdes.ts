// Serdes by the names of the recorded cases, and values between their JSON form and ours.
import { type Serde, serde } from '@millrace/core';
import type { SerdeName } from './case-format.ts';
import { endText, NotExpressible } from './functions.ts';

const UNLIMITED = 9223372036854775807;

function plain(name: SerdeName): Serde<unknown> {
  if (typeof name === 'object') {
    if (name.windowed === 'session') return erase(serde.sessionWindowed(plain(name.inner)));
    const size = name.size ?? UNLIMITED;
    return erase(serde.windowed(plain(name.inner), { size: size >= UNLIMITED ? Number.MAX_SAFE_INTEGER : size }));
  }
  switch (name) {
    case 'string':
    case 'json':
      return erase(serde.string());
    case 'long':
      return erase(anyLong);
    case 'integer':
      return erase(serde.int32());
    case 'double':
      return erase(serde.float64());
    case 'bytes':
      return erase(serde.bytes());
  }
  throw new NotExpressible(`serde ${JSON.stringify(name)}`);
}

/** Numbers where they are exact, as the functions of the cases want them; beyond 2^53 a bigint that passes through. */
const wide = serde.int64();
const narrow = serde.safeInt();
const anyLong: Serde<number | bigint> = serde.of({
  format: narrow.format,
  serialize: (value: number | bigint, info) => (typeof value === 'bigint' ? wide.serialize(value, info) : narrow.serialize(value, info)),
  deserialize(bytes, info) {
    const exact = wide.deserialize(bytes, info);
    return BigInt.asIntN(54, exact) === exact && Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  },
});

/** The cases are data: types are checked by the recorded results. */
const erase = (typed: unknown): Serde<unknown> => typed as Serde<unknown>;

/** One object per name, as one declaration of a topic would have. Java's serdes all take null. */
const known = new Map<string, Serde<unknown>>();
export function serdeNamed(name: SerdeName): Serde<unknown> {
  const text = JSON.stringify(name);
  const found = known.get(text) ?? serde.nullable(plain(name));
  known.set(text, found as Serde<unknown>);
  return found as Serde<unknown>;
}

/** A value of a script as our program sees it. */
export function fromCase(name: SerdeName, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  if (typeof name === 'object') {
    const { key, start, end } = value as { key: unknown; start: number; end: number };
    return { key: fromCase(name.inner, key), window: { start, end } };
  }
  if (name === 'bytes') return Buffer.from(String(value), 'hex');
  if (name === 'long' && typeof value === 'string') return BigInt(value);
  return value;
}

/** A value of ours as the cases write it. */
export function toCase(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && value !== null && 'window' in value) {
    const { key, window } = value as { key: unknown; window: { start: number; end: number } };
    return { key: toCase(key), start: window.start, end: endText(window.end) };
  }
  return value;
}

/** The same for what a case lists: ends of unlimited windows differ in their last digits once parsed. */
export function normalized(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('end' in value)) return value ?? null;
  const { key, start, end } = value as { key: unknown; start: number; end: number };
  return { key, start, end: endText(end) };
}
