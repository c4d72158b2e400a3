// The broker as a process of its own, killed with SIGKILL under load and started again on the same data: nothing acknowledged may be lost,
// nothing doubled, offsets stay dense. The audit reads the segment files itself, not through the broker.
// Runs the built packages (`npm test` builds first): packages/broker/dist and packages/core/dist.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordReader, readBatches } from '@millrace/protocol';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, beforeEach, expect, test } from 'vitest';

const dist = (name: string): string => new URL(`../../packages/${name}/dist/index.js`, import.meta.url).href;
const PROGRAM = `
import { startBroker } from ${JSON.stringify(dist('broker'))};
import { jsonLogger, nodeDisk, nodeNetwork, systemChance, systemClock, systemTimers } from ${JSON.stringify(dist('core'))};
const [dataDir, port] = process.argv.slice(1);
const log = jsonLogger('error', (line) => console.error(line), () => systemClock.nowMs());
const broker = await startBroker({ dataDir, port: Number(port) }, { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log });
process.on('SIGTERM', () => broker.close().then(() => process.exit(0)));
console.log('ready ' + broker.port + ' ' + broker.recovered);
`;

const KILLS = 8;
const PRODUCERS = 3;
const PARTITIONS = 3;
const TOPIC = 'killed';

interface BrokerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly recovered: boolean;
}

let folder: string;
let running: BrokerProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-broker-kill-'));
});
afterEach(() => {
  running?.child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

async function startProcess(port: number): Promise<BrokerProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, folder, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => ['exited'])])) as [Buffer];
  const match = /^ready (\d+) (true|false)/.exec(String(line));
  if (match === null) throw new Error(`the broker did not start: ${String(line)}`);
  return { child, port: Number(match[1]), recovered: match[2] === 'true' };
}
async function end(process: BrokerProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  process.child.kill(signal);
  await once(process.child, 'exit');
}

/** value → the places where it lies; and the number of gaps between batches. */
function audit(): { readonly places: Map<string, string[]>; readonly gaps: string[] } {
  const places = new Map<string, string[]>();
  const gaps: string[] = [];
  const root = join(folder, 'topics');
  const reader = new RecordReader();
  for (const uuid of readdirSync(root)) {
    if ((JSON.parse(readFileSync(join(root, uuid, 'topic.json'), 'utf8')) as { name: string }).name !== TOPIC) continue;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const directory = join(root, uuid, String(partition));
      let next = 0;
      for (const name of readdirSync(directory)
        .filter((file) => file.endsWith('.log'))
        .sort()) {
        const bytes = readFileSync(join(directory, name));
        for (const batch of readBatches(bytes, 0, bytes.length, { checkCrc: true })) {
          if (batch.baseOffset !== next) gaps.push(`${partition}: ${batch.baseOffset} after ${next - 1}`);
          next = batch.lastOffset + 1;
          reader.reset(batch);
          while (reader.next()) {
            const value = reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
            places.set(value, [...(places.get(value) ?? []), `${partition}@${reader.offset}`]);
          }
        }
      }
    }
  }
  return { places, gaps };
}

test(`${KILLS} kills under acks=all load: nothing acknowledged is lost or doubled, offsets are dense`, async () => {
  running = await startProcess(0);
  const { port } = running;
  const kafka = new Kafka({
    clientId: 'load',
    brokers: [`127.0.0.1:${port}`],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 200, retries: 200 },
  });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS, configEntries: [{ name: 'segment.bytes', value: '16384' }] }] });
  await admin.disconnect();

  const acknowledged = new Map<string, string>();
  let sinceStart = 0;
  let wake = (): void => {};
  let stopped = false;
  const load = Array.from({ length: PRODUCERS }, async (_, id) => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false });
    await producer.connect();
    for (let at = 0; !stopped; at++) {
      const partition = (id + at) % PARTITIONS;
      const values = Array.from({ length: 1 + (at % 5) }, (_unused, piece) => `${id}-${at}-${piece}-${'p'.repeat(50)}`);
      const [answer] = await producer.send({ topic: TOPIC, acks: -1, messages: values.map((value) => ({ value, partition })) });
      values.forEach((value, piece) => {
        acknowledged.set(value, `${partition}@${Number(answer?.baseOffset) + piece}`);
      });
      sinceStart += 1;
      wake();
    }
    await producer.disconnect();
  });
  const answersSinceStart = (count: number): Promise<void> =>
    new Promise((resolve) => {
      wake = () => {
        if (sinceStart >= count) resolve();
      };
      wake();
    });

  for (let kill = 0; kill < KILLS; kill++) {
    await answersSinceStart(20 + kill * 7);
    await end(running, 'SIGKILL');
    sinceStart = 0;
    running = await startProcess(port);
    expect(running.recovered).toBe(true);
  }
  await answersSinceStart(20);
  stopped = true;
  await Promise.all(load);
  await end(running, 'SIGTERM');
  running = undefined;

  const { places, gaps } = audit();
  expect(gaps).toEqual([]);
  expect([...acknowledged].filter(([value, place]) => !(places.get(value) ?? []).includes(place))).toEqual([]);
  expect([...places].filter(([, found]) => found.length > 1)).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(KILLS * 20);
});
