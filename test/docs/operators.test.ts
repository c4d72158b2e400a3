// The pages docs/operators/*.md: they quote the programs beside this file as they are, and these compile and do what they say.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type KeyValueHandle, type SessionHandle, serde, type Topic, type Topology, topic, type WindowHandle } from 'millrace';
import { type TestDriver, testTopology } from 'millrace/testkit';
import { describe, expect, test } from 'vitest';
import aggregates, * as a from './operators/aggregates.ts';
import branches, * as b from './operators/branches.ts';
import cogrouped, * as cg from './operators/cogrouped.ts';
import finals, * as f from './operators/finals.ts';
import joins, * as j from './operators/joins.ts';
import kept, * as k from './operators/kept.ts';
import patterns, * as pt from './operators/patterns.ts';
import processors, * as p from './operators/processors.ts';
import regrouped, * as r from './operators/regrouped.ts';
import routed, * as ro from './operators/routed.ts';
import sessions, * as v from './operators/sessions.ts';
import stateless, * as s from './operators/stateless.ts';
import streamJoins, * as sj from './operators/stream-joins.ts';
import tableJoins, * as tj from './operators/table-joins.ts';
import tables, * as tt from './operators/tables.ts';
import transformed, * as x from './operators/transformed.ts';
import windowed, * as w from './operators/windowed.ts';
import { isQuoted, mistakesIn, programsOf } from './quoted-programs.ts';

const programs = programsOf('operators');
const pages = readdirSync(fileURLToPath(new URL('../../docs/operators/', import.meta.url))).map((name) => `operators/${name}`);

test.each(programs)('a page quotes %s as it is', (program) => {
  expect(pages.filter((page) => isQuoted(page, program))).toHaveLength(1);
});

test('every program compiles under the strict options', () => {
  expect(mistakesIn(programs)).toEqual([]);
});

