// Queries between two instances while one way or another is cut (fault row N4): to the other instance, back from it, from an instance to its broker.
// Each is answered in bounded time, with the row or with what is wrong; and nobody answers for a partition that has gone to somebody else.
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@millrace/core';
import { type App, createApp, serde, store, topic, topology } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppRig } from './app-rig.ts';

const SESSION_MS = 1500;
const PARTITIONS = 4;
const text = { key: serde.string(), value: serde.string() };
const last = store.keyValue('last', text);
const flow = topology('cut-off', (t) => {
  t.stream(topic('in', text))
    .groupByKey()
    .reduce((_, value) => value, { store: last })
    .toStream()
    .to(topic('out', text));
});

type Way = 'open' | 'refused' | 'swallowed' | 'no way back';
interface Passage {
  readonly address: string;
  way: Way;
  close(): void;
}
/** A stretch of network in front of `target()`. What was swallowed stays lost; connections that were made before a cut are cut with it. */
async function passage(target: () => string): Promise<Passage> {
  const sockets = new Set<Socket>();
  let way: Way = 'open';
  const server = createServer((near) => {
    const [host, port] = target().split(':');
    const far = connect(Number(port), host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        if (way === 'open' || way === 'refused') for (const one of [near, far]) one.destroy();
      });
    }
    if (way === 'refused') return void near.destroy();
    near.on('data', (chunk: Buffer) => void (way !== 'swallowed' && far.write(chunk)));
    far.on('data', (chunk: Buffer) => void (way === 'open' && near.write(chunk)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get way() {
      return way;
    },
    set way(now) {
      const heals = now === 'open';
      way = now;
      if (heals || now === 'refused') for (const socket of sockets) socket.destroy();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

interface Proxy {
  readonly connections: ReadonlySet<{ end(): void }>;
  openDoor(name: string, brokers: readonly string[]): Promise<readonly string[]>;
  add(toxic: (frame: { readonly direction: 'up' | 'down' }) => { readonly silence: true } | undefined): () => void;
  close(): void;
}
const { createProxy } = (await import(new URL('../torture/proxy.mjs', import.meta.url).href)) as { createProxy(): Proxy };

const rig = new AppRig();
const folder = mkdtempSync(join(tmpdir(), 'millrace-cut-off-'));
let a: App;
let b: App;
let toB: Passage;
/** Brokers tell their addresses: this one puts its own in their place. */
const fromB = createProxy();
let keyOfB = '';

interface Seen {
  readonly status: number;
  readonly code: string | undefined;
  readonly value: unknown;
  readonly instance: string | undefined;
  readonly tookMs: number;
}
async function ask(app: App, key: string, query = ''): Promise<Seen> {
  const began = performance.now();
  const reply = await fetch(`${app.url}/v1/stores/last/entries/${key}${query}`);
  const body = (await reply.json()) as {
    readonly value?: unknown;
    readonly code?: string;
    readonly type?: string;
    readonly meta?: { readonly instance: string };
  };
  const code = body.type?.split(':').at(-1);
  return {
    status: reply.status,
    code: reply.status === 200 ? undefined : code,
    value: body.value,
    instance: body.meta?.instance,
    tookMs: performance.now() - began,
  };
}
const put = (key: string, value: string) => rig.send('in', [{ key, value, timestamp: Date.now() }]);
async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 20));
}

beforeAll(async () => {
  await rig.start();
  await rig.createTopicsWith(PARTITIONS, { 'retention.ms': '-1' }, 'in', 'out');
  const [broker] = await fromB.openDoor('b', [rig.address]);
  toB = await passage(() => b.url.slice('http://'.length));
  const options = {
    createTopics: true,
    engine: 'memory',
    log: silentLogger,
    commitInterval: 20,
    connectionTimeout: 500,
    requestTimeout: 1000,
    tuning: { sessionTimeout: SESSION_MS },
    http: { port: 0 },
  } as const;
  a = createApp(flow, { ...options, brokers: [rig.address], stateDir: join(folder, 'a') });
  b = createApp(flow, { ...options, brokers: [broker as string], stateDir: join(folder, 'b'), advertise: toB.address });
  await a.start();
  await b.start();
  await until(async () => a.tasks().length === PARTITIONS / 2 && b.tasks().length === PARTITIONS / 2 && a.state === 'running' && b.state === 'running');
  for (let at = 0; at < 20; at++) await put(`key-${at}`, 'old');
  await until(async () => (await Promise.all(Array.from({ length: 20 }, (_, at) => ask(a, `key-${at}`)))).every(({ value }) => value === 'old'));
  for (let at = 0; at < 20; at++) if ((await ask(a, `key-${at}`)).instance === b.instanceId) keyOfB = `key-${at}`;
}, 120_000);
afterAll(async () => {
  await Promise.all([a?.close(), b?.close()]);
  toB?.close();
  fromB.close();
  await rig.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the link between the instances', () => {
  test.each<[Way, number, string]>([
    ['refused', 502, 'upstream-unreachable'], // or, where the machine is slow, as the others
    ['swallowed', 504, 'upstream-timeout'],
    ['no way back', 504, 'upstream-timeout'],
  ])('is %s: the question ends in time with %i %s; healed, it is answered again', async (way, status, code) => {
    toB.way = way;
    const seen = await ask(a, keyOfB, '?timeout=400');
    expect([
      { status, code },
      { status: 504, code: 'upstream-timeout' },
    ]).toContainEqual({ status: seen.status, code: seen.code });
    expect(seen.tookMs).toBeLessThan(10_000);
    expect(await ask(b, keyOfB)).toMatchObject({ status: 200, value: 'old', instance: b.instanceId }); // who has it answers all the same
    toB.way = 'open';
    await until(async () => (await ask(a, keyOfB)).status === 200);
    expect(await ask(a, keyOfB)).toMatchObject({ value: 'old', instance: b.instanceId });
  });
});

test.each(['up', 'down'] as const)(
  'an instance that is cut off from its broker (%s) answers for its partitions only while nobody else can have them',
  async (way) => {
    const value = `new, ${way}`;
    const heal = fromB.add(({ direction }) => (direction === way ? { silence: true } : undefined));
    await put(keyOfB, value);
    let taken = false;
    let over = false;
    const stale: Seen[] = [];
    const watching = (async () => {
      while (!over) {
        const seen = await ask(b, keyOfB, '?routing=local&timeout=0ms').catch(() => undefined);
        if (taken && seen?.status === 200 && seen.value !== value) stale.push(seen);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await until(async () => (await ask(a, keyOfB, '?timeout=400')).value === value);
    taken = true;
    expect((await ask(a, keyOfB)).instance).toBe(a.instanceId);
    const after: Seen[] = [];
    for (let at = 0; at < 40; at++) {
      after.push(await ask(b, keyOfB, '?routing=local&timeout=0ms'));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    over = true;
    await watching;
    expect(stale).toEqual([]);
    expect(after.filter(({ status }) => status === 200)).toEqual([]);
    heal();
    for (const one of [...fromB.connections]) one.end();
    await until(async () => b.tasks().length === PARTITIONS / 2 && b.state === 'running' && (await ask(b, keyOfB)).value === value);
  },
);
