// The programs of the API's design, as they were written before there was code: they compile under the strict options, and run in the driver.
// Left out: what needs connectors, Avro or the typed HTTP client, which are not there yet. The schemas of two were written for other validators and
// are zod's here.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { testTopology } from 'millrace/testkit';
import { expect, test } from 'vitest';
import { mistakesIn } from '../docs/quoted-programs.ts';
import alerts, { alerts as alertTopic, readings } from './programs/alerts.ts';
import dedup, { payments, unique } from './programs/dedup.ts';
import enrichment, { customers, gold, orders, others } from './programs/enrichment.ts';
import sessions, { clicks, lateClicks, visits } from './programs/sessions.ts';
import shipping, { depots, load, loads, routed, shipments } from './programs/shipments.ts';
import wordCount, { counts, lines, wordCounts } from './programs/word-count.ts';

const folder = fileURLToPath(new URL('./programs/', import.meta.url));

test('every program and every name compiles under the strict options', () => {
  expect(mistakesIn(readdirSync(folder).map((file) => `${folder}${file}`))).toEqual([]);
});

test('words are counted', () => {
  using t = testTopology(wordCount);
  t.input(lines).sendAll([
    [null, 'To be'],
    [null, 'or not to be'],
  ]);
  expect(
    t
      .output(wordCounts)
      .latest()
      .map(({ key, value }) => `${key} ${value}`)
      .sort(),
  ).toEqual(['be 2', 'not 1', 'or 1', 'to 2']);
  expect(t.store(counts).get('be')).toBe(2);
});

test('orders are enriched and split', () => {
  using t = testTopology(enrichment);
  t.input(customers).send('c-1', { name: 'Ada', tier: 'gold' });
  t.input(orders).send('o-1', { id: 'o-1', customerId: 'c-1', cents: 5 });
  t.input(orders).send('o-2', { id: 'o-2', customerId: 'c-2', cents: 6 });
  expect(t.output(gold).pairs()).toEqual([['c-1', { id: 'o-1', customerId: 'c-1', cents: 5, name: 'Ada', tier: 'gold' }]]);
  expect(
    t
      .output(others)
      .pairs()
      .map(([, order]) => order.tier),
  ).toEqual(['unknown']);
});

test('sessions end when their input falls silent, and late clicks are kept apart', () => {
  using t = testTopology(sessions);
  const at = 1_700_000_000_000;
  t.input(clicks).send(null, { user: 'ada', page: '/', at });
  t.input(clicks).send(null, { user: 'ada', page: '/help', at: at + 60_000 });
  expect(t.output(visits).size).toBe(0);
  t.advance('2 hours');
  expect(t.output(visits).pairs()).toEqual([
    [
      { key: 'ada', window: { start: at, end: at + 60_000 } },
      { pages: ['/', '/help'], clicks: 2 },
    ],
  ]);
  t.input(clicks).send(null, { user: 'ada', page: '/late', at: at + 120_000 });
  expect(
    t
      .output(lateClicks)
      .pairs()
      .map(([, click]) => click.page),
  ).toEqual(['/late']);
});

test('a hot minute gives one alert', () => {
  using t = testTopology(alerts);
  for (const [at, celsius] of [
    [0, 90],
    [30_000, 100],
    [70_001, 20],
  ] as const)
    t.input(readings).send('s-1', { sensor: 's-1', celsius }, { at });
  expect(t.output(alertTopic).pairs()).toEqual([['s-1', { sensor: 's-1', from: 0, mean: 95, readings: 2 }]]);
});

test('shipments are routed and weighed', () => {
  using t = testTopology(shipping);
  type Shipment = Parameters<(typeof shipments)['key']['serialize']>[0];
  type Depot = Parameters<(typeof depots)['key']['serialize']>[0];
  const shipment = 's-1' as Shipment;
  const depot = 'd-1' as Depot;
  t.input(depots).send(depot, { city: 'Ulm' });
  t.input(shipments).send(shipment, { depot: depot, kilos: 7 });
  expect(t.store(routed).get(shipment)).toEqual({ depot, kilos: 7, city: 'Ulm' });
  expect(t.store(load).get(depot)).toBe(7);
  t.input(shipments).tombstone(shipment);
  expect(
    t
      .output(loads)
      .pairs()
      .map(([, kilos]) => kilos),
  ).toEqual([7, null]);
});

test('a payment passes once a day', () => {
  using t = testTopology(dedup);
  const send = (at: number): void => t.input(payments).send('k', { id: 'p-1', cents: 1 }, { at });
  send(0);
  send(1000);
  t.input(payments).send('k', { id: 'p-2', cents: 1 }, { at: 90_000_000 });
  send(90_000_001);
  expect(
    t
      .output(unique)
      .pairs()
      .map(([, { id }]) => id),
  ).toEqual(['p-1', 'p-2', 'p-1']);
});
