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
      return erase(serde.safeInt());
    case 'integer':
      return erase(serde.int32());
    case 'double':
      return erase(serde.float64());
    case 'bytes':
      return erase(serde.bytes());
  }
  throw new NotExpressible(`serde ${JSON.stringify(name)}`);
}

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
  if (name === 'long' && typeof value === 'string') throw new NotExpressible('64-bit integers beyond 2^53');
  return value;
}

/** A value of ours as the cases write it. */
export function toCase(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
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
