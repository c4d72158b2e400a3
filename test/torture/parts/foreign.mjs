// A table joined with another by a foreign key that changes, on rows that come and go: in the end the output is the relation itself.
import { serde, topic } from 'millrace';
import { PARTITIONS, START_MS } from './expect.mjs';

const ORDERS = 30;
/** Orders come and change for a while, then some are deleted, for good: a row that comes back at once, to a customer who is not there, can keep its
 * old result for ever, here as with Kafka Streams (the answer to the deletion finds another row and is dropped; the new row asks for none). */
const LIFE = 100;
const CUSTOMERS = 12;
const json = () => serde.json();
const orders = topic('torture-orders', { key: serde.string(), value: json(), partitions: PARTITIONS });
const customers = topic('torture-customers', { key: serde.string(), value: json(), partitions: PARTITIONS });
const named = topic('torture-named-orders', { key: serde.string(), value: serde.nullable(json()), partitions: PARTITIONS });

const timestamp = (s) => START_MS + s * 20;
const latest = (records) => {
  const table = new Map();
  for (const { key, value } of records) value === null ? table.delete(key) : table.set(key, value);
  return table;
};
const versionOf = (value) => `${value.g}/${value.s}`;

export const foreignPart = {
  name: 'foreign',
  build(t) {
    t.table(orders)
      .foreignKeyJoin(t.table(customers), (order, customer) => ({ order, customer }), { on: (order) => order.customer, as: 'customer-of', value: json() })
      .toStream()
      .to(named);
  },
  inputs: ['torture-orders', 'torture-customers', 'torture-customer-of-subscription-registration-topic', 'torture-customer-of-subscription-response-topic'],
  sources: [
    {
      topic: 'torture-orders',
      share: 0.5,
      make(g, s, chance) {
        const value = s % LIFE < LIFE * 0.7 ? { g, s, customer: `customer-${Math.floor(chance() * CUSTOMERS)}` } : null;
        return { key: `order-${g}-${Math.floor(s / LIFE)}-${Math.floor(chance() * ORDERS)}`, value, timestamp: timestamp(s) };
      },
    },
    {
      topic: 'torture-customers',
      share: 0.15,
      make: (g, s, chance) => ({ key: `customer-${Math.floor(chance() * CUSTOMERS)}`, value: chance() < 0.1 ? null : { g, s }, timestamp: timestamp(s) }),
    },
  ],
  async verify({ read, find }) {
    const ordersRead = await read('torture-orders');
    const customersRead = await read('torture-customers');
    const out = await read('torture-named-orders');
    const right = latest(customersRead);
    const due = new Map();
    for (const [key, order] of latest(ordersRead)) {
      const customer = right.get(order.customer);
      if (customer !== undefined) due.set(key, JSON.stringify({ order, customer }));
    }
    const there = latest(out);
    const text = (key) => (there.has(key) ? JSON.stringify({ order: there.get(key).order, customer: there.get(key).customer }) : undefined);
    const keys = new Set([...due.keys(), ...there.keys()]);
    find(
      'torture-named-orders: rows that are not what the tables say',
      [...keys].filter((key) => due.get(key) !== text(key)).map((key) => `${key}: ${text(key)}, due ${due.get(key)}`),
    );
    const known = new Set([...ordersRead, ...customersRead].filter(({ value }) => value !== null).map(({ value }) => versionOf(value)));
    const strange = out.filter(({ value }) => value !== null && !(known.has(versionOf(value.order)) && known.has(versionOf(value.customer))));
    find(
      'torture-named-orders: made of rows that never were',
      strange.map(({ key, value }) => `${key} ${JSON.stringify(value)}`),
    );
  },
};
