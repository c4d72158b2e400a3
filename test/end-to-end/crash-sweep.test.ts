// Twenty kills of the broker on every run of the suite; `npm run crash-sweep -- --kills N` does the same for as long as one likes.
// Then the files are damaged on purpose, one way for each statement of the audit: an audit that finds nothing must be able to find something.
// Runs the built packages (`npm test` builds first).
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32c } from '@millrace/protocol';
import { expect, test } from 'vitest';

interface SweepResult {
  readonly findings: readonly string[];
  readonly hits: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly transactions: number;
  readonly folder: string;
  readonly dataDir: string;
  again(): string[];
}
const program = (await import(new URL('../crash-sweep/sweep.mjs', import.meta.url).href)) as {
  crashSweep(options: { kills: number; seed: number; pauseMs: number; keep: boolean }): Promise<SweepResult>;
};

test('a broker that is killed at the points of its write path loses nothing acknowledged, doubles nothing and tears no transaction', async () => {
  const sweep = await program.crashSweep({ kills: 20, seed: 11, pauseMs: 4, keep: true });
  try {
    expect(sweep.findings).toEqual([]);
    expect(Object.values(sweep.hits).reduce((sum, count) => sum + count, 0)).toBe(20);
    expect(Object.keys(sweep.hits).length).toBeGreaterThan(10);
    expect(sweep.acknowledged).toBeGreaterThan(500);
    expect(sweep.transactions).toBeGreaterThan(20);
    expect(sweep.again()).toEqual([]);
    for (const { what, statement, damage } of DAMAGES) {
      const undo = damage(sweep.dataDir);
      expect(
        sweep.again().some((finding) => finding.startsWith(statement)),
        what,
      ).toBe(true);
      undo();
    }
    expect(sweep.again()).toEqual([]);
  } finally {
    rmSync(sweep.folder, { recursive: true, force: true });
  }
}, 180_000);

/** Segment files of a topic's first partition that are not empty, oldest first. */
function segments(dataDir: string, topic: string): string[] {
  const root = join(dataDir, 'topics');
  const uuid = readdirSync(root).find((name) => (JSON.parse(readFileSync(join(root, name, 'topic.json'), 'utf8')) as { name: string }).name === topic);
  const folder = join(root, uuid as string, '0');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => readFileSync(path).length > 0);
}
const sizeAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at + 8) + 12;

/** Writes the file as `change` makes it; gives back what undoes that. */
function rewrite(path: string, change: (bytes: Buffer) => Buffer): () => void {
  const before = readFileSync(path);
  writeFileSync(path, change(Buffer.from(before)));
  return () => writeFileSync(path, before);
}

/** Leaves out the first batch at or behind byte `from` for which `wanted` holds. */
function without(bytes: Buffer, wanted: (attributes: number) => boolean = () => true, from = 0): Buffer {
  for (let at = 0; at < bytes.length; at += sizeAt(bytes, at))
    if (at >= from && wanted(bytes.readInt16BE(at + 21))) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + sizeAt(bytes, at))]);
  throw new Error('no such batch');
}

/** Commit becomes abort and abort becomes commit, with right checksums. */
function turnMarkers(bytes: Buffer): Buffer {
  for (let at = 0; at < bytes.length; at += sizeAt(bytes, at)) {
    if ((bytes.readInt16BE(at + 21) & 0x20) === 0) continue;
    const type = bytes.indexOf(Buffer.of(8, 0, 0, 0), at + 61) + 4; // key of 4 bytes: version 0, then the type
    bytes.writeUInt8(1 - bytes.readUInt8(type), type);
    bytes.writeUInt32BE(crc32c(bytes, at + 21, at + sizeAt(bytes, at)), at + 17);
  }
  return bytes;
}

const first = (paths: readonly string[]): string => paths[0] as string;
const DAMAGES: readonly { readonly what: string; readonly statement: string; readonly damage: (dataDir: string) => () => void }[] = [
  {
    what: 'a flipped bit',
    statement: 'audit',
    damage: (dir) =>
      rewrite(first(segments(dir, 'dense')), (bytes) => Buffer.concat([bytes.subarray(0, 80), Buffer.of(bytes.readUInt8(80) ^ 4), bytes.subarray(81)])),
  },
  { what: 'a torn tail', statement: 'audit', damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => bytes.subarray(0, -5)) },
  { what: 'a first batch that is gone', statement: 'A1', damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => without(bytes)) },
  { what: 'a gap', statement: 'A1', damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => without(bytes, undefined, 1)) },
  { what: 'a lost batch', statement: 'A2', damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => without(bytes)) },
  {
    what: 'a batch twice',
    statement: 'A3',
    damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => Buffer.concat([bytes.subarray(0, sizeAt(bytes, 0)), bytes])),
  },
  { what: 'markers turned round', statement: 'A4', damage: (dir) => rewrite(first(segments(dir, 'exact')), turnMarkers) },
  { what: 'a gap in sequences', statement: 'A5', damage: (dir) => rewrite(first(segments(dir, 'dense')), (bytes) => without(bytes, undefined, 2_000)) },
  {
    what: 'a table without its newest records',
    statement: 'A6',
    damage: (dir) => {
      const undo = segments(dir, 'table').map((path) => rewrite(path, () => Buffer.alloc(0)));
      return () => {
        for (const step of undo) step();
      };
    },
  },
  {
    what: 'a topic that is gone',
    statement: 'A7',
    damage: (dir) => {
      const root = join(dir, 'topics');
      const file = readdirSync(root)
        .map((uuid) => join(root, uuid, 'topic.json'))
        .find((path) => existsSync(path) && readFileSync(path, 'utf8').includes('churn-') && existsSync(dirname(path))) as string;
      const undo = readFileSync(file);
      rmSync(file);
      return () => writeFileSync(file, undo);
    },
  },
];
