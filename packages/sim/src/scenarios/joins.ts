// K3 for joins: a stream with a table that is full before the stream begins, two streams within a window, two tables with deletes.
import { serde } from '@millrace/core';
import { topic, topology } from '@millrace/dsl';
import { checkSame, checkTable, EVENT_TIME_MS, pick, type Scenario } from './scenario.ts';

const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'];
const text = { key: serde.string(), value: serde.string() };
const compacted = { config: { 'cleanup.policy': 'compact' } };

const orders = topic('orders', text);
const customers = topic('customers', { ...text, ...compacted });
const enriched = topic('enriched', text);
const enriching = topology('enriching', (t) => {
  t.stream(orders)
    .join(t.table(customers), (order, customer) => `${order}/${customer}`)
    .to(enriched);
});

/** Every order comes out once, with its customer; orders of one key in order. */
export function streamTable(): Scenario {
  const wanted: string[] = [];
  return {
    topology: enriching,
    async workload(sim) {
      for (const key of KEYS) sim.input(customers).send(key, `name-of-${key}`, { at: EVENT_TIME_MS });
      await sim.written();
      await sim.sleep('1s');
      for (let n = 0; n < 120; n++) {
        const key = pick(sim, KEYS);
        wanted.push(`${key}=o${n}/name-of-${key}`);
        sim.input(orders).send(key, `o${n}`, { at: EVENT_TIME_MS + 60_000 + n });
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const found = sim
        .output(enriched)
        .readAll()
        .map(({ key, value }) => `${key}=${value}`);
      checkSame('enriched orders (K3)', found, wanted, exactly);
      if (!exactly) return;
      for (const key of KEYS) {
        const mine = (all: readonly string[]): string => all.filter((one) => one.startsWith(`${key}=`)).join();
        if (mine(found) !== mine(wanted)) throw new Error(`orders of ${key} came out of order (K2): ${mine(found)}`);
      }
    },
  };
}

const views = topic('views', text);
const clicks = topic('clicks', text);
const pairs = topic('pairs', text);
const pairing = topology('pairing', (t) => {
  t.stream(views)
    .join(t.stream(clicks), (view, click) => `${view}+${click}`, { within: '500ms', grace: '10 days' })
    .to(pairs);
});

/** Every pair that is near enough comes out once. */
export function streamStream(): Scenario {
  const sent: { readonly side: 'v' | 'c'; readonly key: string; readonly n: number; readonly at: number }[] = [];
  return {
    topology: pairing,
    async workload(sim) {
      for (let n = 0; n < 120; n++) {
        const one = { side: pick(sim, ['v', 'c'] as const), key: pick(sim, KEYS), n, at: EVENT_TIME_MS + n * 40 + Math.floor(sim.random() * 300) };
        sent.push(one);
        sim.input(one.side === 'v' ? views : clicks).send(one.key, `${one.side}${n}`, { at: one.at });
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const wanted = sent.flatMap((view) =>
        view.side === 'c'
          ? []
          : sent.flatMap((click) =>
              click.side === 'c' && click.key === view.key && Math.abs(click.at - view.at) <= 500 ? [`${view.key}=v${view.n}+c${click.n}`] : [],
            ),
      );
      checkSame(
        'pairs (K3)',
        sim
          .output(pairs)
          .readAll()
          .map(({ key, value }) => `${key}=${value}`),
        wanted,
        exactly,
      );
    },
  };
}

const nullable = { key: serde.string(), value: serde.nullable(serde.string()), ...compacted };
const left = topic('left', nullable);
const right = topic('right', nullable);
const both = topic('both', { key: serde.string(), value: serde.nullable(serde.string()) });
const perBoth = topic('per-both', { key: serde.string(), value: serde.safeInt() });
const perLeft = topic('per-left', { key: serde.string(), value: serde.safeInt() });
const relating = topology('relating', (t) => {
  const lefts = t.table(left);
  const joined = lefts.join(t.table(right), (one, other) => `${one}+${other}`);
  joined.toStream().to(both);
  joined
    .groupBy((value) => ({ key: value, value }), { key: serde.string(), value: serde.string() })
    .count({ emit: 'onUpdate' })
    .toStream()
    .to(perBoth);
  lefts
    .groupBy((value) => ({ key: value, value }), { key: serde.string(), value: serde.string() })
    .count({ emit: 'onUpdate' })
    .toStream()
    .to(perLeft);
});

/** The last rows of both sides make the last rows of the join; the regrouped counts are those of the last rows. */
export function tableTable(): Scenario {
  const tables = { left: new Map<string, string>(), right: new Map<string, string>() };
  return {
    topology: relating,
    async workload(sim) {
      for (let n = 0; n < 120; n++) {
        const side = pick(sim, ['left', 'right'] as const);
        const key = pick(sim, KEYS);
        const value = sim.random() < 0.2 ? null : `${side}-${Math.floor(sim.random() * 4)}`;
        if (value === null) tables[side].delete(key);
        else tables[side].set(key, value);
        sim.input(side === 'left' ? left : right).send(key, value, { at: EVENT_TIME_MS + n });
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const joined = new Map([...tables.left].flatMap(([key, one]) => (tables.right.has(key) ? [[key, `${one}+${tables.right.get(key)}`] as const] : [])));
      if (!exactly) {
        // A late word of a former owner may stand last in the topic; nothing fences it.
        const shown = new Set(
          sim
            .output(both)
            .readAll()
            .map(({ key, value }) => `${key}=${value}`),
        );
        for (const [key, value] of joined) if (!shown.has(`${key}=${value}`)) throw new Error(`the joined table (K3): ${key} never was ${value}`);
        return;
      }
      const shown = sim.output(both).latest();
      checkTable('the joined table (K3)', new Map(shown.map(({ key, value }) => [key, value])), joined);
      const checkCounts = (what: string, counted: typeof perLeft, rows: Iterable<string>): void => {
        const counts = new Map<string, number>();
        for (const value of rows) counts.set(value, (counts.get(value) ?? 0) + 1);
        const found = sim
          .output(counted)
          .latest()
          .filter(({ value }) => value !== 0);
        checkTable(what, new Map(found.map(({ key, value }) => [key, value])), counts);
      };
      checkCounts('counts of rows (K3)', perLeft, tables.left.values());
      checkCounts('counts of joined rows (K3)', perBoth, joined.values());
    },
  };
}
