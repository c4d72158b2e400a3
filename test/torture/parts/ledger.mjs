// Transfers between accounts: each becomes two entries that meet their accounts behind a repartition. Money is neither made nor lost.
import { serde, store, topic } from 'millrace';
import { countedOnce, PARTITIONS, START_MS, sumsFollow } from './expect.mjs';

const ACCOUNTS = 30;
const json = () => serde.json();
const transfers = topic('torture-transfers', { key: serde.string(), value: json(), partitions: PARTITIONS });
const balances = topic('torture-balances', { key: serde.string(), value: json(), partitions: PARTITIONS });
const perAccount = store.keyValue('per-account', { key: serde.string(), value: json() });

const initial = () => ({ balance: 0, n: 0, g: '', s: -1, delta: 0 });
const add = (account, entry) => ({ balance: account.balance + entry.delta, n: account.n + 1, ...entry });

export const ledgerPart = {
  name: 'ledger',
  build(t) {
    t.stream(transfers)
      .flatMap(({ g, s, from, to, amount }) => [
        { key: from, value: { g, s, delta: -amount } },
        { key: to, value: { g, s, delta: amount } },
      ])
      .repartition({ as: 'entries', key: serde.string(), value: json() })
      .groupByKey()
      .aggregate({ initial, add, store: perAccount, emit: 'onUpdate' })
      .toStream()
      .to(balances);
  },
  inputs: ['torture-transfers', 'torture-entries-repartition'],
  sources: [
    {
      topic: 'torture-transfers',
      share: 1,
      make(g, s, chance) {
        const from = Math.floor(chance() * ACCOUNTS);
        const to = (from + 1 + Math.floor(chance() * (ACCOUNTS - 1))) % ACCOUNTS;
        return {
          key: `transfer-${g}-${s}`,
          value: { g, s, from: `account-${from}`, to: `account-${to}`, amount: 1 + Math.floor(chance() * 100) },
          timestamp: START_MS + s * 20,
        };
      },
    },
  ],
  async verify({ read, find, exactlyOnce }) {
    const due = new Map((await read('torture-transfers')).map(({ value }) => [`${value.g}/${value.s}`, value]));
    const records = await read('torture-balances');
    countedOnce({ output: 'torture-balances', records, wanted: new Set(due.keys()), times: 2, exactlyOnce, find });
    if (!exactlyOnce) return;
    const next = (before, { delta }) => ({ balance: (before?.balance ?? 0) + delta, n: (before?.n ?? 0) + 1 });
    sumsFollow({ output: 'torture-balances', records, next, changelog: await read('torture-per-account-changelog'), find });
    const wrong = records
      .filter(({ key, value }) => {
        const transfer = due.get(`${value.g}/${value.s}`);
        return transfer !== undefined && value.delta !== (key === transfer.from ? -transfer.amount : key === transfer.to ? transfer.amount : undefined);
      })
      .map(({ key, value }) => `${key} ${JSON.stringify(value)}`);
    find('torture-balances: entries that no transfer says', wrong);
    const sum = [...new Map(records.map(({ key, value }) => [key, value.balance])).values()].reduce((total, one) => total + one, 0);
    find('torture-balances: the balances of all accounts should add up to 0', sum === 0 ? [] : [`they add up to ${sum}`]);
  },
};
