// Topics that a pattern matches appear while everything else fails (M4): every record of each of them counts once (K2), wherever its task was when the
// topic came. Straight from the topics, where a task goes on with its rows, and behind a repartition.
import { serde } from '@millrace/core';
import { store, topic, topicPattern, topology } from '@millrace/dsl';
import { checkTable, EVENT_TIME_MS, pick, type Scenario } from './scenario.ts';

interface Entry {
  readonly s: number;
}
interface Sum {
  readonly n: number;
  readonly s: number;
}

const kinds = { key: serde.string(), value: serde.json<Entry>() };
const feeds = ['feed-a', 'feed-b', 'feed-c'].map((name) => topic(name, kinds));
const totals = topic('pattern-totals', { key: serde.string(), value: serde.json<Sum>() });
const buckets = topic('pattern-buckets', { key: serde.string(), value: serde.json<Sum>() });
const perKey = store.keyValue('per-feed-key', { key: serde.string(), value: serde.json<Sum>() });

const initial = (): Sum => ({ n: 0, s: -1 });
const add = (sum: Sum, { s }: Entry): Sum => ({ n: sum.n + 1, s });

const program = topology('patterned', (t) => {
  const stream = t.stream(topicPattern(/feed-.+/, kinds));
  stream.groupByKey().aggregate({ initial, add, store: perKey, emit: 'onUpdate' }).toStream().to(totals);
  stream
    .groupBy(({ s }) => `bucket-${s % 5}`, { as: 'by-bucket' })
    .aggregate({ initial, add, value: serde.json<Sum>(), emit: 'onUpdate' })
    .toStream()
    .to(buckets);
});

const RECORDS = 120;
const EVERY_MS = 35;

export function patterns(): Scenario {
  const sent: { readonly key: string; readonly s: number }[] = [];
  return {
    topology: program,
    async workload(sim) {
      // The first may be there before an instance is, the others come in the middle of it all.
      const bornAt = [Math.floor(sim.random() * 5), 1 + Math.floor(sim.random() * (RECORDS / 2)), Math.floor((0.3 + sim.random() * 0.6) * RECORDS)];
      const open: (typeof feeds)[number][] = [];
      for (let s = 0; s < RECORDS; s++) {
        for (const [at, feed] of feeds.entries()) {
          if (bornAt[at] !== s) continue;
          await sim.createTopic(feed);
          open.push(feed);
        }
        if (open.length > 0) {
          const one = { key: pick(sim, ['a', 'b', 'c', 'd', 'e', 'f', 'g']), s };
          sent.push(one);
          sim.input(pick(sim, open)).send(one.key, { s }, { at: EVENT_TIME_MS + s * 30 });
        }
        await sim.sleep(EVERY_MS);
      }
    },
    verify(sim, exactly) {
      checkCounts('totals of', sim.output(totals).readAll(), sent, exactly);
      checkCounts(
        'bucket',
        sim.output(buckets).readAll(),
        sent.map(({ s }) => ({ key: `bucket-${s % 5}`, s })),
        exactly,
      );
      if (!exactly) return;
      const latest = new Map(
        sim
          .output(totals)
          .latest()
          .map(({ key, value }) => [key, value]),
      );
      checkTable(
        'the store (K5)',
        new Map(
          sim
            .store(perKey)
            .entries()
            .map(({ key, value }) => [key, value]),
        ),
        latest,
      );
    },
  };
}

/** Each key's updates count 1, 2, 3 and so on, and name each of its inputs once. */
function checkCounts(
  what: string,
  found: readonly { readonly key: string; readonly value: Sum }[],
  sent: readonly { readonly key: string; readonly s: number }[],
  exactly: boolean,
): void {
  for (const key of new Set(sent.map((one) => one.key))) {
    const rows = found.filter((row) => row.key === key).map(({ value }) => value);
    const inputs = sent.filter((one) => one.key === key).map(({ s }) => s);
    for (const s of inputs) if (!rows.some((row) => row.s === s)) throw new Error(`${what} ${key} (K2): input ${s} is missing`);
    if (exactly && (rows.length !== inputs.length || rows.some(({ n }, at) => n !== at + 1)))
      throw new Error(`${what} ${key} (K2): ${JSON.stringify(rows)} is not each of ${inputs.length} inputs once`);
  }
}
