// Aggregates against a naive recomputation from the whole input, in any order that grace allows.
// One seed a test; a failure prints it by the test's name.
import { noHeaders, seededChance, serde, type Windowed } from '@millrace/core';
import { store, topic, topology, windows } from '@millrace/dsl';
import type { StagedKeyValueStore, StagedSessionStore, StagedWindowStore } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { Driver } from './driver.ts';

interface Fact {
  readonly key: string;
  readonly amount: number;
  readonly timestamp: number;
}
const facts = topic('facts', { key: serde.string(), value: serde.safeInt() });
const sums = store.keyValue('sums', { key: serde.string(), value: serde.safeInt() });
const perWindow = store.window('per-window', { key: serde.string(), value: serde.safeInt(), retention: '1 day' });
const visits = store.session('visits', { key: serde.string(), value: serde.safeInt(), retention: '1 day' });
const visitUpdates = topic('visit-updates', { key: serde.sessionWindowed(serde.string()), value: serde.nullable(serde.safeInt()) });
const updates = topic('updates', { key: serde.string(), value: serde.safeInt() });

const SIZE_MS = 50;
const GAP_MS = 12;
const ADVANCE_MS = 20;
const DISORDER_MS = 40;
const RECORDS = 400;

function drawFacts(seed: number): Fact[] {
  const chance = seededChance(seed);
  const drawn = Array.from({ length: RECORDS }, (_, at) => ({ key: 'abcde'.charAt(chance.integer(5)), amount: chance.integer(10), timestamp: at * 3 + chance.integer(DISORDER_MS) }));
  return drawn;
}

async function run(built: Topology, input: readonly Fact[]): Promise<Driver> {
  const driver = await Driver.open({ topology: built, logsEveryWrite: () => false, skipsUndecodable: false, skipsFailing: false });
  const info = { topic: 'facts', headers: noHeaders } as const;
  for (const { key, amount, timestamp } of input) {
    driver.pipe({ topic: 'facts', timestamp, key: facts.key.serialize(key, { ...info, role: 'key' }), value: facts.value.serialize(amount, { ...info, role: 'value' }), headers: [] });
  }
  return driver;
}

function naiveSums(input: readonly Fact[], windowsOf: (at: number) => readonly number[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const { key, amount, timestamp } of input) for (const start of windowsOf(timestamp)) rows.set(`${key}@${start}`, (rows.get(`${key}@${start}`) ?? 0) + amount);
  return rows;
}

