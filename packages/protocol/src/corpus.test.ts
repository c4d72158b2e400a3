// The committed bodies (corpus/README.md): bytes that Apache Kafka wrote are read, and written again the same; so is what chance makes up.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { APIS, api } from './apis.ts';
import { structCodec } from './codec.ts';
import { Reader } from './reader.ts';
import type { Api } from './schema.ts';
import { encodeBody, sampleBodies } from './testing/sample-frames.ts';

type Side = 'request' | 'response';
const LINES = readFileSync(new URL('../corpus/bodies.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [side, key, version, hex] = line.split(' ') as [Side, string, string, string];
    return { side, key: Number(key), version: Number(version), bytes: Buffer.from(hex ?? '', 'hex') };
  });

function decode(known: Api, side: Side, version: number, bytes: Buffer): Record<string, unknown> {
  const reader = new Reader(bytes);
  const body = structCodec(known[side], version, version >= known.flexibleFrom).decode(reader);
  expect(reader.remaining, `${known.name} ${side} v${version}`).toBe(0);
  return body as Record<string, unknown>;
}

test('what Apache Kafka wrote is read to its last byte and written again the same', () => {
  for (const { side, key, version, bytes } of LINES) {
    const known = api(key) as Api;
    const again = encodeBody(known, side, version, decode(known, side, version, bytes));
    expect(again.toString('hex'), `${known.name} ${side} v${version}`).toBe(bytes.toString('hex'));
  }
});

test('every API, side and version is in the corpus', () => {
  const there = new Set(LINES.map(({ side, key, version }) => `${side} ${key} ${version}`));
  const missing: string[] = [];
  for (const { key, name, versions } of Object.values(APIS) as readonly Api[])
    for (let version = versions.min; version <= versions.max; version++)
      for (const side of ['request', 'response']) if (!there.has(`${side} ${key} ${version}`)) missing.push(`${name} ${side} v${version}`);
  expect(missing).toEqual([]);
});

test('what chance makes up comes back equal, and gives the same bytes again', () => {
  for (const { api: known, side, version, body, bytes } of sampleBodies(20)) {
    const decoded = decode(known, side, version, bytes);
    expect(decoded).toEqual(body);
    expect(encodeBody(known, side, version, decoded).equals(bytes), `${known.name} ${side} v${version}`).toBe(true);
  }
});