class Run {
  readonly #driver: TestDriver;
  constructor(topology: Topology) {
    this.#driver = testTopology(topology);
  }
  send<K, V>(topic: Topic<K, V>, key: K, value: V | null, at = 0): void {
    const input = this.#driver.input(topic);
    // Sound: null is sent as a tombstone.
    if (value === null) input.tombstone(key, { at });
    else input.send(key, value, { at });
  }
  /** What was not read yet. */
  output<K, V>(topic: Topic<K, V>): readonly (readonly [K, V])[] {
    return this.#driver.output(topic).pairs();
  }
  rows<K, V>(store: KeyValueHandle<K, V>): [K, V][] {
    return [...this.#driver.store(store).range()].map((row) => [row.key, row.value]);
  }
  windows<K, V>(store: WindowHandle<K, V>): [number, V][] {
    return [...this.#driver.store(store).fetchAll()].map((row) => [row.key.window.start, row.value]);
  }
  sessions<K, V>(store: SessionHandle<K, V>, key: K): [number, V][] {
    return [...this.#driver.store(store).fetch(key)].map((row) => [row.key.window.start, row.value]);
  }
}

describe('what the programs do', () => {
  test('stateless', () => {
    const run = new Run(stateless);
    run.send(s.pages, '1', { user: 'ada', path: '/Shop/Hats', ms: 1200 });
    run.send(s.pages, '2', { user: 'bob', path: '/health', ms: 1 });
    run.send(s.pages, '3', { user: 'bob', path: '/error', ms: 5 });
    expect(run.output(s.words)).toEqual([
      ['1', 'shop'],
      ['1', 'hats'],
      ['3', 'error'],
    ]);
    expect(run.output(s.slow)).toEqual([
      ['ada', '/Shop/Hats took 1200 ms'],
      ['bob', 'saw an error'],
    ]);
  });

  test('branches', () => {
    const run = new Run(branches);
    run.send(b.orders, '1', { tier: 'gold', cents: 20_000 });
    run.send(b.orders, '2', { tier: 'plain', cents: 20_000 });
    run.send(b.orders, '3', { tier: 'plain', cents: 1 });
    run.send(b.orders, '4', null);
    expect([b.gold, b.large].map((topic) => run.output(topic).map(([key]) => key))).toEqual([['1'], ['2']]);
    expect(run.output(b.others)).toEqual([
      ['3', { tier: 'plain', cents: 1 }],
      ['4', null],
    ]);
  });

  test('regrouped', () => {
    const run = new Run(regrouped);
    run.send(r.employees, 'ada', { team: 'red', salary: 10 });
    run.send(r.employees, 'bob', { team: 'red', salary: 7 });
    run.send(r.employees, 'ada', { team: 'blue', salary: 12 });
    run.send(r.employees, 'bob', null);
    expect(run.rows(r.payroll)).toEqual([
      ['blue', 12],
      ['red', 0],
    ]);
    expect(run.output(r.teamSizes)).toEqual([
      ['red', 1],
      ['red', 2],
      ['red', 1],
      ['blue', 1],
      ['red', 0],
    ]);
  });

  test('transformed', () => {
    const run = new Run(transformed);
    run.send(x.prices, 'hat', 5);
    run.send(x.prices, 'hat', 4);
    run.send(x.prices, 'hat', null);
    expect(run.output(x.trends)).toEqual([
      ['hat', 'at its highest'],
      ['hat', 'has been dearer'],
      ['hat', 'no longer sold'],
    ]);
    expect(run.rows(x.highest)).toEqual([['hat', 5]]);
  });

  test('processors', () => {
    const run = new Run(processors);
    run.send(p.readings, 's1', 20, 60_000);
    run.send(p.readings, 's2', 8, 100_000);
    run.send(p.readings, 's1', 25, 110_000);
    run.send(p.readings, 's2', 9, 179_000);
    run.send(p.readings, 's2', 9, 180_000);
    expect(run.output(p.steps)).toEqual([
      ['s1', 5],
      ['s2', 1],
      ['s2', 0],
    ]);
    expect(run.output(p.alarms)).toEqual([['s1', 'silent']]);
    expect(run.rows(p.latest)).toEqual([['s2', 9]]);
  });

  test('aggregates', () => {
    const run = new Run(aggregates);
    run.send(a.orders, '1', { customer: 'ada', cents: 5 });
    run.send(a.orders, '2', { customer: 'ada', cents: -5 });
    expect(run.rows(a.orderCounts)).toEqual([['ada', 2]]);
    expect(run.output(a.counts).at(-1)).toEqual(['ada', 2]);
    expect(run.output(a.largest).at(-1)).toEqual(['ada', { customer: 'ada', cents: 5 }]);
    expect(run.output(a.open)).toEqual([
      ['ada', 5],
      ['ada', null],
    ]);
  });

  test('windowed', () => {
    const run = new Run(windowed);
    run.send(w.readings, 's1', 20, 600_000);
    run.send(w.readings, 's1', 25, 630_000);
    run.send(w.readings, 's1', 19, 660_000);
    run.send(w.readings, 's1', 99, 700_000);
    run.send(w.readings, 's1', 70, 630_000); // its minute ended at 660 s, and ten seconds after that it was closed
    expect(run.output(w.peaks).map(([key, value]) => [(key as { window: { start: number } }).window.start, value])).toEqual([
      [600_000, 20],
      [600_000, 25],
      [660_000, 19],
      [660_000, 99],
    ]);
    expect(run.windows(w.activity)).toContainEqual([60_000, 2]);
    expect(run.windows(w.activity)).toHaveLength(11);
    expect(run.windows(w.bursts)).toContainEqual([595_000, 1]);
  });

  test('sessions', () => {
    const run = new Run(sessions);
    const minute = 60_000;
    run.send(v.clicks, 'ada', '/', 0);
    run.send(v.clicks, 'ada', '/hats', 50 * minute);
    run.send(v.clicks, 'ada', '/shoes', 25 * minute); // joins the two
    const key = (start: number, end: number) => ({ key: 'ada', window: { start: start * minute, end: end * minute } });
    expect(run.output(v.visits)).toEqual([
      [key(0, 0), { pages: ['/'] }],
      [key(50, 50), { pages: ['/hats'] }],
      [key(0, 0), null],
      [key(50, 50), null],
      [key(0, 50), { pages: ['/', '/hats', '/shoes'] }],
    ]);
    expect(run.sessions(v.visitStore, 'ada')).toEqual([[0, { pages: ['/', '/hats', '/shoes'] }]]);
  });

  test('stream joins', () => {
    const run = new Run(streamJoins);
    const minute = 60_000;
    run.send(sj.impressions, 'ada', { ad: 'hats' }, 0);
    run.send(sj.impressions, 'bob', { ad: 'shoes' }, minute);
    run.send(sj.clicks, 'ada', { url: '/hats' }, 9 * minute);
    run.send(sj.clicks, 'eve', { url: '/' }, 9 * minute);
    run.send(sj.impressions, 'zoe', { ad: 'bags' }, 30 * minute);
    expect(run.output(sj.clicked)).toEqual([['ada', 'hats led to /hats']]);
    expect(run.output(sj.outcomes)).toEqual([
      ['ada', 'hats: /hats'],
      ['bob', 'shoes: ignored'],
    ]);
    expect(run.output(sj.audit)).toEqual([
      ['ada', 'both'],
      ['bob', 'no click'],
      ['eve', 'no impression'],
    ]);
  });

  test('table joins', () => {
    const run = new Run(tableJoins);
    run.send(tj.products, '1', { name: 'hat' });
    run.send(tj.prices, '1', 500);
    run.send(tj.products, '2', { name: 'shoe' });
    run.send(tj.prices, '3', 9);
    expect(run.rows(tj.offers)).toEqual([['1', 'hat for 500']]);
    expect(run.rows(tj.gaps)).toEqual([
      ['1', 'complete'],
      ['2', 'no price'],
      ['3', 'no name'],
    ]);
    run.send(tj.prices, '1', null);
    expect(run.rows(tj.offers)).toEqual([]);
    expect(run.output(tj.labels)).toEqual([
      ['1', 'hat not for sale'],
      ['1', 'hat 500'],
      ['2', 'shoe not for sale'],
      ['1', 'hat not for sale'],
    ]);
  });

  test('joins', () => {
    const run = new Run(joins);
    run.send(j.customers, 'c1', { name: 'Ada' });
    run.send(j.orders, 'o1', { customerId: 'c1', cents: 7 });
    run.send(j.orders, 'o2', { customerId: 'c2', cents: 8 });
    expect(run.output(j.named)).toEqual([['c1', 'Ada (c1): 7']]);
    expect(run.output(j.unknown)).toEqual([['c2', { customerId: 'c2', cents: 8 }]]);
  });

  test('tables', () => {
    const run = new Run(tables);
    run.send(tt.items, 'i', { name: 'hat', stock: 3 });
    run.send(tt.items, 'i', { name: 'hat', stock: 30 });
    run.send(tt.scans, 'i', 17);
    expect(run.output(tt.short)).toEqual([
      ['i', 'hat: 3 left'],
      ['i', null],
    ]);
    expect(run.rows(tt.places)).toEqual([['i', 17]]);
  });
});

test('finals: one row an hour when it has closed, late ones apart, and calmer updates', () => {
  const hour = 3_600_000;
  const run = new Run(finals);
  run.send(f.meters, 'm1', 60, 0);
  run.send(f.meters, 'm1', 50, 10);
  run.send(f.meters, 'm2', 5, 20);
  expect(run.output(f.hourlyUse)).toEqual([]);
  run.send(f.meters, 'm3', 1, hour + 700_000);
  run.send(f.meters, 'm1', 9, 30);
  const first = { start: 0, end: hour };
  expect(run.output(f.hourlyUse)).toEqual([
    [{ key: 'm1', window: first }, 110],
    [{ key: 'm2', window: first }, 5],
  ]);
  expect(run.output(f.roundedHours)).toEqual([
    [{ key: 'm1', window: first }, 110],
    [{ key: 'm2', window: first }, 10],
  ]);
  expect(run.output(f.lateReadings)).toEqual([['m1', 9]]);
  expect(run.output(f.current)).toEqual([
    ['m1', 50],
    ['m2', 5],
    ['m1', 9],
  ]);
});

test('cogrouped: two streams add to one row', () => {
  const run = new Run(cogrouped);
  run.send(cg.bought, 'o1', { customer: 'ann' });
  run.send(cg.complained, 'ann', 'late again');
  run.send(cg.bought, 'o2', { customer: 'ann' });
  expect(run.rows(cg.customers)).toEqual([['ann', { orders: 2, complaints: 1 }]]);
});

test('patterns: every topic that matches, and a host counted once over all of them', () => {
  const run = new Run(patterns);
  const region = (name: string): Topic<string, string> => topic(`logs-${name}`, { key: serde.string(), value: serde.string() });
  run.send(region('eu'), 'host-1', 'ERROR disk full');
  run.send(region('us'), 'host-1', 'started');
  expect(run.output(pt.errors)).toEqual([['host-1', 'logs-eu: ERROR disk full']]);
  expect(run.rows(pt.lines)).toEqual([['host-1', 2]]);
});

test('routed: each payment to its topic', () => {
  const run = new Run(routed);
  run.send(ro.payments, 'p1', { cents: 10 });
  run.send(ro.payments, 'p2', { cents: 2_000_000 });
  expect(run.output(ro.booked)).toEqual([['p1', { cents: 10 }]]);
  expect(run.output(ro.review)).toEqual([['p2', { cents: 2_000_000 }]]);
  expect(run.output(ro.alerts)).toEqual([['p2', { cents: 2_000_000 }]]);
});

test('kept: a place once a minute, the last one; counts at once', () => {
  const run = new Run(kept);
  run.send(k.scans, 'p1', 'Oslo', 0);
  run.send(k.scans, 'p1', 'Bergen', 30_000);
  run.send(k.scans, 'p2', 'Rome', 59_000);
  expect(run.output(k.places)).toEqual([]);
  run.send(k.scans, 'p1', 'Bodø', 61_000);
  expect(run.output(k.places)).toEqual([['p1', 'Bodø']]);
  expect(run.output(k.totals)).toEqual([
    ['p1', 1],
    ['p1', 2],
    ['p2', 1],
    ['p1', 3],
  ]);
  expect(run.rows(k.recent)).toEqual([
    ['p1', 'Bodø'],
    ['p2', 'Rome'],
  ]);
});
