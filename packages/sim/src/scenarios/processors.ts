// T3 and chains: a processor that holds records back and hands them on by timers alone, and a chain of repartitions that every record passes
// once, whoever has which task.
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { checkSame, checkTable, pick, type Scenario } from './scenario.ts';

const KEYS = ['p', 'q', 'r', 's', 't', 'u'];
const text = { key: serde.string(), value: serde.string() };
const parcels = topic('parcels', text);
const delivered = topic('delivered', text);
const shelf = store.keyValue('shelf', text);

const delivering = topology('delivering', (t) => {
  t.stream(parcels)
    .process<string, string>({
      stores: [shelf],
      create(context) {
        const rows = context.store(shelf);
        context.schedule('300ms', 'wallClock', (at) => {
          for (const { key, value } of [...rows.range()]) {
            rows.delete(key);
            context.forward(context.record(key, value, at));
          }
        });
        return { process: ({ value }) => rows.put(value, value) };
      },
    })
    .to(delivered);
});

/** Each parcel is put on the shelf, and taken off once, by a timer. */
export function timers(): Scenario {
  const sent: string[] = [];
  return {
    topology: delivering,
    quiet: '2s',
    async workload(sim) {
      for (let n = 0; n < 120; n++) {
        sent.push(`parcel-${n}`);
        sim.input(parcels).send(pick(sim, KEYS), `parcel-${n}`);
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const found = sim
        .output(delivered)
        .readAll()
        .map(({ value }) => value);
      checkSame('parcels (K2)', found, sent, exactly);
      const left = sim.store(shelf).entries().length;
      if (left > 0) throw new Error(`${left} parcels are still on the shelf (T3)`);
    },
  };
}

const hops = topic('hops', text);
const arrived = topic('arrived', { key: serde.string(), value: serde.json<readonly string[]>() });
const travelling = topology('travelling', (t) => {
  t.stream(hops)
    .selectKey((value) => `first-${value.length % 3}`, { key: serde.string() })
    .repartition({ as: 'first', key: serde.string(), value: serde.string() })
    .mapValues((value) => value.toUpperCase())
    .selectKey((value) => `second-${value.charCodeAt(value.length - 1) % 5}`, { key: serde.string() })
    .repartition({ as: 'second', key: serde.string(), value: serde.string() })
    .groupByKey({ key: serde.string(), value: serde.string() })
    .aggregate<readonly string[]>({ initial: () => [], add: (all, one) => [...all, one], key: serde.string(), value: serde.json<readonly string[]>() })
    .toStream()
    .to(arrived);
});

/** Every record passes both repartitions once. */
export function chain(): Scenario {
  const sent: string[] = [];
  return {
    topology: travelling,
    async workload(sim) {
      for (let n = 0; n < 100; n++) {
        const value = `${'x'.repeat(1 + Math.floor(sim.random() * 6))}-${n}`;
        sent.push(value);
        sim.input(hops).send(pick(sim, KEYS), value);
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const wanted = new Map<string, string[]>();
      for (const value of sent.map((one) => one.toUpperCase())) {
        const key = `second-${value.charCodeAt(value.length - 1) % 5}`;
        wanted.set(key, [...(wanted.get(key) ?? []), value]);
      }
      const found = sim.output(arrived).latest();
      if (exactly) {
        const sorted = (values: readonly string[]): readonly string[] => [...values].sort();
        checkTable(
          'arrivals (K3)',
          new Map(found.map(({ key, value }) => [key, sorted(value)])),
          new Map([...wanted].map(([key, values]) => [key, sorted(values)])),
        );
        return;
      }
      const shown = new Set(
        sim
          .output(arrived)
          .readAll()
          .flatMap(({ key, value }) => value.map((one) => `${key} ${one}`)),
      );
      for (const [key, values] of wanted) for (const one of values) if (!shown.has(`${key} ${one}`)) throw new Error(`arrivals of ${key}: ${one} is missing`);
    },
  };
}
