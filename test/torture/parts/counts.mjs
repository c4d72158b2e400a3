// Count per key with every update out; the same behind a repartition and in windows; a join with a table of names.
// Every output carries the (generator, seq) of the one input that caused it, so that a reader can tell for each input whether it was counted once.
import { serde, store, topic, windows } from 'millrace';
import { perform } from '../acts.mjs';
import { countedOnce, PARTITIONS, START_MS, sumsFollow } from './expect.mjs';

const KEYS = 40;
const json = () => serde.json();
const input = topic('torture-in', { key: serde.string(), value: json(), partitions: PARTITIONS, timestamp: (value) => value.at });
const names = topic('torture-names', { key: serde.string(), value: json(), partitions: PARTITIONS });
const counts = topic('torture-counts', { key: serde.string(), value: json(), partitions: PARTITIONS });
const joined = topic('torture-joined', { key: serde.string(), value: json(), partitions: PARTITIONS });
const windowed = topic('torture-windows', { key: serde.windowed(serde.string(), { size: '10s' }), value: json(), partitions: PARTITIONS });
const perKey = store.keyValue('per-key', { key: serde.string(), value: json() });
const perWindow = store.window('per-window', { key: serde.string(), value: json() });

/** One more: how many so far, their sum, and whose turn this was. */
const add = (sum, value) => ({ n: sum.n + 1, sum: sum.sum + value.amount, g: value.g, s: value.s });
const initial = () => ({ n: 0, sum: 0, g: '', s: -1 });

export const countsPart = {
  name: 'counts',
  build(t) {
    const entries = t.stream(input).peek((value) => perform(value.act));
    entries.groupByKey().aggregate({ initial, add, store: perKey, emit: 'onUpdate' }).toStream().to(counts);
    entries
      .groupBy((value) => `bucket-${value.s % 7}`, { as: 'by-bucket' })
      .windowedBy(windows.tumbling({ size: '10s', grace: '365 days' }))
      .aggregate({ initial, add, store: perWindow, emit: 'onUpdate' })
      .toStream()
      .to(windowed);
    entries.join(t.table(names), (value, name) => ({ g: value.g, s: value.s, name: name.name })).to(joined);
  },
  inputs: ['torture-in', 'torture-names', 'torture-by-bucket-repartition'],
  /** Every key has a name before the first input. */
  before: () => ({
    topic: 'torture-names',
    messages: Array.from({ length: KEYS }, (_, at) => ({ key: `key-${at}`, value: { name: `name-${at}` }, timestamp: 0 })),
  }),
  sources: [
    {
      topic: 'torture-in',
      share: 1,
      make: (g, s, chance) => ({
        key: `key-${Math.floor(chance() * KEYS)}`,
        value: { g, s, amount: 1 + (s % 5), at: START_MS + s * 20 },
        timestamp: START_MS + s * 20,
      }),
    },
  ],
  async verify({ read, find, exactlyOnce }) {
    const wanted = new Set((await read('torture-in')).map(({ value }) => `${value.g}/${value.s}`));
    for (const output of ['torture-counts', 'torture-windows', 'torture-joined']) {
      const records = await read(output);
      countedOnce({ output, records, wanted, times: 1, exactlyOnce, find });
      if (!exactlyOnce || output === 'torture-joined') continue;
      const next = (before, value) => ({ n: (before?.n ?? 0) + 1, sum: (before?.sum ?? 0) + 1 + (value.s % 5) });
      // Windowed keys: topic and changelog both begin with the key bytes and the window start; the changelog has a sequence number behind.
      const [changelog, keyOf] =
        output === 'torture-counts' ? ['torture-per-key-changelog', (key) => key] : ['torture-per-window-changelog', (key) => key.slice(0, -4)];
      sumsFollow({ output, records, next, changelog: await read(changelog), keyOf, find });
    }
  },
};
