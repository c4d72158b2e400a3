// One worker of Millrace under an outside benchmark kit: orders come from the environment, the kit watches the broker.
// BOOTSTRAP, WORKLOAD (W0 copy, W1 parse-filter-stringify, W2 keyed count), GUARANTEE (alos|eos), COMMIT_MS, INPUT, OUTPUT,
// APP_ID, STATE_DIR, CACHE_BYTES (0: every update goes out). Runs until SIGTERM. After `npm run build`.
import { isMain, run, serde, store, topic, topology, windows } from 'millrace';

const env = process.env;
const everyUpdate = env.CACHE_BYTES === '0';
const emit = everyUpdate ? 'onUpdate' : 'onCommit';
/** The kit's consumers read counts as ASCII digits. */
const digits = serde.of({
  format: 'digits',
  serialize: (value) => Buffer.from(String(value), 'latin1'),
  deserialize: (bytes) => Number(Buffer.from(bytes).toString('latin1')),
  '~direct': { kind: 'text', toText: String, fromText: Number },
});

const input = topic(env.INPUT ?? 'in', { key: serde.string(), value: serde.json() });
const rawInput = topic(env.INPUT ?? 'in', { key: serde.bytes(), value: serde.bytes() });
const keyedRawInput = topic(env.INPUT ?? 'in', { key: serde.string(), value: serde.bytes() });
const counts = store.keyValue('counts', { key: serde.string(), value: digits });

const workloads = {
  W0: (t) => t.stream(rawInput).to(topic(env.OUTPUT ?? 'out', { key: serde.bytes(), value: serde.bytes() })),
  W1: (t) =>
    t
      .stream(input)
      .filter((value) => value.amount % 2 === 0)
      .mapValues(({ seq, user, amount, other, pad }) => ({ seq, user, amount, other, pad, fee: Math.floor(amount / 10) }))
      .to(topic(env.OUTPUT ?? 'out', { key: serde.string(), value: serde.json() })),
  W2: (t) =>
    t
      .stream(keyedRawInput)
      .groupByKey()
      .count({ store: counts, emit })
      .toStream()
      .to(topic(env.OUTPUT ?? 'out', { key: serde.string(), value: digits })),
  W3: (t) =>
    t
      .stream(keyedRawInput)
      .groupByKey()
      .windowedBy(windows.tumbling({ size: '10s', grace: '5s' }))
      .count({ emit })
      .toStream()
      .map((count, { key, window }) => ({ key: `${key}@${window.start}`, value: count }))
      .to(topic(env.OUTPUT ?? 'out', { key: serde.string(), value: digits })),
  W4: (t) =>
    t
      .stream(input)
      .groupBy((value) => value.other, { key: serde.string(), value: serde.json() })
      .count({ store: counts, emit })
      .toStream()
      .to(topic(env.OUTPUT ?? 'out', { key: serde.string(), value: digits })),
};
workloads.W7 = workloads.W2;

const build = workloads[env.WORKLOAD ?? 'W0'];
if (build === undefined) throw new Error(`workload ${env.WORKLOAD} is not one of ${Object.keys(workloads).join(', ')}`);
const kit = topology(env.APP_ID ?? 'kit', build);
export default kit;

if (isMain(import.meta)) {
  await run(kit, {
    module: import.meta.url,
    brokers: [env.BOOTSTRAP ?? '127.0.0.1:9092'],
    guarantee: env.GUARANTEE === 'eos' ? 'exactly-once' : 'at-least-once',
    commitInterval: Number(env.COMMIT_MS ?? 100),
    stateDir: env.STATE_DIR ?? './state',
    createTopics: false,
    http: false,
  });
}
