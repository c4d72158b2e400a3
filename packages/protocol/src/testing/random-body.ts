// Bodies of messages as chance has them: values that a version can carry, edges preferred, defaults where it carries nothing.
// Owns: what a body can look like.  Never: encodes it. The same seed gives the same body.
import type { Chance } from '@millrace/core';
import type { Field, Fields } from '../schema.ts';

const TEXTS = ['', 'a', 'topic-1', 'Grüße', '日本', '🙂', 'x'.repeat(130)];
const INT32_EDGES = [0, 1, -1, 7, 0x7fff, 0x10000, 0x7fff_ffff, -0x8000_0000];
const INT64_EDGES = [0, 1, -1, 0x7fff_ffff, 0x1_0000_0000, -0x1_0000_0001, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];

/** A value for every field of `fields`, as `version` carries it. */
export function randomBody(fields: Fields, version: number, flexible: boolean, chance: Chance): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, randomField(field, version, flexible, chance)]));
}

function randomField(field: Field, version: number, flexible: boolean, chance: Chance): unknown {
  const lives = version >= field.since && version <= field.until && (field.tag === undefined || flexible);
  if (!lives || (field.tag !== undefined && chance.integer(3) === 0)) return field.default;
  if (version >= field.nullable && chance.integer(4) === 0) return null;
  const value = randomValue(field, version, flexible, chance);
  // What equals its default is not sent as a tag: a struct is told apart from "left out" by a value of its own.
  return field.tag !== undefined && field.type === 'struct' ? apart(value as Record<string, unknown>) : value;
}

function apart(struct: Record<string, unknown>): Record<string, unknown> {
  const number = Object.keys(struct).find((name) => typeof struct[name] === 'number');
  return number === undefined ? struct : { ...struct, [number]: 5 };
}

function randomValue(field: Field, version: number, flexible: boolean, chance: Chance): unknown {
  switch (field.type) {
    case 'bool':
      return chance.integer(2) === 1;
    case 'int8':
      return chance.integer(0x100) - 0x80;
    case 'int16':
      return chance.integer(0x10000) - 0x8000;
    case 'uint16':
      return chance.integer(0x10000);
    case 'int32':
      return pick(INT32_EDGES, chance) ?? chance.integer(1000);
    case 'int64':
      return pick(INT64_EDGES, chance) ?? chance.integer(1000);
    case 'float64':
      return chance.float() * 1000 - 500;
    case 'uuid':
      return Buffer.from(chance.bytes(16)).toString('base64url');
    case 'string':
      return pick(TEXTS, chance) ?? `text-${chance.integer(1000)}`;
    case 'bytes':
    case 'records':
      return Buffer.from(chance.bytes(chance.integer(20)));
    case 'array':
      return Array.from({ length: chance.integer(4) }, () => randomField(field.element as Field, version, flexible, chance));
    case 'struct':
      return randomBody(field.fields as Fields, version, flexible, chance);
  }
}

/** Half the time one of them. */
function pick<T>(values: readonly T[], chance: Chance): T | undefined {
  return chance.integer(2) === 0 ? undefined : values[chance.integer(values.length)];
}
