// The proxy under torture does what its faults say, and nothing when there is none.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { nodeDisk, nodeNetwork, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

interface Frame {
  readonly direction: 'up' | 'down';
  readonly key: number;
  readonly version: number;
  readonly bytes: Buffer;
}
interface Action {
  readonly cut?: true;
  readonly drip?: true;
  readonly bytes?: Buffer;
}
interface Proxy {
  readonly stats: { readonly connections: number; readonly frames: number };
  openDoor(name: string, brokers: readonly string[]): Promise<readonly string[]>;
  add(toxic: (frame: Frame) => Action | undefined): () => void;
  close(): void;
}
interface Reader {
  read(topic: string): Promise<readonly { readonly value: unknown }[]>;
  close(): Promise<void>;
}
const load = async <T>(name: string): Promise<T> => (await import(new URL(name, import.meta.url).href)) as T;
const { createProxy } = await load<{ createProxy(): Proxy }>('./proxy.mjs');
const { checkedRanges } = await load<{ checkedRanges(bytes: Buffer, header: Frame, isRequest: boolean): readonly [number, number][] }>('./frames.mjs');
const { openReader } = await load<{ openReader(brokers: readonly string[], inputs: readonly string[]): Reader }>('./reader.mjs');

const PRODUCE = 0;
const FETCH = 1;
const PARTITIONS = 4;
const folder = mkdtempSync(join(tmpdir(), 'millrace-proxy-'));
let broker: Broker;
let proxy: Proxy;
let door: string;
let topics = 0;
let topic: string;

beforeAll(async () => {
  broker = await startBroker(
    { dataDir: folder, partitions: PARTITIONS },
    { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger },
  );
  proxy = createProxy();
  door = (await proxy.openDoor('client', [`127.0.0.1:${broker.port}`]))[0] ?? '';
});
afterAll(async () => {
  proxy.close();
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  topic = `t-${topics++}`;
});

const kafka = () =>
  new Kafka({ clientId: 'proxied', brokers: [door], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 10, maxRetryTime: 50, retries: 100 } });

async function write(count: number): Promise<void> {
  const producer = kafka().producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  await producer.send({ topic, messages: Array.from({ length: count }, (_, n) => ({ key: `k${n}`, value: JSON.stringify({ n }) })) });
  await producer.disconnect();
}

async function readThrough(address: string): Promise<readonly number[]> {
  const reader = openReader([address], []);
  const records = await reader.read(topic);
  await reader.close();
  return records.map(({ value }) => (value as { n: number }).n).sort((a, b) => a - b);
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const direct = () => `127.0.0.1:${broker.port}`;

/** The first `times` frames that `matches` are given to `act`. */
function first(times: number, matches: (frame: Frame) => boolean, act: (frame: Frame) => Action | undefined) {
  const hit = { count: 0 };
  const remove = proxy.add((frame) => {
    if (hit.count >= times || !matches(frame)) return undefined;
    const action = act(frame);
    if (action !== undefined) hit.count++;
    return action;
  });
  return { hit, remove };
}

test('whoever comes in by a door is told the door, never the broker', async () => {
  const admin = kafka().admin();
  await admin.connect();
  const { brokers } = await admin.describeCluster();
  await admin.disconnect();
  expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([door]);
});

test('the answer to what was written is lost: the producer asks again, and it is there once', async () => {
  const { hit, remove } = first(
    2,
    ({ key, direction }) => key === PRODUCE && direction === 'down',
    () => ({ cut: true }),
  );
  await write(20);
  remove();
  expect(hit.count).toBe(2);
  expect(await readThrough(direct())).toEqual(upTo(20));
});

test('a bit that flips in fetched records is seen by their checksum: they are read again', async () => {
  await write(100);
  const { hit, remove } = first(
    1, // the same batch twice would be no accident of the network
    ({ key, direction }) => key === FETCH && direction === 'down',
    (frame) => {
      const [range] = checkedRanges(frame.bytes, frame, false);
      if (range === undefined) return undefined;
      const bytes = Buffer.from(frame.bytes);
      const at = range[1] - 1;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return { bytes };
    },
  );
  const read = await readThrough(door);
  remove();
  expect(hit.count).toBe(1);
  expect(read).toEqual(upTo(100));
});

test('frames that come byte by byte are whole in the end', async () => {
  const { hit, remove } = first(
    50,
    () => true,
    () => ({ drip: true }),
  );
  await write(20);
  expect(await readThrough(door)).toEqual(upTo(20));
  remove();
  expect(hit.count).toBeGreaterThan(5);
});
