// Partitions as Java chose them: of plain keys by murmur2, of windowed keys by the bytes of the key inside.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { murmur2, noHeaders, partitionForKey, serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { describe, expect, test } from 'vitest';

interface Vectors {
  readonly counts: readonly number[];
  readonly murmur2: readonly { readonly key: string; readonly murmur2: number; readonly partitions: readonly number[] }[];
  readonly windowed: readonly { readonly kind: 'time' | 'session'; readonly key: string; readonly start: number; readonly end: number; readonly size?: number; readonly serialized: string; readonly partitions: readonly number[] }[];
}
const vectors = JSON.parse(readFileSync(fileURLToPath(new URL('./parity/partitioner.json', import.meta.url)), 'utf8')) as Vectors;

test('plain keys hash and partition as in Java', () => {
  for (const { key, murmur2: hash, partitions } of vectors.murmur2) {
    const bytes = Buffer.from(key, 'hex');
    expect(murmur2(bytes, 0, bytes.length)).toBe(hash);
    expect(vectors.counts.map((count) => partitionForKey(bytes, 0, bytes.length, count))).toEqual(partitions);
  }
});

describe('a sink of windowed keys', () => {
  for (const kind of ['time', 'session'] as const) {
    test(`leaves the ${kind} window out of what is hashed`, () => {
      for (const { key, start, end, size, serialized: recorded, partitions, kind: recordedKind } of vectors.windowed) {
        if (recordedKind !== kind) continue;
        const keySerde = kind === 'time' ? serde.windowed(serde.string(), { size: size ?? end - start }) : serde.sessionWindowed(serde.string());
        const out = topic('out', { key: keySerde, value: serde.string() });
        const built = topology('sink', (t) => t.stream(topic('in', { key: keySerde, value: serde.string() })).to(out));
        const sink = [...built.nodes.values()].find((node) => node.kind === 'sink');
        const bytes = keySerde.serialize({ key, window: { start, end } }, { topic: 'out', role: 'key', headers: noHeaders }) as Uint8Array;
        expect(Buffer.from(bytes).toString('hex')).toBe(recorded);
        expect(vectors.counts.map((count) => partitionForKey(bytes, 0, bytes.length - (sink?.keySuffixBytes ?? 0), count))).toEqual(partitions);
      }
    });
  }
});
