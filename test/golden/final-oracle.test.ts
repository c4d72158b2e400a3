// Final results, suppressed tables, cogroups, windows of one's own and late records against a naive recomputation from the whole input,
// in any order that grace allows. One seed a test; a failure prints it by the test's name.
import { noHeaders, seededChance, serde, type Windowed } from '@millrace/core';
import { type KTable, store, type TimeWindows, topic, topology, windows } from '@millrace/dsl';
import type { StagedKeyValueStore, StagedWindowStore } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import { describe, expect, test } from 'vitest';
import { Driver, type Produced } from './driver.ts';

interface Fact {
  readonly topic: 'clicks' | 'orders';
  readonly key: string;
  readonly amount: number;
  readonly timestamp: number;
}
const clicks = topic('clicks', { key: serde.string(), value: serde.safeInt() });
const orders = topic('orders', { key: serde.string(), value: serde.safeInt() });
const lateClicks = topic('late-clicks', { key: serde.string(), value: serde.safeInt() });
const results = topic('results', { key: serde.windowed(serde.string(), { size: 50 }), value: serde.safeInt() });
const sessionResults = topic('session-results', { key: serde.sessionWindowed(serde.string()), value: serde.safeInt() });
const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
const perWindow = store.window('per-window', { key: serde.string(), value: serde.safeInt(), retention: '1 day' });
const both = store.keyValue('both', { key: serde.string(), value: serde.safeInt() });

const SIZE_MS = 50;
const GAP_MS = 12;
const DISORDER_MS = 40;
const RECORDS = 300;
/** Closes every window: far behind all the others. */
const CLOSING: Fact = { topic: 'clicks', key: 'zz', amount: 1, timestamp: 1_000_000 };

function drawFacts(seed: number, topics: readonly Fact['topic'][] = ['clicks']): Fact[] {
  const chance = seededChance(seed);
  const draw = (_: unknown, at: number): Fact => ({
    topic: topics[chance.integer(topics.length)] as Fact['topic'],
    key: 'abcde'.charAt(chance.integer(5)),
    amount: chance.integer(10),
    timestamp: at * 3 + chance.integer(DISORDER_MS),
  });
  return Array.from({ length: RECORDS }, draw);
}

function run(built: Topology, input: readonly Fact[]): Driver {
  const driver = new Driver({ topology: built, logsEveryWrite: () => false, skipsUndecodable: false, skipsFailing: false });
  for (const fact of input) pipe(driver, fact);
  return driver;
}

function pipe(driver: Driver, { topic: name, key, amount, timestamp }: Fact): void {
  const info = { topic: name, headers: noHeaders } as const;
  driver.pipe({ topic: name, timestamp, key: clicks.key.serialize(key, { ...info, role: 'key' }), value: clicks.value.serialize(amount, { ...info, role: 'value' }), headers: [] });
}

const add = (sum: number, amount: number): number => sum + amount;
const floorTo = (at: number, size: number): number => Math.floor(at / size) * size;

function sumBy(input: readonly Fact[], idsOf: (fact: Fact) => readonly string[]): Map<string, number> {
  const rows = new Map<string, number>();
  for (const fact of input) for (const id of idsOf(fact)) rows.set(id, (rows.get(id) ?? 0) + fact.amount);
  return rows;
}

/** What came out, and that nothing came twice. */
function once(records: readonly Produced[], idOf: (key: Uint8Array) => string): Map<string, number> {
  const shown = new Map<string, number>();
  for (const { key, value } of records) {
    const id = idOf(key as Uint8Array);
    expect(shown.has(id), `${id} is final once`).toBe(false);
    shown.set(id, Number(Buffer.from(value as Uint8Array).readBigInt64BE()));
  }
  return shown;
}

const windowId = (key: Uint8Array): string => {
  const { key: inner, window } = results.key.deserialize(Buffer.from(key), { topic: 'results', role: 'key', headers: noHeaders }) as Windowed<string>;
  return `${inner}@${window.start}`;
};
const sessionId = (key: Uint8Array): string => {
  const { key: inner, window } = sessionResults.key.deserialize(Buffer.from(key), { topic: 'session-results', role: 'key', headers: noHeaders }) as Windowed<string>;
  return `${inner}@${window.start}-${window.end}`;
};

function sessionSums(input: readonly Fact[]): Map<string, number> {
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
  return expected;
}

