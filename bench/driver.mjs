// Question: how many records a second does the test driver take through a topology on one core?
// Workload: filter (one in ten goes), mapValues, groupByKey, count; 10,000 keys of about 8 bytes, values of about 12 bytes, times 1 ms apart.
// Every record is encoded, decoded, processed, committed and its changelog record written before the next, as in a test.
// Baseline: 300,000 records/s. Leaves out: reading outputs, several partitions, large values.
// Every run checks its result against a plain count of the same input: a fast wrong answer exits with 1.
import { serde, store, topic, topology } from 'millrace';
import { testTopology } from 'millrace/testkit';

const quick = process.argv.includes('--quick');
const RECORDS = quick ? 100_000 : 1_000_000;
const ROUNDS = quick ? 2 : 5;
const KEYS = 10_000;
const MUST = 300_000;

const clicks = topic('clicks', { key: serde.string(), value: serde.string() });
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
const totals = topic('totals', { key: serde.string(), value: serde.safeInt() });
const counting = topology('driver-bench', (t) => {
  t.stream(clicks)
    .filter((value) => !value.endsWith('0'))
    .mapValues((value) => value.length)
    .groupByKey({ value: serde.safeInt() })
    .count({ store: counts })
    .toStream()
    .to(totals);
});

let seed = 42;
const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0);
const input = Array.from({ length: RECORDS }, (_, index) => [`key-${random() % KEYS}`, `click-${index}`]);
const expected = new Map();
for (const [key, value] of input) if (!value.endsWith('0')) expected.set(key, (expected.get(key) ?? 0) + 1);

let best = 0;
let failed = false;
for (let round = 0; round < ROUNDS; round++) {
  const driver = testTopology(counting);
  const before = process.cpuUsage();
  driver.input(clicks, { at: 0, step: 1 }).sendAll(input);
  const { user, system } = process.cpuUsage(before);
  best = Math.max(best, (RECORDS / (user + system)) * 1e6);
  failed ||= !verify(driver);
  driver.close();
}

function verify(driver) {
  const stored = driver.store(counts);
  let same = 0;
  for (const [key, count] of expected) if (stored.get(key) === count) same++;
  const sum = [...expected.values()].reduce((all, one) => all + one, 0);
  const latest = new Map(
    driver
      .output(totals)
      .latest()
      .map(({ key, value }) => [key, value]),
  );
  const right =
    same === expected.size &&
    driver.output(totals).size === sum &&
    latest.size === expected.size &&
    [...expected].every(([key, count]) => latest.get(key) === count);
  if (!right) process.stderr.write(`wrong answer: ${same} of ${expected.size} keys, ${driver.output(totals).size} of ${sum} outputs\n`);
  return right;
}

process.stdout.write(
  `${JSON.stringify({ case: 'driver', records: RECORDS, rounds: ROUNDS, recordsPerCpuSecond: Math.round(best), must: MUST, right: !failed })}\n`,
);
process.exitCode = failed || (!quick && best < MUST) ? 1 : 0;
