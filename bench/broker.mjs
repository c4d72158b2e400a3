// Question: what does the embedded broker carry, what does a record cost it, and what does Apache Kafka cost on the same machine, under
// the same generator, in the same minutes? `npm run bench -- broker [CASE …] [--no-kafka] [--quick] [--write]`, one JSON line per result;
// with --write docs/broker-benchmarks.md gets them as tables.
// Workload: 100-byte random values without keys, in batches; broker and load are separate processes; the data directories lie in the temporary folder.
// Durability is the default of both: the page cache. Every record that is read is compared with what was written; a wrong byte ends the run.
// Leaves out: network latency, replication, TLS, consumer groups, disks slower than the page cache.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMPRESSIONS } from '@millrace/protocol';
import { KAFKA_VERSION, whyNoKafka } from '../scripts/kafka.mjs';
import { latencies, percentile } from './broker/latency.mjs';
import { createTopics, fetchAndVerify, makeBatches, produce } from './broker/load.mjs';
import { memoryMiB, metered, startApacheKafka, startMillrace } from './broker/processes.mjs';
import { writeTables } from './broker/table.mjs';

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const beganAt = process.hrtime.bigint();
const loadAtStart = loadavg()[0];
const wanted = args.filter((arg) => !arg.startsWith('--'));
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
const round = (value, digits = 0) => (value === undefined ? undefined : Number(value.toFixed(digits)));
const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version };
const kept = new Map();
const results = [];
let failed = false;

/** Prints a result, with the ratio to Kafka's once both are there: above 1, ours is dearer. */
function report(broker, name, facts, { costName, target, ok = true } = {}) {
  const rival = kept.get(name);
  const ratio =
    broker.name === 'millrace' || costName === undefined || rival === undefined ? {} : { millraceShare: round(rival[costName] / facts[costName], 2) };
  if (broker.name === 'millrace') kept.set(name, facts);
  failed ||= !ok && broker.name === 'millrace';
  const version = broker.name === 'kafka' ? KAFKA_VERSION : undefined;
  const result = {
    ...{ bench: 'broker', case: name, broker: broker.name, version },
    ...facts,
    ...{ target, ok: broker.name === 'millrace' ? ok : undefined },
    ...ratio,
    ...machine,
  };
  results.push(result);
  console.log(JSON.stringify(result));
}

const PARTITIONS = 4;
/** Fetch is so much cheaper than produce that one pass says little. */
const FETCH_PASSES = 3;

/** Produce, then fetch, of one shape of batches. The first rounds warm the broker up and are not counted. */
async function throughput(broker, name, shape) {
  const batches = makeBatches({ count: 64, records: shape.records, compression: shape.compression ?? 0 });
  const recordsPerRequest = shape.records * PARTITIONS;
  const load = { partitions: PARTITIONS, batches, connections: 2, inFlight: 5 };
  const requestsFor = (records) => Math.ceil(records / recordsPerRequest / load.connections);
  const warmUps = quick ? 1 : broker.name === 'kafka' ? 3 : 2;
  const runs = quick ? 1 : 3;
  const produced = [];
  const fetched = [];
  for (let run = -warmUps; run < runs; run++) {
    const topic = `${name}-${run + warmUps}`;
    await createTopics(broker.address, [{ name: topic, partitions: PARTITIONS }]);
    const requests = requestsFor(run < 0 || quick ? 1_000_000 : shape.total);
    const writing = await metered(broker, () => produce(broker.address, { ...load, topic, requests }));
    const endOffset = writing.result / PARTITIONS;
    const all = { topic, partitions: PARTITIONS, batches, endOffset, connections: 2, inTurn: false };
    const reading = await metered(broker, async () => {
      let records = 0;
      for (let pass = 0; pass < FETCH_PASSES; pass++) records += await fetchAndVerify(broker.address, all);
      return records;
    });
    if (reading.result !== writing.result * FETCH_PASSES) throw new Error(`${reading.result} records read, ${writing.result} written`);
    if (run < 0) continue;
    produced.push(writing);
    fetched.push(reading);
  }
  const bytesPerRecord = batches.reduce((sum, batch) => sum + batch.length, 0) / batches.length / shape.records;
  for (const [what, list, target] of [
    ['produce', produced, shape.produceTarget],
    ['fetch', fetched, shape.fetchTarget],
  ]) {
    const facts = summary(list, bytesPerRecord);
    const ok = target === undefined || facts.recordsPerSecondBest >= target || (facts.recordsPerCpuSecond ?? 0) >= target;
    report(
      broker,
      `${what} ${name}`,
      { recordsPerBatch: shape.records, ...facts, memory: memoryMiB(broker.pid) },
      { costName: 'cpuSecondsPerMillion', target, ok },
    );
  }
}

function summary(list, bytesPerRecord) {
  const rates = list.map(({ result, seconds }) => result / seconds).sort((left, right) => left - right);
  const costs = list.map(({ result, cpuSeconds: cpu }) => (cpu === undefined ? undefined : (cpu / result) * 1e6)).sort((left, right) => left - right);
  const cost = costs[costs.length >> 1];
  return {
    records: list[0].result,
    recordsPerSecond: round(rates[rates.length >> 1]),
    recordsPerSecondBest: round(rates.at(-1)),
    mbPerSecond: round((rates[rates.length >> 1] * bytesPerRecord) / 1e6),
    cpuSecondsPerMillion: round(cost, 3),
    cpuSecondsPerMillionRange: [round(costs[0], 3), round(costs.at(-1), 3)],
    recordsPerCpuSecond: cost === undefined ? undefined : round(1e6 / cost),
  };
}

