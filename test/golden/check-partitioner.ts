// Partitions as Java chose them: of plain keys by murmur2, of windowed keys by the bytes of the key inside. Knows no test runner.
import { isDeepStrictEqual } from 'node:util';
import { murmur2, noHeaders, partitionForKey, serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import type { Difference } from './check-case.ts';

export interface Vectors {
  readonly counts: readonly number[];
  readonly murmur2: readonly { readonly key: string; readonly murmur2: number; readonly partitions: readonly number[] }[];
  readonly windowed: readonly WindowedVector[];
}
interface WindowedVector {
  readonly kind: 'time' | 'session';
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly size?: number;
  readonly serialized: string;
  readonly partitions: readonly number[];
}

/** One list of differences per vector; empty lists are equal ones. */
export function checkPartitioner({ counts, murmur2: plain, windowed }: Vectors): readonly (readonly Difference[])[] {
  const differences = (part: string, expected: unknown, actual: unknown): Difference[] => (isDeepStrictEqual(expected, actual) ? [] : [{ part, expected, actual }]);
  return [
    ...plain.map(({ key, murmur2: hash, partitions }) => {
      const bytes = Buffer.from(key, 'hex');
      return differences(`murmur2 of ${key}`, { hash, partitions }, { hash: murmur2(bytes, 0, bytes.length), partitions: counts.map((count) => partitionForKey(bytes, 0, bytes.length, count)) });
    }),
    ...windowed.map((vector) => {
      const { serialized, partitions } = vector;
      return differences(`windowed ${vector.key}@${vector.start}`, { serialized, partitions }, windowedResult(vector, counts));
    }),
  ];
}

/** Through a sink of ours: it is the sink that leaves the window out of what is hashed. */
function windowedResult({ kind, key, start, end, size }: WindowedVector, counts: readonly number[]) {
  const keySerde = kind === 'time' ? serde.windowed(serde.string(), { size: size ?? end - start }) : serde.sessionWindowed(serde.string());
  const out = topic('out', { key: keySerde, value: serde.string() });
  const built = topology('sink', (t) => t.stream(topic('in', { key: keySerde, value: serde.string() })).to(out));
  const sink = [...built.nodes.values()].find((node) => node.kind === 'sink');
  const bytes = keySerde.serialize({ key, window: { start, end } }, { topic: 'out', role: 'key', headers: noHeaders }) as Uint8Array;
  const hashed = bytes.length - (sink?.keySuffixBytes ?? 0);
  return { serialized: Buffer.from(bytes).toString('hex'), partitions: counts.map((count) => partitionForKey(bytes, 0, hashed, count)) };
}
