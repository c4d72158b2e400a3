// Over a broker on loopback sockets: letters as Millrace and Kafka Streams write them, sent back once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { createAdmin, createProducer } from '@millrace/client';
import { createHeaders, nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool } from '@millrace/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CliDeps } from '../command.ts';
import { runCli } from '../run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-dlq-'));
const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ dataDir: join(folder, 'broker'), port: 0 }, ports);
  const connection = { brokers: [broker.address], clientId: 'test', connectionTimeoutMs: 5_000, requestTimeoutMs: 10_000 };
  const admin = createAdmin(connection, {}, ports);
  await admin.createTopics(['in', 'in-dlq', 'other'].map((name) => ({ name, partitions: 3, replication: 1, config: {} })));
  await admin.close();
  const producer = createProducer(connection, {}, ports);
  await producer.initialise();
  const pool = new BatchPool();
  for (const [index, exception] of ['ERR_SCHEMA', 'ERR_SCHEMA', 'TypeError'].entries()) {
    const batch = pool.take();
    const told = { exception, message: `no ${index}`, stacktrace: 'at x', topic: 'in', partition: '2', offset: String(40 + index) };
    const headers = createHeaders([
      ['trace', Buffer.from('t')],
      ...Object.entries(told).map(([name, value]) => [`__streams.errors.${name}`, Buffer.from(value)] as const),
    ]);
    const [key, value] = [Buffer.from(`k${index}`), index === 2 ? Buffer.from([255, 0]) : Buffer.from(`v${index}`)];
    batch.append(1000 + index, key, 0, key.length, value, 0, value.length, headers);
    await producer.send('in-dlq', index, batch);
  }
  await producer.close();
});
afterAll(async () => {
  await broker?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function dlq(...args: string[]): Promise<{ readonly code: number; readonly out: string[]; readonly err: string[] }> {
  const out: string[] = [];
  const err: string[] = [];
  const deps: CliDeps = {
    printLine: (line) => void out.push(line),
    printError: (text) => void err.push(text),
    ports,
    loadModule: () => Promise.reject(new Error('no modules here')),
    onStop: () => () => {},
    exitNow: () => {},
  };
  return { code: await runCli(['dlq', ...args], deps), out, err };
}
const at = () => ['--brokers', broker.address];

test('list counts by failure and place; show gives each letter as JSON', async () => {
  expect(await dlq('list', ...at(), '--topic', 'in-dlq')).toMatchObject({ code: 0, out: ['2 ERR_SCHEMA from in', '1 TypeError from in', '3 dead letters'] });
  const { out } = await dlq('show', ...at(), '--topic', 'in-dlq');
  expect(out.map((line) => JSON.parse(line) as object)).toMatchObject([
    {
      key: 'k0',
      value: 'v0',
      timestamp: 1000,
      headers: [['trace', 't']],
      exception: 'ERR_SCHEMA',
      message: 'no 0',
      source: { topic: 'in', partition: 2, offset: 40 },
    },
    { key: 'k1' },
    { value: { base64: '/wA=' } },
  ]);
});

test('a replay is a dry run unless told otherwise; letters go back to where they came from, without the headers of the failure, once', async () => {
  expect((await dlq('replay', ...at(), '--topic', 'in-dlq')).out).toEqual(['3 dead letters would be replayed (--execute does it) to in']);
  expect((await dlq('show', ...at(), '--topic', 'in')).out).toEqual([]);
  expect((await dlq('replay', ...at(), '--topic', 'in-dlq', '--execute')).out).toEqual(['3 dead letters replayed to in']);
  const back = (await dlq('show', ...at(), '--topic', 'in')).out.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(back.map(({ partition, key, timestamp, headers, exception }) => [partition, key, timestamp, headers, exception])).toEqual(
    [0, 1, 2].map((index) => [2, `k${index}`, 1000 + index, [['trace', 't']], '']),
  );
  expect((await dlq('replay', ...at(), '--topic', 'in-dlq', '--execute')).out).toEqual(['0 dead letters replayed']);
});

test('what is wrong is said: no action, no topic, a topic that does not exist', async () => {
  expect((await dlq('burn')).code).toBe(2);
  expect((await dlq('list', ...at())).err[0]).toContain('--brokers and --topic are needed');
  expect(await dlq('list', ...at(), '--topic', 'nowhere')).toMatchObject({ code: 1, err: [expect.stringContaining('There is no topic nowhere')] });
});