async function latency(broker) {
  const topic = 'latency';
  await createTopics(broker.address, [{ name: topic, partitions: 1 }]);
  const plan = { topic, perSecond: 10_000, seconds: quick ? 6 : 25, warmUpSeconds: quick ? 2 : 5 };
  const { result, cpuSeconds: cpu } = await metered(broker, () => latencies(broker.address, plan));
  const at = (share) => round(percentile(result, share), 2);
  const facts = { perSecond: plan.perSecond, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), p999Ms: at(0.999), brokerCores: round(cpu / plan.seconds, 3) };
  report(broker, 'end-to-end latency', facts, { costName: 'p99Ms', target: 10, ok: facts.p99Ms < 10 });
}

async function idle(broker) {
  const topics = 1000;
  const began = Date.now();
  for (let from = 0; from < topics; from += 50)
    await createTopics(
      broker.address,
      Array.from({ length: 50 }, (_, at) => ({ name: `idle-${from + at}`, partitions: PARTITIONS })),
    );
  const createSeconds = round((Date.now() - began) / 1000, 1);
  const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await wait(quick ? 2 : 10);
  const { seconds, cpuSeconds: cpu } = await metered(broker, () => wait(quick ? 10 : 60));
  const facts = { topics, partitions: topics * PARTITIONS, createSeconds, coreShare: round(cpu / seconds, 4), memory: memoryMiB(broker.pid) };
  report(broker, 'idle', facts, { costName: 'coreShare', target: 0.02, ok: facts.coreShare < 0.02 && (facts.memory?.now ?? 0) < 300 });
}

/** A clean stop and start on 1 GiB: to the ready line of a fresh process, and what of that is Node's own start. */
async function start() {
  const dataDir = join(folder, 'start');
  const bare = await startMillrace(join(folder, 'start-empty'));
  await bare.stop();
  let broker = await startMillrace(dataDir);
  const batches = makeBatches({ count: 64, records: 1000 });
  await createTopics(broker.address, [{ name: 'start', partitions: PARTITIONS }]);
  const requests = Math.ceil(1024 ** 3 / (batches[0].length * PARTITIONS));
  const records = await produce(broker.address, { topic: 'start', partitions: PARTITIONS, batches, requests, connections: 1, inFlight: 5 });
  await broker.stop();
  broker = await startMillrace(dataDir);
  const cleanMs = round(broker.readyMs);
  const load = { topic: 'start', partitions: PARTITIONS, batches, endOffset: records / PARTITIONS, connections: 2, inTurn: true };
  const found = await fetchAndVerify(broker.address, load);
  await broker.stop('SIGKILL');
  broker = await startMillrace(dataDir);
  const facts = { records: found, bytes: requests * PARTITIONS * batches[0].length, cleanMs, emptyMs: round(bare.readyMs), afterKillMs: round(broker.readyMs) };
  await broker.stop();
  report({ name: 'millrace' }, 'start with 1 GiB', facts, { target: 1000, ok: found === records && cleanMs < 1000 });
}

const CASES = {
  small: (broker) => throughput(broker, '16-KiB-batches', { records: 148, total: 2_000_000, produceTarget: 1_000_000, fetchTarget: 2_000_000 }),
  large: (broker) => throughput(broker, '1000-record-batches', { records: 1000, total: 4_000_000, produceTarget: 1_000_000, fetchTarget: 2_000_000 }),
  gzip: (broker) => throughput(broker, '1000-record-batches-gzip', { records: 1000, total: 4_000_000, compression: COMPRESSIONS.gzip }),
  lz4: (broker) => throughput(broker, '1000-record-batches-lz4', { records: 1000, total: 4_000_000, compression: COMPRESSIONS.lz4 }),
  latency,
  idle,
};

try {
  const chosen = Object.keys(CASES).filter((name) => wanted.length === 0 || wanted.includes(name));
  if (wanted.length === 0 || wanted.includes('start')) await start();
  const noKafka = args.includes('--no-kafka') ? 'asked to leave it out' : whyNoKafka();
  if (noKafka !== undefined) console.error(`Apache Kafka is left out: ${noKafka}`);
  const starters = [(name) => startMillrace(join(folder, name)), ...(noKafka === undefined ? [() => startApacheKafka()] : [])];
  for (const name of chosen)
    for (const begin of starters) {
      const broker = await begin(name);
      try {
        await CASES[name](broker);
      } finally {
        await broker.stop();
        rmSync(join(folder, name), { recursive: true, force: true });
      }
    }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const seconds = Math.round(Number(process.hrtime.bigint() - beganAt) / 1e9);
console.error(`${results.length} results in ${seconds} s`);
if (args.includes('--write'))
  writeTables(fileURLToPath(new URL('../docs/broker-benchmarks.md', import.meta.url)), results, {
    date: new Date().toISOString().slice(0, 10),
    seconds,
    load: loadAtStart,
  });
if (failed) process.exitCode = 1;
