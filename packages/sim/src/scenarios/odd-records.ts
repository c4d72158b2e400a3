// D2 and T2: nine of ten records have one key, and some are large, empty or full of headers; records that are dated days ahead, which must not close
// the windows of those that are not.
import { createHeaders, serde } from '@millrace/core';
import { store, topic, topology, windows } from '@millrace/dsl';
import { checkTable, EVENT_TIME_MS, pick, type Scenario } from './scenario.ts';

interface Sum {
  readonly n: number;
  readonly chars: number;
  readonly last: string;
}

const LARGE_CHARS_MAX = 60_000;
const HEADERS = 300;
const DAY_MS = 86_400_000;

const crowd = topic('crowd', { key: serde.string(), value: serde.string() });
const crowdSizes = topic('crowd-sizes', { key: serde.string(), value: serde.json<Omit<Sum, 'last'>>() });
const perCrowd = store.keyValue('per-crowd', { key: serde.string(), value: serde.json<Sum>() });
const crowding = topology('crowding', (t) => {
  t.stream(crowd)
    .groupByKey()
    .aggregate({
      initial: (): Sum => ({ n: 0, chars: 0, last: '' }),
      add: ({ n, chars }, value) => ({ n: n + 1, chars: chars + value.length, last: value }),
      store: perCrowd,
      emit: 'onUpdate',
    })
    .toStream()
    .mapValues(({ n, chars }) => ({ n, chars }))
    .to(crowdSizes);
});

/** One hot key; its row is as large as the last record, so a rebuilt store has much to fetch. */
export function hotKey(): Scenario {
  const sent: { readonly key: string; readonly value: string }[] = [];
  return {
    topology: crowding,
    async workload(sim) {
      const letters = 'x'.repeat(LARGE_CHARS_MAX);
      for (let n = 0; n < 120; n++) {
        const size = pick(sim, [0, 1, 10, 10, 10, 10, 10, 10, 10, 10, Math.floor(sim.random() * LARGE_CHARS_MAX)]);
        const one = { key: sim.random() < 0.9 ? 'hot' : pick(sim, ['a', 'b', 'c']), value: letters.slice(0, size) };
        sent.push(one);
        const many = sim.random() < 0.05 ? createHeaders(Array.from({ length: HEADERS }, (_, at) => [`h${at}`, Buffer.from(String(at))] as const)) : undefined;
        sim.input(crowd).send(one.key, one.value, { at: EVENT_TIME_MS + n, ...(many === undefined ? {} : { headers: many }) });
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const wanted = new Map<string, Sum>();
      for (const { key, value } of sent) {
        const { n, chars } = wanted.get(key) ?? { n: 0, chars: 0 };
        wanted.set(key, { n: n + 1, chars: chars + value.length, last: value });
      }
      const sizes = sim.output(crowdSizes);
      for (const [key, { n }] of wanted)
        if (!sizes.pairs().some(([one, sum]) => one === key && sum.n >= n)) throw new Error(`${key} was never counted up to ${n} (K2)`);
      if (!exactly) return;
      for (const [key, { n }] of wanted) {
        const counts = sizes.readAll().flatMap((row) => (row.key === key ? [row.value.n] : []));
        if (counts.join() !== Array.from({ length: n }, (_, at) => at + 1).join()) throw new Error(`the counts of ${key} are ${counts.join()} (K2)`);
      }
      checkTable(
        'rows (K3)',
        new Map(
          sim
            .store(perCrowd)
            .entries()
            .map(({ key, value }) => [key, value]),
        ),
        wanted,
      );
    },
  };
}

// The broker would refuse these dates otherwise.
const dated = topic('dated', { key: serde.string(), value: serde.safeInt(), config: { 'message.timestamp.after.max.ms': String(100 * DAY_MS) } });
const datedCounts = topic('dated-counts', { key: serde.windowed(serde.string(), { size: '1s' }), value: serde.safeInt() });
const dating = topology('dating', (t) => {
  t.stream(dated, { onError: 'skip' })
    .groupByKey()
    .windowedBy(windows.tumbling({ size: '1s', grace: '1s' }))
    .count()
    .toStream()
    .to(datedCounts);
});

/** One record in eight is dated days ahead of every clock there is. It is passed over, and no window closes for it. */
export function farAhead(): Scenario {
  const wanted = new Map<string, number>();
  return {
    topology: dating,
    tuning: { timestampAheadMax: '1 day' },
    async workload(sim) {
      for (let n = 0; n < 120; n++) {
        const key = pick(sim, ['a', 'b', 'c', 'd']);
        const isAhead = sim.random() < 1 / 8;
        const at = isAhead ? sim.now + (5 + Math.floor(sim.random() * 5)) * DAY_MS : EVENT_TIME_MS + n * 40;
        sim.input(dated).send(key, n, { at });
        const window = `${key}@${at - (at % 1000)}`;
        if (!isAhead) wanted.set(window, (wanted.get(window) ?? 0) + 1);
        await sim.sleep(30);
      }
    },
    verify(sim, exactly) {
      const found = new Map(
        sim
          .output(datedCounts)
          .latest()
          .map(({ key, value }) => [`${key.key}@${key.window.start}`, value]),
      );
      if (exactly) checkTable('windows (T2)', found, wanted);
      else for (const window of wanted.keys()) if (!found.has(window)) throw new Error(`${window} is missing (T2)`);
    },
  };
}
