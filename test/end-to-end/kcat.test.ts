// kcat (librdkafka) as a stranger to the embedded broker: metadata, produce, consume, groups, compression, transactions.
// Every kcat is a process of its own, as in a shell. Skipped where kcat is not installed.
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const KCAT_MS = 30_000;

const version = spawnSync('kcat', ['-V'], { encoding: 'utf8' });
const whyNot = version.status === 0 ? undefined : 'kcat is missing (install the package kcat)';
const features = /builtin\.features=([\w,]*)/.exec(version.stdout ?? '')?.[1]?.split(',') ?? [];

let dataDir: string;
let broker: Awaited<ReturnType<typeof startBroker>>;

beforeEach(async (context) => {
  if (whyNot !== undefined) return context.skip(whyNot);
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-kcat-'));
  broker = await startBroker({ dataDir, host: '127.0.0.1', port: 0 }, ports);
});
afterEach(async () => {
  if (whyNot !== undefined) return;
  await broker.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Standard output of `kcat -b broker …args`; throws with its words when it fails or hangs. */
function kcat(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('kcat', ['-b', broker.address, ...args], { timeout: KCAT_MS, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kcat ${args.join(' ')}: ${error.signal ?? error.code}\n${stderr}`));
    });
    child.stdin?.end(input);
  });
}
const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
const numbers = (count: number): string => Array.from({ length: count }, (_, at) => `${at}\n`).join('');
const FROM_START = ['-X', 'auto.offset.reset=earliest'];

test('kcat lists broker, topics and partitions', async () => {
  await kcat(['-P', '-t', 'listed'], 'x\n');
  const text = await kcat(['-L']);
  expect(text).toContain(`broker 1 at ${broker.address} (controller)`);
  expect(text).toMatch(/topic "listed" with \d+ partitions:\n {4}partition 0, leader 1, replicas: 1, isrs: 1/);
});

test('what kcat produces it consumes: key, value, null value, headers, timestamp, offsets in order', async () => {
  const before = Date.now();
  await kcat(['-P', '-t', 't', '-p', '0', '-K', ':', '-Z', '-H', 'from=kcat', '-H', 'empty='], 'a:1\nb:2\nc:\n');
  const read = lines(await kcat(['-C', '-t', 't', '-e', '-q', '-Z', '-f', '%p %o %k %s %h %T\n']));
  expect(read.map((line) => line.replace(/ \d+$/, ''))).toEqual(['0 0 a 1 from=kcat,empty=', '0 1 b 2 from=kcat,empty=', '0 2 c NULL from=kcat,empty=']);
  for (const line of read) expect(Number(/\d+$/.exec(line)?.[0])).toBeGreaterThanOrEqual(before);
});

test.each(['gzip', 'snappy', 'lz4', 'zstd'])('kcat reads back what it compressed with %s', async (codec) => {
  if (!features.includes(codec)) throw new Error(`this kcat was built without ${codec}`);
  await kcat(['-P', '-t', 't', '-p', '0', '-z', codec, '-X', 'enable.idempotence=true'], numbers(5000));
  expect(await kcat(['-C', '-t', 't', '-e', '-q'])).toBe(numbers(5000));
});

test('kcat starts from an offset, from the end backwards, and finds the offset of a time', async () => {
  const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: 't', messages: [100, 200, 300].map((at) => ({ partition: 0, value: `at ${at}`, timestamp: String(at) })) });
  await producer.disconnect();
  expect(lines(await kcat(['-C', '-t', 't', '-p', '0', '-o', '1', '-e', '-q']))).toEqual(['at 200', 'at 300']);
  expect(lines(await kcat(['-C', '-t', 't', '-p', '0', '-o', '-1', '-e', '-q']))).toEqual(['at 300']);
  expect(lines(await kcat(['-C', '-t', 't', '-p', '0', '-o', 's@150', '-e', '-q']))).toEqual(['at 200', 'at 300']);
  // time: -2 is the start of the log
  expect(await kcat(['-Q', '-t', 't:0:-2'])).toBe('t [0] offset 0\n');
  expect(await kcat(['-Q', '-t', 't:0:201'])).toBe('t [0] offset 2\n');
});

test('a kcat group reads everything once and goes on where it stopped, also after the broker was restarted', async () => {
  await kcat(['-P', '-t', 't'], 'one\ntwo\n');
  expect([...lines(await kcat(['-G', 'g', '-e', '-q', ...FROM_START, 't']))].sort()).toEqual(['one', 'two']);
  const { port } = broker;
  await broker.close();
  broker = await startBroker({ dataDir, host: '127.0.0.1', port }, ports);
  await kcat(['-P', '-t', 't'], 'three\n');
  expect(lines(await kcat(['-G', 'g', '-e', '-q', ...FROM_START, 't']))).toEqual(['three']);
});

test('kcat writes a transaction, and under read_committed it reads neither aborted nor open ones', async () => {
  await kcat(['-P', '-t', 't', '-p', '0', '-X', 'transactional.id=kcat'], 'committed by kcat\n');
  const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ transactionalId: 'other', maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  const send = async (value: string) => {
    const transaction = await producer.transaction();
    await transaction.send({ topic: 't', messages: [{ partition: 0, value }] });
    return transaction;
  };
  await (await send('aborted')).abort();
  await (await send('committed')).commit();
  const open = await send('open');
  await kcat(['-P', '-t', 't', '-p', '0'], 'behind the open one\n');

  const committed = ['-e', '-q', '-X', 'isolation.level=read_committed'];
  const uncommitted = ['-e', '-q', '-X', 'isolation.level=read_uncommitted'];
  expect(lines(await kcat(['-C', '-t', 't', ...committed]))).toEqual(['committed by kcat', 'committed']);
  expect(lines(await kcat(['-C', '-t', 't', ...uncommitted]))).toEqual(['committed by kcat', 'aborted', 'committed', 'open', 'behind the open one']);
  expect(lines(await kcat(['-G', 'g', ...committed, ...FROM_START, 't']))).toEqual(['committed by kcat', 'committed']);
  await open.commit();
  expect(lines(await kcat(['-G', 'g', ...committed, ...FROM_START, 't']))).toEqual(['open', 'behind the open one']);
  await producer.disconnect();
});
