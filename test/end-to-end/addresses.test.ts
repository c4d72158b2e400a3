// Names, addresses and certificates that change under a running application (fault row N7).
import dns from 'node:dns';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { serde } from '@millrace/core';
import { store, topic, topology } from '@millrace/dsl';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AppRig, type Ground } from './app-rig.ts';

const fixture = (name: string): string => join(import.meta.dirname, '../fixtures/tls', `${name}.pem`);
const CA = readFileSync(fixture('ca.cert'), 'utf8');
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function started(ground: Ground = {}): Promise<AppRig> {
  const rig = new AppRig(ground);
  await rig.start();
  cleanups.push(() => rig.close());
  await rig.createTopicsWith(1, { 'retention.ms': '-1' }, 'in', 'out');
  return rig;
}

/** A listener on this machine; `accept` is given each connection. Its sockets can all be ended. */
async function listener(accept: (socket: Socket) => void): Promise<{ readonly port: number; readonly cut: () => void; readonly server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    accept(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  cleanups.push(() => {
    cut();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, cut, server };
}

/** What stands before brokers and always has the same address. */
const service = (portNow: () => number) =>
  listener((client) => {
    const broker = connect(portNow(), '127.0.0.1');
    broker.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('close', () => broker.destroy());
    client.pipe(broker);
    broker.pipe(client);
  });

const text = { key: serde.string(), value: serde.string() };
const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt() });
const flow = topology('moving', (t) => {
  t.stream(topic('in', text))
    .groupByKey()
    .count({ store: counts, emit: 'onUpdate' })
    .toStream()
    .mapValues((count) => String(count), { value: serde.string() })
    .to(topic('out', text));
});
const options = { engine: 'memory', disk: 'state', connectionTimeout: 1000, requestTimeout: 2000, tuning: { sessionTimeout: 6000 } } as const;
let at = 0;
const word = () => [{ key: 'k', value: 'v', timestamp: ++at }];
const portOf = (rig: AppRig): number => Number(rig.address.split(':')[1]);
const counted = async (rig: AppRig): Promise<number[]> => (await rig.read('out')).map(({ value }) => Number(value));

test('a broker that comes back at another address is found through the bootstrap addresses, and everything is counted once', async () => {
  const rig = await started();
  const front = await service(() => portOf(rig));
  const app = await rig.app(flow, { ...options, brokers: [`127.0.0.1:${front.port}`] });
  cleanups.push(() => app.close());
  await rig.send('in', word());
  await app.drained();
  const before = portOf(rig);
  await rig.stopBroker();
  await rig.start();
  expect(portOf(rig)).not.toBe(before);
  await rig.send('in', word());
  await app.drained();
  expect(app.failure).toBeUndefined();
  expect(await counted(rig)).toEqual([1, 2]);
});

test('a name with several addresses, of which the first answers nobody: the next is taken', async () => {
  const rig = await started();
  const lookup = dns.lookup;
  const names: string[] = [];
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, given: object, done: (error: null, found: object) => void) => {
    if (name !== 'brokers.test') return lookup(name, given as never, done as never);
    names.push(name);
    done(
      null,
      ['127.77.77.77', '127.0.0.1'].map((address) => ({ address, family: 4 })),
    ); // nothing listens at the first
  }) as never);
  const app = await rig.app(flow, { ...options, brokers: [`brokers.test:${portOf(rig)}`] });
  cleanups.push(() => app.close());
  await rig.send('in', word());
  await app.drained();
  expect(names.length).toBeGreaterThan(0);
  expect(await counted(rig)).toEqual([1]);
});

test('a name that is not known any more, and for a time nobody behind the old address: the instance waits and goes on', async () => {
  const rig = await started();
  const front = await service(() => portOf(rig));
  let known = true;
  const lookup = dns.lookup;
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, given: object, done: (error: Error | null, found?: object) => void) => {
    if (name !== 'brokers.test') return lookup(name, given as never, done as never);
    if (known) return done(null, [{ address: '127.0.0.1', family: 4 }]);
    done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
  }) as never);
  const app = await rig.app(flow, { ...options, brokers: [`brokers.test:${front.port}`] });
  cleanups.push(() => app.close());
  await rig.send('in', word());
  await app.drained();
  known = false;
  await rig.stopBroker();
  await wait(500);
  await rig.start();
  known = true;
  await rig.send('in', word());
  await app.drained();
  expect(app.failure).toBeUndefined();
  expect(await counted(rig)).toEqual([1, 2]);
});

describe.each([
  ['says nothing', () => {}],
  [
    'lets a byte drop now and then',
    (socket: Socket) => {
      socket.write(Buffer.from([22, 3, 3, 64, 0, 2, 0, 63, 252])); // under TLS: the head of a long answer to the hello
      const drops = setInterval(() => socket.write(Buffer.from([0])), 100);
      socket.on('close', () => clearInterval(drops));
    },
  ],
])('an address where somebody accepts and then %s', (_, behave) => {
  test.each([false, true])('is given up within the connection timeout, and the next is tried (TLS: %s)', async (tls) => {
    const security = { tls: { key: fixture('server.key'), cert: fixture('server.cert') } };
    const rig = await started(tls ? { broker: { security }, connection: { ssl: { ca: CA } } } : {});
    const mute = await listener(behave);
    const app = rig.create(flow, {
      ...options,
      brokers: [`127.0.0.1:${mute.port}`, rig.address],
      connectionTimeout: 700,
    });
    cleanups.push(() => app.close());
    await app.start();
    await app.waitFor('running');
  });
});

describe('a broker whose certificate is replaced while it runs', () => {
  async function secured() {
    const files = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
    cleanups.push(() => rmSync(files, { recursive: true }));
    const use = (name: string): void => {
      for (const kind of ['key', 'cert']) copyFileSync(fixture(`${name}.${kind}`), join(files, `${kind}.pem`));
    };
    use('server');
    const security = { tls: { key: join(files, 'key.pem'), cert: join(files, 'cert.pem') } };
    const rig = await started({ broker: { security }, connection: { ssl: { ca: CA } } });
    const front = await service(() => portOf(rig));
    return { rig, front, use };
  }

  test('by one that has run out: connections that are there go on; who has to connect anew ends with what is wrong, and counts on when it has been renewed', async () => {
    const { rig, use } = await secured();
    const app = await rig.app(flow, options);
    cleanups.push(() => app.close());
    await rig.send('in', word());
    await app.drained();
    use('expired');
    rig.broker.renewCertificates();
    const late = rig.create(flow, { ...options, disk: 'late' });
    cleanups.push(() => late.close());
    await expect(late.start()).rejects.toMatchObject({ code: 'ERR_AUTHENTICATION', message: expect.stringMatching(/it has expired\. Renew it/) });
    expect(app.failure).toBeUndefined();
    use('server');
    rig.broker.renewCertificates();
    await rig.send('in', word());
    await app.drained();
    expect(app.failure).toBeUndefined();
    expect(await counted(rig)).toEqual([1, 2]);
  });
});
