import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { deadLetter } from '@millrace/topology';
import { expect, test } from 'vitest';
import { testTopology } from './test-topology.ts';

const text = { key: serde.string(), value: serde.string() };
const orders = topic('orders', text);
const prices = topic('prices', text);
const joined = topic('joined', text);
const dlq = topic('dlq', { key: serde.nullable(serde.string()), value: serde.nullable(serde.string()) });

test('a dead letter tells of the record that failed: one that waited for its grace, not the one that ended the wait', () => {
  const program = topology('waiting', (t) => {
    const table = t.table(prices, { store: store.versioned('prices', { ...text, history: '1 hour' }) } as never);
    t.stream(orders)
      .join(
        table as never,
        ((order: string, price: string) => {
          if (order === 'bad') throw new Error('no such order');
          return `${order} ${price}`;
        }) as never,
        { grace: '10s', value: serde.string(), onError: deadLetter('dlq') } as never,
      )
      .to(joined as never);
  });
  using t = testTopology(program);
  t.input(prices).send('k', '9', { at: 0 });
  t.input(orders).send('k', 'bad', { at: 1 });
  t.input(orders).send('k', 'good', { at: 60_000 });
  const [letter] = t.output(dlq).readAll();
  expect([letter?.key, letter?.value]).toEqual([null, null]); // its bytes are gone; where it lies is in the headers
  expect(letter?.headers.text('__streams.errors.offset')).toBe('0');
  t.input(orders).send('k', 'last', { at: 200_000 });
  expect(t.output(joined).pairs()).toEqual([['k', 'good 9']]);
});