const aligned = {
  tumbling: { of: windows.tumbling({ size: SIZE_MS, grace: DISORDER_MS }), starts: (at: number) => [floorTo(at, SIZE_MS)] },
  hopping: {
    of: windows.hopping({ size: SIZE_MS, advance: 20, grace: DISORDER_MS }),
    starts: (at: number) => [0, 1, 2].map((back) => floorTo(at, 20) - 20 * back).filter((start) => start >= 0 && start > at - SIZE_MS),
  },
} as const;

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  const input = drawFacts(seed);
  const all = [...input, CLOSING];

  describe.each(Object.entries(aligned))('%s windows', (_kind, { of, starts }) => {
    const expected = sumBy(input, ({ key, timestamp }) => starts(timestamp).map((start) => `${key}@${start}`));

    test("emit: 'onWindowClose' gives the whole sum of each window, once", () => {
      const driver = run(finals(of, (table) => table, 'onWindowClose'), all);
      expect(driver.dropped).toBe(0);
      expect(once(driver.written('results'), windowId)).toEqual(expected);
    });

    test("suppress({ until: 'windowClose' }) gives the same, whatever the table above emits", () => {
      for (const emit of ['onUpdate', 'onCommit'] as const) {
        const driver = run(finals(of, (table) => table.suppress({ until: 'windowClose' }), emit), all);
        expect(once(driver.written('results'), windowId)).toEqual(expected);
      }
    });
  });

  test('final sessions are the runs of records at most the gap apart, each once', () => {
    const built = topology('final-sessions', (t) => {
      const sessions = t.stream(clicks).groupByKey().windowedBy(windows.session({ gap: GAP_MS, grace: DISORDER_MS }));
      sessions.aggregate({ initial: () => 0, add, merge: add, emit: 'onWindowClose' }).toStream().to(sessionResults);
    });
    expect(once(run(built, all).written('session-results'), sessionId)).toEqual(sessionSums(input));
  });

  test('a jump of time loses no window that had closed but was not handed on', () => {
    const jumps = input.map((fact) => ({ ...fact, timestamp: fact.timestamp + (fact.timestamp > 450 ? 1_000_000 : 0) }));
    const built = topology('jump', (t) => {
      t.stream(clicks).groupByKey().windowedBy(windows.tumbling({ size: SIZE_MS, grace: DISORDER_MS })).aggregate({ initial: () => 0, add, emit: 'onWindowClose' }).toStream().to(results);
    });
    const driver = run(built, [...jumps.sort((a, b) => a.timestamp - b.timestamp), { ...CLOSING, timestamp: 9_000_000 }]);
    expect(once(driver.written('results'), windowId)).toEqual(sumBy(jumps, ({ key, timestamp }) => [`${key}@${floorTo(timestamp, SIZE_MS)}`]));
  });

  test('a suppressed table ends with the row of every key, and shows at most one update a key and limit', () => {
    const limit = 100;
    const built = topology('limited', (t) => {
      t.stream(clicks).groupByKey().aggregate({ initial: () => 0, add, emit: 'onUpdate' }).suppress({ until: limit, recordsMax: 3 }).toStream().to(totals);
    });
    const driver = run(built, [...all, { ...CLOSING, timestamp: 2_000_000 }]);
    const shown = driver.written('totals');
    expect(shown.length).toBeLessThan(input.length);
    const last = new Map(shown.map(({ key, value }) => [Buffer.from(key as Uint8Array).toString(), Number(Buffer.from(value as Uint8Array).readBigInt64BE())]));
    last.delete('zz');
    expect(last).toEqual(sumBy(input, ({ key }) => [key]));
  });

  test('a cogroup adds up each stream by its own fold, plain and by window', () => {
    const mixed = drawFacts(seed, ['clicks', 'orders']);
    const plain = topology('cogroup', (t) => {
      t.stream(clicks).groupByKey().cogroup<number>({ initial: () => 0, add }).cogroup(t.stream(orders).groupByKey(), (sum, amount) => sum + 100 * amount).aggregate({ store: both });
    });
    const weigh = (facts: readonly Fact[]): Fact[] => facts.map((fact) => ({ ...fact, amount: fact.topic === 'orders' ? 100 * fact.amount : fact.amount }));
    const rows = [...(run(plain, mixed).stores.get('both') as StagedKeyValueStore<string, number>).range()];
    expect(new Map(rows.map((row) => [row.key, row.value]))).toEqual(sumBy(weigh(mixed), ({ key }) => [key]));
    const windowed = topology('cogroup-windowed', (t) => {
      const first = t.stream(clicks).groupByKey().cogroup<number>({ initial: () => 0, add });
      const cogrouped = first.cogroup(t.stream(orders).groupByKey(), (sum, amount) => sum + 100 * amount);
      cogrouped.windowedBy(windows.tumbling({ size: SIZE_MS, grace: DISORDER_MS })).aggregate({ store: perWindow });
    });
    expect(windowRows(run(windowed, mixed))).toEqual(sumBy(weigh(mixed), ({ key, timestamp }) => [`${key}@${floorTo(timestamp, SIZE_MS)}`]));
  });

  test('windows of one’s own hold what their definition says, and close by their own ends', () => {
    // Short and long windows in turn: [0, 30), [30, 100), [100, 130), …
    const windowOf = (at: number) => (at % 100 < 30 ? { start: floorTo(at, 100), end: floorTo(at, 100) + 30 } : { start: floorTo(at, 100) + 30, end: floorTo(at, 100) + 100 });
    const shifts = windows.custom({ windowsFor: (at) => [windowOf(at)], sizeMax: 70, grace: DISORDER_MS });
    const expected = sumBy(input, ({ key, timestamp }) => [`${key}@${windowOf(timestamp).start}`]);
    expect(windowRows(run(topology('custom', (t) => void t.stream(clicks).groupByKey().windowedBy(shifts).aggregate({ initial: () => 0, add, store: perWindow })), input))).toEqual(expected);
    const driver = run(finals(shifts, (table) => table, 'onWindowClose'), all);
    expect(once(driver.written('results'), windowId)).toEqual(expected);
  });

  test('what comes too late goes to the late topic, each record once, and nothing else does', () => {
    const built = topology('late', (t) => {
      t.stream(clicks).groupByKey().windowedBy(windows.hopping({ size: SIZE_MS, advance: 20, grace: 0 }), { late: lateClicks }).aggregate({ initial: () => 0, add, store: perWindow });
    });
    let streamTime = -1;
    const late = input.filter(({ timestamp }) => {
      streamTime = Math.max(streamTime, timestamp);
      return aligned.hopping.starts(timestamp).some((start) => start + SIZE_MS <= streamTime);
    });
    expect(late.length).toBeGreaterThan(5);
    const driver = run(built, input);
    expect(driver.dropped).toBeGreaterThanOrEqual(late.length);
    expect(driver.written('late-clicks').map(({ key, timestamp }) => [Buffer.from(key as Uint8Array).toString(), timestamp])).toEqual(late.map(({ key, timestamp }) => [key, timestamp]));
  });
});