describe.each([1, 2, 3])('seed %i', (seed) => {
  const input = drawFacts(seed);

  test('a plain sum equals the sum of everything, and its last update a key is the row', async () => {
    const built = topology('sums', (t) => {
      t.stream(facts).groupByKey().aggregate({ initial: () => 0, add: (sum, amount) => sum + amount, store: sums }).toStream().to(updates);
    });
    const driver = await run(built, input);
    const expected = naiveSums(input, () => [0]);
    const rows = [...(driver.stores.get('sums') as StagedKeyValueStore<string, number>).range()];
    expect(new Map(rows.map((row) => [`${row.key}@0`, row.value]))).toEqual(expected);
    const last = new Map(driver.produced.filter((record) => record.topic === 'updates').map((record) => [Buffer.from(record.key as Uint8Array).toString(), Number(Buffer.from(record.value as Uint8Array).readBigInt64BE())]));
    expect(new Map([...last].map(([key, value]) => [`${key}@0`, value]))).toEqual(expected);
  });

  test('hopping sums equal those of every window that holds the record, whatever the order within grace', async () => {
    const built = topology('hopping', (t) => {
      t.stream(facts)
        .groupByKey()
        .windowedBy(windows.hopping({ size: SIZE_MS, advance: ADVANCE_MS, grace: DISORDER_MS }))
        .aggregate({ initial: () => 0, add: (sum: number, amount) => sum + amount, store: perWindow });
    });
    const driver = await run(built, input);
    const startsOf = (at: number): number[] => Array.from({ length: at + 1 }, (_, start) => start).filter((start) => start % ADVANCE_MS === 0 && start > at - SIZE_MS);
    expect(driver.dropped).toBe(0);
    expect(windowRows(driver)).toEqual(naiveSums(input, startsOf));
  });

  test('sliding sums equal those of every window with contents of its own', async () => {
    const built = topology('sliding', (t) => {
      t.stream(facts)
        .groupByKey()
        .windowedBy(windows.sliding({ difference: SIZE_MS, grace: DISORDER_MS }))
        .aggregate({ initial: () => 0, add: (sum: number, amount) => sum + amount, store: perWindow });
    });
    const driver = await run(built, input);
    const expected = new Map<string, number>();
    for (const { key, timestamp } of input) {
      const own = input.filter((other) => other.key === key);
      for (const start of [Math.max(0, timestamp - SIZE_MS), timestamp + 1]) {
        const inside = own.filter((other) => other.timestamp >= start && other.timestamp <= start + SIZE_MS);
        if (inside.length > 0) expected.set(`${key}@${start}`, inside.reduce((sum, { amount }) => sum + amount, 0));
      }
    }
    expect(driver.dropped).toBe(0);
    expect(windowRows(driver)).toEqual(expected);
  });

  test.each(['onUpdate', 'onCommit'] as const)('sessions are the runs of records at most the gap apart, and their updates add up to them (%s)', async (emit) => {
    const built = topology('sessions', (t) => {
      t.stream(facts)
        .groupByKey()
        .windowedBy(windows.session({ gap: GAP_MS, grace: DISORDER_MS }))
        .aggregate({ initial: () => 0, add: (sum: number, amount) => sum + amount, merge: (a, b) => a + b, store: visits, emit })
        .toStream()
        .to(visitUpdates);
    });
    const driver = await run(built, input);
    const expected = new Map<string, number>();
    for (const key of new Set(input.map((fact) => fact.key))) {
      const own = input.filter((fact) => fact.key === key).sort((a, b) => a.timestamp - b.timestamp);
      for (let at = 0; at < own.length; ) {
        const first = at;
        let sum = 0;
        do sum += own[at++]?.amount ?? 0;
        while (at < own.length && (own[at]?.timestamp ?? 0) - (own[at - 1]?.timestamp ?? 0) <= GAP_MS);
        expected.set(`${key}@${own[first]?.timestamp}-${own[at - 1]?.timestamp}`, sum);
      }
    }
    expect(driver.dropped).toBe(0);
    expect(expected.size).toBeGreaterThan(20);
    const idOf = ({ key, window }: Windowed<string>): string => `${key}@${window.start}-${window.end}`;
    const rows = [...(driver.stores.get('visits') as StagedSessionStore<string, number>).fetchAll()];
    expect(new Map(rows.map((row) => [idOf(row.key), row.value]))).toEqual(expected);
    const shown = new Map<string, number>();
    const info = { topic: 'visit-updates', headers: noHeaders } as const;
    for (const record of driver.produced.filter((each) => each.topic === 'visit-updates')) {
      const id = idOf(visitUpdates.key.deserialize(Buffer.from(record.key as Uint8Array), { ...info, role: 'key' }));
      if (record.value === null) shown.delete(id);
      else shown.set(id, visitUpdates.value.deserialize(Buffer.from(record.value), { ...info, role: 'value' }) ?? 0);
    }
    expect(shown).toEqual(expected);
  });

  test('without grace exactly the updates of closed windows are missing, and each is counted', async () => {
    const built = topology('tumbling', (t) => {
      t.stream(facts).groupByKey().windowedBy(windows.tumbling({ size: SIZE_MS, grace: 0 })).aggregate({ initial: () => 0, add: (sum: number, amount) => sum + amount, store: perWindow });
    });
    const driver = await run(built, input);
    let streamTime = -1;
    const onTime = input.filter(({ timestamp }) => {
      streamTime = Math.max(streamTime, timestamp);
      return Math.floor(timestamp / SIZE_MS) * SIZE_MS + SIZE_MS > streamTime;
    });
    expect(driver.dropped).toBe(input.length - onTime.length);
    expect(onTime.length).toBeLessThan(input.length);
    expect(windowRows(driver)).toEqual(naiveSums(onTime, (at) => [Math.floor(at / SIZE_MS) * SIZE_MS]));
  });
});

function windowRows(driver: Driver): Map<string, number> {
  const rows = [...(driver.stores.get('per-window') as StagedWindowStore<string, number>).fetchAll()] as { key: Windowed<string>; value: number }[];
  return new Map(rows.map(({ key, value }) => [`${key.key}@${key.window.start}`, value]));
}
