// The audit is worth something only if it fails: a right history passes, and each way of spoiling it is found.
import { expect, test } from 'vitest';

interface Row {
  readonly key: string;
  readonly value: object | null;
  readonly timestamp: number;
  readonly at: string;
}
type World = Readonly<Record<string, readonly Row[]>>;
interface Audit {
  readonly read: (topic: string) => Promise<readonly Row[]>;
  readonly find: (text: string, cases: readonly string[]) => void;
  readonly exactlyOnce: boolean;
}
interface Part {
  verify(audit: Audit): Promise<void>;
}
const { PARTS } = (await import(new URL('./parts.mjs', import.meta.url).href)) as { PARTS: Readonly<Record<string, Part>> };

const row = (key: string, value: object | null, timestamp = 0): Row => ({ key, value, timestamp, at: '0@0 by 1/0' });
const id = (g: string, s: number) => ({ g, s });

async function findings(name: string, world: World, exactlyOnce = true): Promise<readonly string[]> {
  const found: string[] = [];
  await PARTS[name]?.verify({
    read: async (topic) => world[topic] ?? [],
    find: (text, cases) => {
      if (cases.length > 0) found.push(text);
    },
    exactlyOnce,
  });
  return found;
}

const bucket = (s: number) => `window-${s}`;
const inputs = [1, 2, 3].map((s) => row('k', id('a', s)));
const sums = [row('k', { n: 1, sum: 2, ...id('a', 1) }), row('k', { n: 2, sum: 5, ...id('a', 2) }), row('k', { n: 3, sum: 9, ...id('a', 3) })];
const windows = [1, 2, 3].map((s) => row(bucket(s), { n: 1, sum: 1 + s, ...id('a', s) }));
const counts: World = {
  'torture-in': inputs,
  'torture-counts': sums,
  'torture-windows': windows,
  'torture-joined': [1, 2, 3].map((s) => row('k', { ...id('a', s), name: 'n' })),
  'torture-per-key-changelog': sums.slice(-1),
  'torture-per-window-changelog': windows.map((one) => ({ ...one, key: `${one.key}0000` })),
};

const transfers = [row('t1', { ...id('a', 1), from: 'x', to: 'y', amount: 5 }), row('t2', { ...id('a', 2), from: 'y', to: 'x', amount: 2 })];
const balances = [
  row('x', { balance: -5, n: 1, ...id('a', 1), delta: -5 }),
  row('y', { balance: 5, n: 1, ...id('a', 1), delta: 5 }),
  row('y', { balance: 3, n: 2, ...id('a', 2), delta: -2 }),
  row('x', { balance: -3, n: 2, ...id('a', 2), delta: 2 }),
];
const ledger: World = { 'torture-transfers': transfers, 'torture-balances': balances, 'torture-per-account-changelog': balances.slice(2) };

const pair = (l: number, r: number) => row('k', { left: id('a', l), right: id('b', r) });
const meetings: World = {
  'torture-left': [row('k', id('a', 1), 1000), row('k', id('a', 2), 3000)],
  'torture-right': [row('k', id('b', 1), 1500), row('k', id('b', 2), 1501), row('other', id('b', 3), 1000)],
  'torture-pairs': [pair(1, 1)],
};

const order = { ...id('a', 1), customer: 'c' };
const foreign: World = {
  'torture-orders': [row('o', order), row('gone', { ...id('a', 2), customer: 'c' }), row('gone', null)],
  'torture-customers': [row('c', id('b', 1)), row('c', id('b', 2))],
  'torture-named-orders': [row('o', { order, customer: id('b', 1) }), row('o', { order, customer: id('b', 2) })],
};

const WORLDS = { counts, ledger, meetings, foreign };

test.each(Object.entries(WORLDS))('%s: a right history is let pass', async (name, world) => {
  expect(await findings(name, world)).toEqual([]);
});

const without = (world: World, topic: string, at: number): World => ({ ...world, [topic]: (world[topic] ?? []).filter((_, index) => index !== at) });
const doubled = (world: World, topic: string): World => ({
  ...world,
  [topic]: (world[topic] ?? []).flatMap((one, index) => (index === 0 ? [one, one] : [one])),
});
const replaced = (world: World, topic: string, at: number, value: object | null): World => ({
  ...world,
  [topic]: (world[topic] ?? []).map((one, index) => (index === at ? { ...one, value } : one)),
});

test.each([
  ['counts', 'a count is lost', without(counts, 'torture-counts', 2)],
  ['counts', 'a window counts twice', doubled(counts, 'torture-windows')],
  ['counts', 'a joined record is lost', without(counts, 'torture-joined', 0)],
  ['counts', 'a joined record is there twice', doubled(counts, 'torture-joined')],
  ['counts', 'a sum is wrong', replaced(counts, 'torture-counts', 1, { n: 2, sum: 6, ...id('a', 2) })],
  ['counts', 'the changelog is behind', replaced(counts, 'torture-per-key-changelog', 0, { n: 2, sum: 5, ...id('a', 2) })],
  ['counts', 'something comes out that never went in', without(counts, 'torture-in', 0)],
  ['ledger', 'one side of a transfer is lost', without(ledger, 'torture-balances', 1)],
  ['ledger', 'one side is booked twice', doubled(ledger, 'torture-balances')],
  ['ledger', 'an entry has another amount', replaced(ledger, 'torture-balances', 0, { balance: -6, n: 1, ...id('a', 1), delta: -6 })],
  ['ledger', 'the changelog lacks an account', without(ledger, 'torture-per-account-changelog', 0)],
  ['meetings', 'a pair is lost', without(meetings, 'torture-pairs', 0)],
  ['meetings', 'a pair is there twice', doubled(meetings, 'torture-pairs')],
  ['meetings', 'two meet that are too far apart', { ...meetings, 'torture-pairs': [pair(1, 1), pair(1, 2)] }],
  ['foreign', 'a row stays as it was', without(foreign, 'torture-named-orders', 1)],
  [
    'foreign',
    'a row of a deleted order stays',
    { ...foreign, 'torture-named-orders': [...(foreign['torture-named-orders'] ?? []), row('gone', { order, customer: id('b', 2) })] },
  ],
  ['foreign', 'a result is made of a row that never was', replaced(foreign, 'torture-named-orders', 0, { order, customer: id('b', 9) })],
] as const)('%s: %s, and that is found', async (name, _what, world) => {
  expect(await findings(name, world)).not.toEqual([]);
});

test('at-least-once: twice is allowed, less is not', async () => {
  expect(await findings('ledger', doubled(ledger, 'torture-balances'), false)).toEqual([]);
  expect(await findings('ledger', without(ledger, 'torture-balances', 1), false)).not.toEqual([]);
});