describe('a task that begins anew after a failure', () => {
  const built = (name: string, after: (table: KTable<Windowed<string>, number, never>) => KTable<Windowed<string>, number, never>, emit: 'onUpdate' | 'onWindowClose'): Topology =>
    topology(name, (t) => {
      const sums = t
        .stream(clicks)
        .peek((amount) => {
          if (amount === 13) throw new Error('refused');
        })
        .groupByKey()
        .windowedBy(windows.tumbling({ size: SIZE_MS, grace: 0 }))
        .aggregate({ initial: () => 0, add, store: perWindow, emit });
      after(sums).toStream().to(results);
    });
  const fact = (key: string, amount: number, timestamp: number): Fact => ({ topic: 'clicks', key, amount, timestamp });
  const failing = (driver: Driver, at: number): void => expect(() => pipe(driver, fact('a', 13, at))).toThrow('refused');

  test('has what suppress held back, and hands it on once', () => {
    const driver = run(built('suppressed', (table) => table.suppress({ until: 'windowClose' }), 'onUpdate'), [fact('a', 1, 1), fact('b', 2, 2), fact('c', 9, 55)]);
    expect(once(driver.written('results'), windowId)).toEqual(new Map([['a@0', 1], ['b@0', 2]]));
    failing(driver, 60);
    pipe(driver, fact('d', 1, 200));
    expect(once(driver.written('results'), windowId)).toEqual(new Map([['a@0', 1], ['b@0', 2], ['c@50', 9]]));
  });

  test('knows which windows it has handed on', () => {
    const driver = run(built('final', (table) => table, 'onWindowClose'), [fact('a', 1, 1), fact('b', 2, 2), fact('c', 9, 55)]);
    failing(driver, 60);
    pipe(driver, fact('late', 5, 3));
    pipe(driver, fact('d', 1, 200));
    expect(once(driver.written('results'), windowId)).toEqual(new Map([['a@0', 1], ['b@0', 2], ['c@50', 9]]));
  });
});

function finals(of: TimeWindows, after: (table: KTable<Windowed<string>, number, never>) => KTable<Windowed<string>, number, never>, emit: 'onUpdate' | 'onCommit' | 'onWindowClose'): Topology {
  return topology('finals', (t) => {
    after(t.stream(clicks).groupByKey().windowedBy(of).aggregate({ initial: () => 0, add, store: perWindow, emit })).toStream().to(results);
  });
}

function windowRows(driver: Driver): Map<string, number> {
  const rows = [...(driver.stores.get('per-window') as StagedWindowStore<string, number>).fetchAll()] as { key: Windowed<string>; value: number }[];
  return new Map(rows.map(({ key, value }) => [`${key.key}@${key.window.start}`, value]));
}
