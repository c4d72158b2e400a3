// Programs whose code takes all memory there is (fault row P8). Runs the built packages (`npm test` builds first).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'millrace-memory-'));
let broker: Broker;
beforeAll(async () => {
  const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
  broker = await startBroker({ dataDir: join(folder, 'broker'), port: 0 }, ports);
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

const HEAP_MB = 96;

async function produce(topic: string, values: readonly string[]): Promise<void> {
  const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ key: 'k', value })) });
  await producer.disconnect();
}

/** Runs the program to its end; when it is ready, `onReady` and the word to finish. */
async function run(
  workers: string,
  onReady: () => Promise<void>,
): Promise<{ readonly code: number | null; readonly signal: string | null; readonly said: readonly string[] }> {
  const script = fileURLToPath(new URL('./memory-hog.mjs', import.meta.url));
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, FOLDER: folder, BROKER: broker.address, WORKERS: workers };
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, script], { stdio: ['pipe', 'pipe', 'ignore'], env });
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line !== 'ready') continue;
    await onReady();
    child.stdin.write('go\n');
  }
  const [code, signal] = await ended;
  return { code, signal, said };
}

test('a worker out of memory is named as that and replaced; the record is processed by the next one, and each is counted once', async () => {
  const { code, said } = await run('1', () => produce('hog-lines-1', ['one', 'hog', 'three']));
  expect(said.filter((line) => line !== 'ready')).toEqual([expect.stringMatching(/^ERR_TASK_FAILED: .*out of memory.*max-old-space-size/), '1 2 3']);
  expect(code).toBe(0);
});

test('a process out of memory ends; the next one counts each record once', async () => {
  const first = await run('0', () => produce('hog-lines-0', ['one', 'hog', 'three']));
  expect(first.code).not.toBe(0);
  expect(first.said).toEqual(['ready']);
  const second = await run('0', async () => undefined);
  expect(second).toMatchObject({ code: 0, said: ['ready', '1 2 3'] });
});
