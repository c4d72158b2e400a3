// A request that is nearly right: values replaced by those that lie on an edge.
// Owns: the edges.  Never: encodes; what a version cannot carry is found out there.
import type { Chance } from '@millrace/core';
import { Known } from './side.ts';

const NUMBERS = [-3, -2, -1, 0, 1, 2, 5, 7, 100, 1_000, 0x7fff, 0x7fff_ffff, -0x8000_0000, Number.MAX_SAFE_INTEGER];
const LONG = 'x'.repeat(250);

export interface Edges {
  /** Names worth trying in the place of any text. */
  readonly texts: readonly string[];
}

/** The body with one value changed. Nothing given is changed in place. */
export function mutate(body: unknown, chance: Chance, edges: Edges): unknown {
  const places = countPlaces(body);
  return places === 0 ? body : replaceAt(body, { left: chance.integer(places) }, chance, edges);
}

function isLeaf(value: unknown): boolean {
  return value instanceof Known || typeof value === 'function' || Buffer.isBuffer(value) || value === null || typeof value !== 'object';
}

function countPlaces(value: unknown): number {
  if (isLeaf(value)) return 1;
  const inner = Array.isArray(value) ? value : Object.values(value as object);
  return inner.reduce((sum: number, one) => sum + countPlaces(one), Array.isArray(value) ? 1 : 0);
}

function replaceAt(value: unknown, countdown: { left: number }, chance: Chance, edges: Edges): unknown {
  if (isLeaf(value)) return countdown.left-- === 0 ? other(value, chance, edges) : value;
  if (Array.isArray(value)) {
    if (countdown.left-- === 0) return otherArray(value, chance);
    return value.map((one) => replaceAt(one, countdown, chance, edges));
  }
  return Object.fromEntries(Object.entries(value as object).map(([name, one]) => [name, replaceAt(one, countdown, chance, edges)]));
}

function other(value: unknown, chance: Chance, { texts }: Edges): unknown {
  const pick = <T>(from: readonly T[]): T => from[chance.integer(from.length)] as T;
  const kind = value instanceof Known ? typeof value.fallback : typeof value;
  if (kind === 'number') return pick(NUMBERS);
  if (kind === 'boolean') return value !== true;
  if (kind === 'string' || value === null) return pick([...texts, '', ' ', 'no-such', 'a b', LONG, '.', '__consumer_offsets', null]);
  if (Buffer.isBuffer(value)) return pick([Buffer.alloc(0), value.subarray(0, value.length >> 1), flipped(value, chance), null]);
  return value;
}

function otherArray(value: readonly unknown[], chance: Chance): unknown {
  switch (chance.integer(4)) {
    case 0:
      return [];
    case 1:
      return null;
    case 2:
      return value.length === 0 ? value : [...value, value[0]];
    default:
      return value.slice(1);
  }
}

function flipped(bytes: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[chance.integer(copy.length)] = chance.integer(256);
  return copy;
}
