// K2, count-once: every input adds one to its key, and the output says which input did and the how-manieth it was; behind a repartition the same
// per window. K3 for the windows. K10: rows looked up meanwhile are rows that were committed.
import { serde } from '@millrace/core';
import { store, topic, topology, windows } from '@millrace/dsl';
import { checkTable, EVENT_TIME_MS, pick, type Scenario } from './scenario.ts';

interface Entry {
  readonly s: number;
}
interface Sum {
  readonly n: number;
  readonly s: number;
}

const entries = topic('entries', { key: serde.string(), value: serde.json<Entry>() });
const totals = topic('totals', { key: serde.string(), value: serde.json<Sum>() });
const perWindow = topic('per-window', { key: serde.windowed(serde.string(), { size: '2s' }), value: serde.json<Sum>() });
export const perKey = store.keyValue('per-key', { key: serde.string(), value: serde.json<Sum>() });

const initial = (): Sum => ({ n: 0, s: -1 });
const add = (sum: Sum, { s }: Entry): Sum => ({ n: sum.n + 1, s });

const program = topology('counting', (t) => {
  const stream = t.stream(entries);
  stream.groupByKey().aggregate({ initial, add, store: perKey, emit: 'onUpdate' }).toStream().to(totals);
  stream
    .groupBy(({ s }) => `bucket-${s % 5}`, { as: 'by-bucket' })
    .windowedBy(windows.tumbling({ size: '2s', grace: '10 days' }))
    .aggregate({ initial, add, value: serde.json<Sum>(), emit: 'onUpdate' })
    .toStream()
    .to(perWindow);
});

export function counts(): Scenario {
  const seen = new Map<string, Set<string>>();
  const sent: { readonly key: string; readonly s: number; readonly at: number }[] = [];
  return {
    topology: program,
    async workload(sim) {
      for (let s = 0; s < 150; s++) {
        const one = { key: pick(sim, ['a', 'b', 'c', 'd', 'e', 'f', 'g']), s, at: EVENT_TIME_MS + s * 30 };
        sent.push(one);
        sim.input(entries).send(one.key, { s }, { at: one.at });
        for (const row of s % 5 === 0 ? sim.store(perKey).entries() : []) seen.set(row.key, (seen.get(row.key) ?? new Set()).add(JSON.stringify(row.value)));
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const byKey = new Map<string, Sum[]>();
      for (const { key, value } of sim.output(totals).readAll()) byKey.set(key, [...(byKey.get(key) ?? []), value]);
      for (const key of new Set(sent.map((one) => one.key))) {
        const wanted = sent.filter((one) => one.key === key).map(({ s }, at): Sum => ({ n: at + 1, s }));
        const found = byKey.get(key) ?? [];
        if (exactly && JSON.stringify(found) !== JSON.stringify(wanted))
          throw new Error(`totals of ${key} (K2): found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
        for (const { s } of wanted) if (!found.some((one) => one.s === s)) throw new Error(`totals of ${key} (K2): input ${s} is missing`);
      }
      if (!exactly) return;
      for (const [key, rows] of seen) {
        const committed = new Set(byKey.get(key)?.map((row) => JSON.stringify(row)));
        for (const row of rows) if (!committed.has(row)) throw new Error(`a query of ${key} saw ${row}, which was never committed (K10)`);
      }
      const windowed = new Map<string, number>();
      for (const { s, at } of sent) {
        const name = `bucket-${s % 5}@${at - (at % 2000)}`;
        windowed.set(name, (windowed.get(name) ?? 0) + 1);
      }
      const found = sim.output(perWindow).latest();
      checkTable('windows (K3)', new Map(found.map(({ key, value }) => [`${key.key}@${key.window.start}`, value.n])), windowed);
      for (const [key, rows] of byKey) {
        const last = rows.at(-1);
        if (JSON.stringify(sim.store(perKey).get(key)) !== JSON.stringify(last)) throw new Error(`the store has another row of ${key} than the topic (K5)`);
      }
    },
  };
}
