// The recorded vectors of Kafka Streams' default partitioner.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkPartitioner, type Vectors } from './check-partitioner.ts';

test('plain and windowed keys hash and partition as in Java', () => {
  const vectors = JSON.parse(readFileSync(fileURLToPath(new URL('./parity/partitioner.json', import.meta.url)), 'utf8')) as Vectors;
  const checked = checkPartitioner(vectors);
  expect(checked.length).toBeGreaterThan(100);
  expect(checked.flat()).toEqual([]);
});
