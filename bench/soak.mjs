// Question: does the memory of an instance grow under constant load?
// Workload: --rate records/s (5,000) of 100 bytes, 10,000 keys, for --minutes (30); a repartition, a count per key, a count per 10 s window; exactly-once,
// RocksDB, --workers (1). Broker, loader and instance are three processes; only the instance is observed.
// Method: RSS and heaps once a second, the main thread's heap after a collection once a minute; the first third is warm-up; then a line through 24 block
// means. Level: the slope's 95 % interval has 0 inside, or the growth in the time measured is less than 1 % of the level.
// Leaves out: rebalances, growing key sets, days. Exits with 1 when the memory grows, or when not every record was processed.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAdmin, createProducer } from '@millrace/client';
import { nodeNetwork, noHeaders, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool } from '@millrace/protocol';
import { startMillrace } from './broker/processes.mjs';
import { fitSlope } from './soak/slope.mjs';

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '5000' },
    workers: { type: 'string', default: '1' },
    engine: { type: 'string', default: 'rocksdb' },
    samples: { type: 'boolean', default: false },
  },
});
const [minutes, rate] = [Number(flags.minutes), Number(flags.rate)];
const KEYS = 10_000;
const PARTITIONS = 4;
const TICK_MS = 50;
const SEGMENT = { 'segment.bytes': String(16 * 1024 * 1024), 'retention.bytes': String(64 * 1024 * 1024) };
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, log: silentLogger };

async function createInputs(connection) {
  const admin = createAdmin(connection, {}, ports);
  await admin.createTopics(['soak-in', 'soak-totals', 'soak-windows'].map((name) => ({ name, partitions: PARTITIONS, replication: 1, config: SEGMENT })));
  await admin.close();
}

/** Writes at a constant rate until `stop`; what a slow moment kept back is made up for. */
async function startLoad(connection) {
  const producer = createProducer(connection, {}, ports);
  await producer.initialise();
  const pool = new BatchPool();
  const began = Date.now();
  let sent = 0;
  const tick = () => {
    const due = Math.floor(((Date.now() - began) / 1000) * rate);
    const batches = Array.from({ length: PARTITIONS }, () => pool.take());
    for (; sent < due; sent++) {
      const key = Buffer.from(`key-${sent % KEYS}`);
      const value = JSON.stringify({ user: `user-${(sent * 7919) % KEYS}`, amount: sent % 1000, pad: 'x'.repeat(50) });
      batches[sent % PARTITIONS].appendText(Date.now(), key, 0, key.length, value, noHeaders);
    }
    for (const [partition, batch] of batches.entries()) {
      if (batch.count > 0) void producer.send('soak-in', partition, batch);
      else batch.release();
    }
  };
  const timer = setInterval(tick, TICK_MS);
  return async () => {
    clearInterval(timer);
    await producer.flush();
    await producer.close();
    return sent;
  };
}

const round = (value) => Number(value.toFixed(2));
function judge(samples, pick) {
  const warmUp = Math.min(Math.ceil(samples.length / 3), samples.length - 24);
  const fit = fitSlope(samples.slice(warmUp).map(pick));
  const hours = (samples.length - warmUp) / 3600;
  const level = Math.abs(fit.perHour) <= fit.noisePerHour || Math.abs(fit.perHour) * hours < fit.level / 100;
  return {
    ...Object.fromEntries(Object.entries(fit).map(([name, value]) => [name, round(value)])),
    verdict: level ? 'level' : fit.perHour > 0 ? 'grows' : 'shrinks',
  };
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-soak-'));
const broker = await startMillrace(join(folder, 'broker'));
const connection = { brokers: [broker.address], clientId: 'loader', connectionTimeoutMs: 5_000, requestTimeoutMs: 30_000 };
const samples = [];
try {
  await createInputs(connection);
  const instance = fork(fileURLToPath(new URL('soak/instance.mjs', import.meta.url)), [broker.address, join(folder, 'state'), flags.workers, flags.engine], {
    execArgv: ['--expose-gc'],
  });
  const ended = new Promise((resolve, reject) => {
    instance.on('message', (message) => {
      if (message.kind === 'end') return resolve(message);
      samples.push(message);
      if (flags.samples) process.stderr.write(`${JSON.stringify(message)}\n`);
    });
    instance.once('exit', (code) => reject(new Error(`the instance ended with code ${code}`)));
  });
  ended.catch(() => undefined);
  while (samples.length === 0) await Promise.race([new Promise((resolve) => setTimeout(resolve, 100)), ended]);
  samples.length = 0;
  const stopLoad = await startLoad(connection);
  await Promise.race([new Promise((resolve) => setTimeout(resolve, minutes * 60_000)), ended]);
  const measured = [...samples];
  const sent = await stopLoad();
  // The shuffle makes two input records of each.
  const allDone = async () => {
    for (let seconds = 0; seconds < 600; seconds++) {
      if ((samples.at(-1)?.processed ?? 0) >= 2 * sent) return true;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    return false;
  };
  const complete = await allDone();
  instance.send('stop');
  const { delayMs } = await ended;
  const rss = judge(measured, ({ rss }) => rss);
  const most = (key) => Math.max(...measured.map(({ buffers }) => buffers[key] ?? 0));
  const result = {
    benchmark: 'soak',
    minutes,
    rate,
    engine: flags.engine,
    sent,
    processed: samples.at(-1).processed,
    rssMiB: rss,
    mainHeapMiB: judge(measured, ({ mainHeap }) => mainHeap),
    workerHeapMiB: judge(measured, ({ workerHeap }) => workerHeap),
    mainExternalMiB: judge(measured, ({ external }) => external),
    workerExternalMiB: judge(measured, ({ workerExternal }) => workerExternal),
    nativeMiB: judge(measured, ({ native }) => native),
    mostBufferedBytes: Object.fromEntries(Object.keys(measured.at(-1).buffers).map((key) => [key, most(key)])),
    mainThreadDelayMs: Object.fromEntries(Object.entries(delayMs).map(([name, value]) => [name, round(value)])),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (!complete || rss.verdict === 'grows') process.exitCode = 1;
} finally {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
