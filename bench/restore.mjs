// Question: how fast does an instance with an empty disk get its stores back, and does its main thread stay awake meanwhile?
// Workload: two tasks; changelogs of 1,000,000 records each (--records), keys of 12 bytes, values of 100, every key once; embedded broker.
// Targets: 400,000 records/s with RocksDB; event-loop delay of the main thread p99.9 at most 20 ms.
// Leaves out: a broker over a network, compressed changelogs, keys that come many times.
// The run is checked: all rows are there, and a sample has the right bytes. A wrong answer exits with 1.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { createAdmin, createProducer } from '@millrace/client';
import { murmur2, nodeNetwork, noHeaders, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool } from '@millrace/protocol';
import { createApp } from 'millrace';
import { startMillrace } from './broker/processes.mjs';
import program, { rows } from './restore-app.mjs';

const { values: flags } = parseArgs({
  options: { records: { type: 'string', default: '1000000' }, engine: { type: 'string', default: 'rocksdb' }, workers: { type: 'string', default: '1,2' } },
});
const RECORDS = Number(flags.records);
const VALUE_BYTES = 100;
const BATCH_RECORDS = 2000;
const SAMPLES = 1000;
const CHANGELOG = 'restore-rows-changelog';
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, log: silentLogger };

const keyOf = (index) => `row-${String(index).padStart(8, '0')}`;
function fillValue(value, index) {
  value.fill(index & 0xff);
  value.writeUInt32BE(index, 0);
}

async function preload(address) {
  const connection = { brokers: [address], clientId: 'loader', connectionTimeoutMs: 5_000, requestTimeoutMs: 30_000 };
  const admin = createAdmin(connection, {}, ports);
  await admin.createTopics([
    { name: 'in', partitions: 2, replication: 1, config: {} },
    { name: CHANGELOG, partitions: 2, replication: 1, config: { 'cleanup.policy': 'compact' } },
  ]);
  const producer = createProducer(connection, {}, ports);
  await producer.initialise();
  const pool = new BatchPool({ initialBytes: 512 * 1024 });
  const value = Buffer.alloc(VALUE_BYTES);
  const batches = [pool.take(), pool.take()];
  const send = async (partition) => {
    const sent = producer.send(CHANGELOG, partition, batches[partition]);
    batches[partition] = pool.take();
    if (producer.inFlight.bytes > 8 * 1024 * 1024) await sent;
  };
  for (let index = 0; index < 2 * RECORDS; index++) {
    const key = Buffer.from(keyOf(index));
    const partition = (murmur2(key, 0, key.length) & 0x7fffffff) % 2;
    fillValue(value, index);
    batches[partition].append(1_700_000_000_000 + index, key, 0, key.length, value, 0, VALUE_BYTES, noHeaders);
    if (batches[partition].count >= BATCH_RECORDS) await send(partition);
  }
  for (const partition of [0, 1]) await send(partition);
  await producer.flush();
  await producer.close();
  const group = { groupId: 'restore', memberId: '', generation: -1, instanceId: undefined };
  const offsets = [0, 1].map((partition) => ({ topic: 'in', partition, offset: 0, leaderEpoch: -1, metadata: '' }));
  await admin.commitOffsets(group, offsets);
  await admin.close();
}

async function restoreOnce(address, folder, workers) {
  const app = createApp(program, {
    module: new URL('./restore-app.mjs', import.meta.url),
    brokers: [address],
    stateDir: folder,
    engine: flags.engine,
    workers,
    createTopics: false,
    http: false,
    log: silentLogger,
  });
  const restored = new Map();
  let firstMs;
  let lastMs;
  app.events.subscribe((event) => {
    if (event.kind !== 'restoreProgress') return;
    firstMs ??= performance.now();
    if (event.remaining === 0) lastMs = performance.now();
    restored.set(`${event.store}-${event.partition ?? event.taskId}`, event.restored);
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await app.start();
  delay.enable();
  const cpu = process.cpuUsage();
  await app.waitFor('running');
  const used = process.cpuUsage(cpu);
  delay.disable();
  const count = [...restored.values()].reduce((sum, each) => sum + each, 0);
  await verify(app.store(rows), count);
  await app.close();
  const seconds = (lastMs - firstMs) / 1000;
  return {
    benchmark: 'restore',
    engine: flags.engine,
    workers,
    records: count,
    recordsPerSecond: Math.round(count / seconds),
    cpuSecondsPerMillion: Number((((used.user + used.system) / count) * 1).toFixed(2)),
    mainThreadDelayMs: { p99: Number((delay.percentile(99) / 1e6).toFixed(1)), p999: Number((delay.percentile(99.9) / 1e6).toFixed(1)) },
    rssMiB: Math.round(process.memoryUsage.rss() / 1024 / 1024),
  };
}

async function verify(view, count) {
  if (count !== 2 * RECORDS) throw new Error(`restored ${count} of ${2 * RECORDS} records`);
  const expected = Buffer.alloc(VALUE_BYTES);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const index = Math.floor((sample * 2 * RECORDS) / SAMPLES);
    fillValue(expected, index);
    const found = await view.get(keyOf(index));
    if (found === undefined || !expected.equals(found)) throw new Error(`row ${keyOf(index)} is wrong after the restore`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-restore-'));
const broker = await startMillrace(join(folder, 'broker'));
try {
  await preload(broker.address);
  for (const workers of flags.workers.split(',').map(Number)) {
    const result = await restoreOnce(broker.address, join(folder, `state-${workers}`), workers);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
} finally {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
