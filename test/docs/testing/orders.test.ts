import assert from 'node:assert/strict';
import { testTopology } from 'millrace/testkit';
import { test } from 'vitest'; // or node:test, or none
import orderTotals, { orders, perMinute, reminders, spent, totals } from './orders.ts';

test('each order moves the total of its customer', () => {
  using t = testTopology(orderTotals);
  t.input(orders).sendAll([
    ['o-1', { customer: 'ada', cents: 1250 }],
    ['o-2', { customer: 'bob', cents: 300 }],
    ['o-3', { customer: 'ada', cents: 0 }],
    ['o-4', { customer: 'ada', cents: 50 }],
  ]);
  assert.deepEqual(t.output(totals).pairs(), [
    ['ada', 1250],
    ['bob', 300],
    ['ada', 1300],
  ]);
  assert.equal(t.store(spent).get('bob'), 300);
});

test('an order that comes after its minute has closed is dropped and counted', () => {
  using t = testTopology(orderTotals);
  const input = t.input(orders);
  input.send('o-1', { customer: 'ada', cents: 1 }, { at: 0 });
  input.send('o-2', { customer: 'ada', cents: 1 }, { at: 70_000 });
  input.send('o-3', { customer: 'ada', cents: 1 }, { at: 1 });
  assert.equal(t.dropped('late'), 1);
  assert.equal(t.store(perMinute).get('ada', 0), 1);
});

test('the reminder comes when an hour has passed', () => {
  using t = testTopology(orderTotals);
  t.advance('59m');
  assert.equal(t.output(reminders).size, 0);
  t.advance('1m');
  assert.deepEqual(t.output(reminders).read().value, 'an hour has passed');
});

test('bytes that are no order throw, with the place', () => {
  using t = testTopology(orderTotals);
  assert.throws(() => t.input(orders).sendBytes(Buffer.from('o-1'), Buffer.from('{')), { code: 'ERR_TASK_FAILED', message: /orders-0@0/ });
});

test('customers are spread over partitions, and each is counted in one place', () => {
  using t = testTopology(orderTotals, { partitions: 4 });
  const input = t.input(orders);
  for (let n = 0; n < 100; n++) input.send(`o-${n}`, { customer: `c-${n % 10}`, cents: 1 });
  assert.deepEqual(new Set([...t.store(spent).range()].map(({ value }) => value)), new Set([10]));
  const homes = [0, 1, 2, 3].filter((partition) => t.partition(partition).store(spent).get('c-7') !== undefined);
  assert.equal(homes.length, 1);
});
