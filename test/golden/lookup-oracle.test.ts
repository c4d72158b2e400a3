// Joins that look rows up (foreign keys, versioned tables, global tables) against a naive recomputation from the whole input.
// One seed a test; a failure prints it by the test's name.
import { noHeaders, seededChance, serde } from '@millrace/core';
import { store, type Topic, topic, topology } from '@millrace/dsl';
import type { StagedKeyValueStore } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { Driver } from './driver.ts';

interface Fact {
  readonly topic: string;
  readonly key: string;
  readonly value: string | null;
  readonly timestamp: number;
}
const text = serde.string();
const left = topic('left', { key: text, value: serde.nullable(text) });
const right = topic('right', { key: text, value: serde.nullable(text) });
const facts = topic('facts', { key: text, value: text });
const out = topic('out', { key: text, value: text });
const joined = store.keyValue('joined', { key: text, value: text });
const RECORDS = 300;
const DISORDER_MS = 60;
const FAR_MS = 1_000_000;

const bytesOf = (given: string): Uint8Array => text.serialize(given, { topic: 'any', role: 'value', headers: noHeaders }) as Uint8Array;
const pair = (l: string | undefined, r: string | undefined): string => `${l ?? '-'}+${r ?? '-'}`;
const foreignOf = (value: string): string | null => (value.startsWith('none') ? null : value.slice(0, value.indexOf('|')));

async function run(built: Topology, input: readonly Fact[]): Promise<Driver> {
  const driver = await Driver.open({ topology: built, logsEveryWrite: () => false, skipsUndecodable: false, skipsFailing: false });
  for (const { topic: name, key, value, timestamp } of input)
    driver.pipe({ topic: name, timestamp, key: bytesOf(key), value: value === null ? null : bytesOf(value), headers: [] });
  return driver;
}
const lines = (driver: Driver, name: Topic<string, string>): string[] =>
  driver.produced.filter((record) => record.topic === name.name).map((record) => `${String(record.key)} ${String(record.value)} ${record.timestamp}`);

function drawn(seed: number, draw: (at: number, chance: (below: number) => number) => Omit<Fact, 'timestamp'>): Fact[] {
  const source = seededChance(seed);
  const chance = (below: number): number => source.integer(below);
  return Array.from({ length: RECORDS }, (_, at) => ({ ...draw(at, chance), timestamp: at * 5 + chance(DISORDER_MS) }));
}

describe.each(Array.from({ length: 12 }, (_, index) => index + 1))('seed %i', (seed) => {
  test.each(['inner', 'left'] as const)('an %s foreign-key join has the rows of the joined last values, whatever changed keys, vanished or came back', async (kind) => {
    const input = drawn(seed, (at, chance) => {
      if (chance(3) === 0) return { topic: 'right', key: `r${chance(4)}`, value: chance(4) === 0 ? null : `v${at}` };
      const value = chance(5) === 0 ? null : chance(6) === 0 ? `none${at}` : `r${chance(5)}|${chance(2) === 0 ? at : 0}`;
      return { topic: 'left', key: `l${chance(8)}`, value };
    });
    const built = topology('foreign', (t) => {
      const [l, r] = [t.table(left), t.table(right)];
      if (kind === 'inner') l.foreignKeyJoin(r, pair, { on: foreignOf, store: joined });
      else l.leftForeignKeyJoin(r, pair, { on: foreignOf, store: joined });
    });
    const driver = await run(built, input);
    const last = { left: new Map<string, string | null>(), right: new Map<string, string | null>() };
    for (const { topic: name, key, value } of input) last[name as 'left' | 'right'].set(key, value);
    const expected = new Map<string, string>();
    for (const [key, value] of [...last.left].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (value === null) continue;
      const row = last.right.get(foreignOf(value) ?? '') ?? undefined;
      if (row !== undefined || kind === 'left') expected.set(key, pair(value, row));
    }
    const rows = [...(driver.stores.get('joined') as StagedKeyValueStore<string, string>).range()];
    expect(new Map(rows.map((row) => [row.key, row.value]))).toEqual(expected);
    expect(expected.size).toBeGreaterThan(0);
  });

  test.each(['inner', 'left'] as const)('an %s join that waits for a versioned table has for each record the row of its time, as if all had come in order', async (kind) => {
    const prices = store.versioned('prices', { key: text, value: text, history: DISORDER_MS * 4 });
    const input = drawn(seed, (at, chance) => {
      const key = 'abc'.charAt(chance(3));
      return chance(2) === 0 ? { topic: 'right', key, value: chance(5) === 0 ? null : `p${at}` } : { topic: 'facts', key, value: `f${at}` };
    });
    const built = topology('waiting', (t) => {
      const table = t.table(right, { store: prices });
      const stream = t.stream(facts);
      const how = { grace: DISORDER_MS * 2 };
      if (kind === 'inner') stream.join(table, pair, how).to(out);
      else stream.leftJoin(table, pair, how).to(out);
    });
    const driver = await run(built, [...input, { topic: 'facts', key: 'end', value: 'end', timestamp: FAR_MS }]);
    const expected: string[] = [];
    for (const [at, fact] of input.entries()) {
      if (fact.topic !== 'facts') continue;
      let row: Fact | undefined;
      for (const other of input)
        if (other.topic === 'right' && other.key === fact.key && other.timestamp <= fact.timestamp && (row === undefined || other.timestamp >= row.timestamp)) row = other;
      if (kind === 'inner' && (row?.value ?? null) === null) continue;
      expected.push(`${fact.key} ${pair(fact.value ?? '', row?.value ?? undefined)} ${fact.timestamp}`);
      expect(at).toBeGreaterThanOrEqual(0);
    }
    const results = lines(driver, out).filter((line) => !line.startsWith('end'));
    expect(results.toSorted()).toEqual(expected.sort());
    const times = results.map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(driver.dropped).toBe(0);
  });

  test.each(['inner', 'left'] as const)('an %s join with a global table finds the row as it is when the record comes', async (kind) => {
    const input = drawn(seed, (at, chance) =>
      chance(2) === 0
        ? { topic: 'right', key: `r${chance(4)}`, value: chance(5) === 0 ? null : `g${at}` }
        : { topic: 'facts', key: 'abc'.charAt(chance(3)), value: chance(6) === 0 ? `none${at}` : `r${chance(5)}|${at}` },
    );
    const built = topology('global', (t) => {
      const table = t.globalTable(right);
      const stream = t.stream(facts);
      if (kind === 'inner') stream.join(table, pair, { on: foreignOf }).to(out);
      else stream.leftJoin(table, pair, { on: foreignOf }).to(out);
    });
    const driver = await run(built, input);
    const rows = new Map<string, string>();
    const expected: string[] = [];
    for (const { topic: name, key, value, timestamp } of input) {
      if (name === 'right') {
        if (value === null) rows.delete(key);
        else rows.set(key, value);
        continue;
      }
      const row = rows.get(foreignOf(value ?? '') ?? '');
      if (row !== undefined || kind === 'left') expected.push(`${key} ${pair(value ?? '', row)} ${timestamp}`);
    }
    expect(lines(driver, out)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(20);
  });
});
