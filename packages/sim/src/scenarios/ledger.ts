// K1, ledger: transfers between accounts, each in two halves that travel through a repartition topic. What one account loses another gains,
// once, whatever happens between.
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { checkTable, pick, type Scenario } from './scenario.ts';

interface Transfer {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
}
interface Half {
  readonly id: number;
  readonly amount: number;
}

const transfers = topic('transfers', { value: serde.json<Transfer>() });
const balances = topic('balances', { key: serde.string(), value: serde.json<{ readonly balance: number; readonly id: number }>() });
const accounts = store.keyValue('accounts', { key: serde.string(), value: serde.json<{ readonly balance: number; readonly id: number }>() });
const ACCOUNTS = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay'];

const program = topology('ledger', (t) => {
  t.stream(transfers)
    .flatMap(
      ({ id, from, to, amount }): { key: string; value: Half }[] => [
        { key: from, value: { id, amount: -amount } },
        { key: to, value: { id, amount } },
      ],
      { key: serde.string(), value: serde.json<Half>() },
    )
    .groupByKey()
    .aggregate({
      initial: () => ({ balance: 0, id: -1 }),
      add: (sum, half: Half) => ({ balance: sum.balance + half.amount, id: half.id }),
      store: accounts,
      emit: 'onUpdate',
    })
    .toStream()
    .to(balances);
});

export function ledger(): Scenario {
  const sent: Transfer[] = [];
  return {
    topology: program,
    async workload(sim) {
      for (let id = 0; id < 150; id++) {
        const transfer = { id, from: pick(sim, ACCOUNTS), to: pick(sim, ACCOUNTS), amount: 1 + Math.floor(sim.random() * 100) };
        sent.push(transfer);
        sim.input(transfers).send(null, transfer);
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const updates = sim.output(balances).readAll();
      for (const { id, from, to } of sent)
        for (const account of [from, to])
          if (!updates.some(({ key, value }) => key === account && value.id === id)) throw new Error(`transfer ${id} never reached ${account} (K1)`);
      if (!exactly) return;
      if (updates.length !== sent.length * 2) throw new Error(`${sent.length} transfers made ${updates.length} entries (K1)`);
      const wanted = new Map<string, number>();
      for (const { from, to, amount } of sent) {
        wanted.set(from, (wanted.get(from) ?? 0) - amount);
        wanted.set(to, (wanted.get(to) ?? 0) + amount);
      }
      const found = new Map(
        sim
          .output(balances)
          .latest()
          .map(({ key, value }) => [key, value.balance]),
      );
      checkTable('balances (K1)', found, wanted);
      checkTable(
        'accounts (K1)',
        new Map(
          sim
            .store(accounts)
            .entries()
            .map(({ key, value }) => [key, value.balance]),
        ),
        wanted,
      );
    },
  };
}
