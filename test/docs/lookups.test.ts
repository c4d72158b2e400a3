// The page docs/lookups.md: it quotes the programs beside this file as they are, and they compile and do what they say.
import { testTopology } from 'millrace/testkit';
import { expect, test } from 'vitest';
import foreignKeys, * as f from './lookups/foreign-keys.ts';
import globalTables, * as g from './lookups/global-tables.ts';
import versioned, * as v from './lookups/versioned.ts';
import { isQuoted, mistakesIn, programsOf } from './quoted-programs.ts';

const programs = programsOf('lookups');

test.each(programs)('the page quotes %s as it is', (program) => {
  expect(isQuoted('lookups.md', program)).toBe(true);
});

test('every quoted program compiles under the strict options', () => {
  expect(mistakesIn(programs)).toEqual([]);
});

test('foreign keys: a depot that moves brings its shipments up to date; one without depot is on the board only', () => {
  using driver = testTopology(foreignKeys);
  const shipments = driver.input(f.shipments);
  const depots = driver.input(f.depots);
  shipments.send('s1', { depot: 'd1', kilos: 5 });
  shipments.send('s2', { depot: null, kilos: 7 });
  depots.send('d1', { city: 'Bergen' });
  depots.send('d1', { city: 'Oslo' });
  expect(driver.store(f.routed).get('s1')).toBe('5 kg to Oslo');
  expect(driver.store(f.routed).get('s2')).toBeUndefined();
  expect(
    driver
      .output(f.board)
      .latest()
      .map(({ key, value }) => [key, value]),
  ).toEqual([
    ['s1', '5 kg to Oslo'],
    ['s2', '7 kg to nowhere yet'],
  ]);
});

test('global tables: a rate is found by country, a blocked sale goes no further', () => {
  using driver = testTopology(globalTables);
  driver.input(g.rates).send('no', 0.5);
  driver.input(g.blocked).send('bad', 'fraud');
  const sales = driver.input(g.sales);
  sales.send('a', { country: 'no', cents: 10 });
  sales.send('b', { country: 'xx', cents: 10 });
  sales.send('BAD', { country: 'no', cents: 10 });
  expect(driver.output(g.inEuro).pairs()).toEqual([
    ['a', 5],
    ['b', 10],
  ]);
});

test('versioned: a bill takes the price of its time, and one that waits takes a price that comes late', () => {
  using driver = testTopology(versioned);
  const prices = driver.input(v.prices);
  const bought = driver.input(v.bought);
  prices.send('tea', 100, { at: 0 });
  prices.send('tea', 300, { at: 20_000 });
  bought.send('tea', 2, { at: 10_000 });
  prices.send('tea', 200, { at: 5_000 });
  bought.send('tea', 1, { at: 60_000 });
  expect(driver.output(v.atOnce).pairs()).toEqual([
    ['tea', 200],
    ['tea', 300],
  ]);
  expect(driver.output(v.inOrder).pairs()).toEqual([['tea', 400]]);
});
