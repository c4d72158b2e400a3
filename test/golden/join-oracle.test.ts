// Joins against a naive recomputation from the whole input, in any order that grace allows.
// One seed a test; a failure prints it by the test's name.
import { noHeaders, seededChance, serde } from '@millrace/core';
import { store, type Topic, topic, topology } from '@millrace/dsl';
import type { StagedKeyValueStore } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { Driver } from './driver.ts';

interface Fact {
  readonly side: 'left' | 'right';
  readonly key: string;
  readonly value: string | null;
  readonly timestamp: number;
}
const text = serde.string();
const left = topic('left', { key: text, value: serde.nullable(text) });
const right = topic('right', { key: text, value: serde.nullable(text) });
const out = topic('out', { key: text, value: text });
const joined = store.keyValue('joined', { key: text, value: text });

const BEFORE_MS = 45;
const AFTER_MS = 60;
const DISORDER_MS = 40;
const RECORDS = 250;
/** Far behind everything: closes every window. */
const END_MS = 1_000_000;

function drawFacts(seed: number, deletes: boolean): Fact[] {
  const chance = seededChance(seed);
  return Array.from({ length: RECORDS }, (_, at) => ({
    side: chance.integer(2) === 0 ? ('left' as const) : ('right' as const),
    key: 'abcdefgh'.charAt(chance.integer(8)),
    value: deletes && chance.integer(4) === 0 ? null : `v${at}`,
    timestamp: at * 7 + chance.integer(DISORDER_MS),
  }));
}

async function run(built: Topology, input: readonly Fact[]): Promise<Driver> {
  const driver = await Driver.open({ topology: built, logsEveryWrite: () => false, skipsUndecodable: false, skipsFailing: false });
  for (const { side, key, value, timestamp } of input) driver.pipe({ topic: side, timestamp, key: bytesOf(key), value: value === null ? null : bytesOf(value), headers: [] });
  return driver;
}

const bytesOf = (given: string): Uint8Array => text.serialize(given, { topic: 'any', role: 'value', headers: noHeaders }) as Uint8Array;
const outputs = (driver: Driver, name: Topic<string, string>): string[] =>
  driver.produced.filter((record) => record.topic === name.name).map((record) => `${String(record.key)} ${String(record.value)} ${record.timestamp}`);
const pair = (l: string | undefined, r: string | undefined): string => `${l ?? '-'}+${r ?? '-'}`;

/** Every pair near enough, and who has none. */
function naivePairs(input: readonly Fact[], kind: 'inner' | 'left' | 'outer'): string[] {
  const results: string[] = [];
  const lonely = new Set(input);
  for (const l of input) {
    for (const r of input) {
      if (l.side !== 'left' || r.side !== 'right' || l.key !== r.key) continue;
      if (r.timestamp < l.timestamp - BEFORE_MS || r.timestamp > l.timestamp + AFTER_MS) continue;
      results.push(`${l.key} ${pair(l.value ?? '', r.value ?? '')} ${Math.max(l.timestamp, r.timestamp)}`);
      lonely.delete(l);
      lonely.delete(r);
    }
  }
  for (const { side, key, value, timestamp } of lonely) {
    if (kind === 'outer' || (kind === 'left' && side === 'left')) results.push(`${key} ${side === 'left' ? pair(value ?? '', undefined) : pair(undefined, value ?? '')} ${timestamp}`);
  }
  return results.sort();
}

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  const kinds = ['inner', 'left', 'outer'] as const;
  const ends: Fact[] = [
    { side: 'left', key: 'end', value: 'end', timestamp: END_MS },
    { side: 'right', key: 'end', value: 'end', timestamp: END_MS + AFTER_MS + 1 },
  ];

  test.each(kinds)('an %s join of streams has every pair within the window once, and who has none where the join keeps it', async (kind) => {
    const input = drawFacts(seed, false);
    const window = { before: BEFORE_MS, after: AFTER_MS, grace: DISORDER_MS };
    const built = topology('streams', (t) => {
      const [l, r] = [t.stream(left), t.stream(right)];
      const results = kind === 'inner' ? l.join(r, pair, window) : kind === 'left' ? l.leftJoin(r, pair, window) : l.outerJoin(r, pair, window);
      results.to(out);
    });
    const driver = await run(built, [...input, ...ends]);
    const results = outputs(driver, out).filter((line) => !line.startsWith('end'));
    expect(results.sort()).toEqual(naivePairs(input, kind));
    expect(driver.dropped).toBe(0);
  });

  test('a stream joined with itself over one buffer has the same results as over two', async () => {
    const input = drawFacts(seed, false).filter((fact) => fact.side === 'left');
    const build = (optimize: boolean) =>
      topology(
        'self',
        (t) => {
          const all = t.stream(left);
          all.join(all, pair, { before: 0, after: AFTER_MS, grace: DISORDER_MS }).to(out);
        },
        { optimize },
      );
    const [one, two] = [await run(build(true), input), await run(build(false), input)];
    expect(one.stores.size).toBe(1);
    expect(two.stores.size).toBe(2);
    expect(outputs(one, out).sort()).toEqual(outputs(two, out).sort());
    expect(outputs(one, out).length).toBeGreaterThan(input.length);
  });

  test.each(kinds)('an %s join of tables has the rows of the joined last values, after deletes as well', async (kind) => {
    const input = drawFacts(seed, true);
    const built = topology('tables', (t) => {
      const [l, r] = [t.table(left), t.table(right)];
      if (kind === 'inner') l.join(r, pair, { store: joined });
      else if (kind === 'left') l.leftJoin(r, pair, { store: joined });
      else l.outerJoin(r, pair, { store: joined });
    });
    const driver = await run(built, input);
    const last = { left: new Map<string, string | null>(), right: new Map<string, string | null>() };
    for (const { side, key, value } of input) last[side].set(key, value);
    const expected = new Map<string, string>();
    for (const key of 'abcdefgh') {
      const [l, r] = [last.left.get(key) ?? undefined, last.right.get(key) ?? undefined];
      if ((l !== undefined && r !== undefined) || (kind !== 'inner' && l !== undefined) || (kind === 'outer' && r !== undefined)) expected.set(key, pair(l, r));
    }
    const rows = [...(driver.stores.get('joined') as StagedKeyValueStore<string, string>).range()];
    expect(new Map(rows.map((row) => [row.key, row.value]))).toEqual(expected);
    expect(expected.size).toBeGreaterThan(0);
  });
});
