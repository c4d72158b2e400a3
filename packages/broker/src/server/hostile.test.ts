// One bad client never disturbs another: slow readers, half requests, floods of connections, deep pipelines, strangers before the login.
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { type Logger, memoryDisk, memoryNetwork, type Ports, type Socket, seededChance, silentLogger, type VirtualTime, virtualTime } from '@millrace/core';
import { APIS, correlationIdOf, decodeResponse, encodeRequest } from '@millrace/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type Broker, startBroker } from '../broker.ts';
import type { BrokerLimits, BrokerOptions } from '../options.ts';
import { clientBatch } from '../testing/log-fixture.ts';
import { FrameReader } from './frame-reader.ts';

const started: { broker: Broker; time: VirtualTime }[] = [];
afterEach(async () => {
  for (const { broker, time } of started.splice(0)) await driven(time, broker.close());
});

/** Drives virtual time until `work` is done. */
async function driven<T>(time: VirtualTime, work: Promise<T>): Promise<T> {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  work.then(mark, mark);
  for (let step = 0; step < 5_000 && !done; step++) await time.advance(1);
  return work;
}

interface Ground {
  readonly broker: Broker;
  readonly time: VirtualTime;
  readonly ports: Ports;
  metric(name: string): number;
}

async function start(limits: Partial<BrokerLimits> = {}, options: Partial<BrokerOptions> = {}, log: Logger = silentLogger): Promise<Ground> {
  const time = virtualTime();
  const ports: Ports = { clock: time.clock, timers: time.timers, chance: seededChance(1), network: memoryNetwork(time.timers), disk: memoryDisk(), log };
  const broker = await driven(time, startBroker({ dataDir: '/data', limits, ...options }, ports));
  started.push({ broker, time });
  return { broker, time, ports, metric: (name) => broker.metrics().find((sample) => sample.name === name)?.value ?? Number.NaN };
}

/** A client with its hands on the bytes. */
class Peer {
  closed = false;
  readonly answers: Buffer[] = [];
  readonly #frames = new FrameReader(200_000_000);
  #correlationId = 0;
  socket: Socket | undefined;
  readonly #time: VirtualTime;
  constructor(time: VirtualTime) {
    this.#time = time;
  }
  static async connect({ time, ports, broker }: Ground): Promise<Peer> {
    const peer = new Peer(time);
    peer.socket = await driven(
      time,
      ports.network.connect(
        { host: '127.0.0.1', port: broker.port, timeoutMs: 1_000 },
        {
          onData: (chunk) => {
            peer.#frames.push(chunk);
            for (let frame = peer.#frames.next(); frame !== undefined; frame = peer.#frames.next()) peer.answers.push(frame);
          },
          onClose: () => {
            peer.closed = true;
          },
        },
      ),
    );
    return peer;
  }
  send(bytes: Buffer): void {
    this.socket?.write(bytes);
  }
  request(...[api, version, body]: Parameters<typeof frameOf> extends [number, ...infer Rest] ? Rest : never): number {
    const id = ++this.#correlationId;
    this.send(frameOf(id, api, version, body));
    return id;
  }
  /** Waits for the answer to a request of this peer. */
  async answerTo(id: number): Promise<Buffer> {
    for (let step = 0; step < 5_000; step++) {
      const found = this.answers.find((frame) => correlationIdOf(frame) === id);
      if (found !== undefined) return found;
      if (this.closed) throw new Error('the broker closed the connection');
      await this.#time.advance(1);
    }
    throw new Error(`no answer to request ${id}`);
  }
  async isServed(): Promise<boolean> {
    return this.answerTo(this.request(APIS.metadata, 9, { topics: null })).then(
      () => true,
      () => false,
    );
  }
}
function frameOf(correlationId: number, api: (typeof APIS)[keyof typeof APIS], version: number, body: object): Buffer {
  return encodeRequest(api as typeof APIS.metadata, version, { correlationId, clientId: 'peer' }, body as never);
}
const lengthOnly = (bytes: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(bytes);
  return buffer;
};

describe('connections', () => {
  test('beyond the total are turned away, and a place that is given up can be taken', async () => {
    const ground = await start({ connectionsMax: 3 });
    const peers = [await Peer.connect(ground), await Peer.connect(ground), await Peer.connect(ground)];
    await expect(Peer.connect(ground)).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    expect(await peers[0]?.isServed()).toBe(true);
    peers[1]?.socket?.destroy();
    await ground.time.advance(5);
    expect(await (await Peer.connect(ground)).isServed()).toBe(true);
    expect(ground.metric('connections')).toBe(3);
    expect(ground.metric('connections_refused_total')).toBe(1);
  });

  test('beyond what one address may have are turned away, with one line in the log for the whole flood', async () => {
    const lines: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_fields, text) => void lines.push(text) };
    const ground = await start({ connectionsPerAddressMax: 2 }, {}, log);
    await Peer.connect(ground);
    await Peer.connect(ground);
    for (let attempt = 0; attempt < 50; attempt++) await expect(Peer.connect(ground)).rejects.toMatchObject({ code: 'ERR_CONNECTION' });
    expect(lines.filter((line) => line.includes('from this address'))).toHaveLength(1);
    expect(ground.metric('connections_refused_total')).toBe(50);
  });

  test('that say nothing are closed when idle', async () => {
    const ground = await start({ idleMs: 10_000 });
    const peer = await Peer.connect(ground);
    await ground.time.advance(25_000);
    expect(peer.closed).toBe(true);
  });
});

describe('a parked request', () => {
  const parked = { maxWaitMs: 0x7fff_ffff, minBytes: 1, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }] }] };

  test('goes with its peer at once, and its place is free', async () => {
    const ground = await start();
    const peer = await Peer.connect(ground);
    await peer.answerTo(peer.request(APIS.metadata, 9, { topics: [{ name: 't' }] }));
    peer.request(APIS.fetch, 12, parked);
    await ground.time.advance(5);
    peer.socket?.destroy();
    await ground.time.advance(5);
    expect(ground.metric('connections')).toBe(0);
  });

  test('behind which more was sent is given up after the idle time', async () => {
    const ground = await start({ idleMs: 20_000 });
    const peer = await Peer.connect(ground);
    await peer.answerTo(peer.request(APIS.metadata, 9, { topics: [{ name: 't' }] }));
    peer.request(APIS.fetch, 12, parked);
    peer.request(APIS.fetch, 12, parked);
    await ground.time.advance(60_000);
    expect(peer.closed).toBe(true);
    expect(ground.metric('connections')).toBe(0);
  });
});

describe('a half request', () => {
  test('is closed when nothing more comes, and nobody else waits for it', async () => {
    const ground = await start({ stallMs: 5_000 });
    const bad = await Peer.connect(ground);
    bad.send(Buffer.concat([lengthOnly(1_000_000), Buffer.alloc(500)]));
    const good = await Peer.connect(ground);
    expect(await good.isServed()).toBe(true);
    expect(bad.closed).toBe(false);
    await ground.time.advance(11_000);
    expect(bad.closed).toBe(true);
    expect(await (await Peer.connect(ground)).isServed()).toBe(true);
    expect(ground.metric('request_memory_bytes')).toBe(0);
  });

  test('that drips on is closed all the same after the idle time', async () => {
    const ground = await start({ stallMs: 5_000, idleMs: 20_000 });
    const bad = await Peer.connect(ground);
    bad.send(lengthOnly(1_000_000));
    for (let drop = 0; drop < 50 && !bad.closed; drop++) {
      bad.send(Buffer.alloc(1));
      await ground.time.advance(1_000);
    }
    expect(bad.closed).toBe(true);
  });

  test('of a forbidden size is closed before anything is kept of it', async () => {
    const ground = await start({ requestBytesMax: 1_000 });
    const bad = await Peer.connect(ground);
    bad.send(lengthOnly(1_001));
    await ground.time.advance(5);
    expect(bad.closed).toBe(true);
  });
});

describe('the memory of all requests', () => {
  test('when it is used up large requests wait unread, small ones are served, and who holds it without getting on goes', async () => {
    const ground = await start({ requestMemoryBytesMax: 300_000, stallMs: 20_000 });
    const greedy: Peer[] = [];
    for (let at = 0; at < 3; at++) {
      const peer = await Peer.connect(ground);
      peer.send(Buffer.concat([lengthOnly(200_000), Buffer.alloc(10)]));
      greedy.push(peer);
    }
    await ground.time.advance(5);
    expect(ground.metric('request_memory_bytes')).toBe(400_000);
    const large = await Peer.connect(ground);
    const records = clientBatch({ records: [['k', 'v'.repeat(100_000)]] });
    const id = large.request(APIS.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 'none', partitionData: [{ index: 0, records }] }] });
    const small = await Peer.connect(ground);
    expect(await small.isServed()).toBe(true);
    expect(large.answers).toEqual([]);
    await ground.time.advance(5_000); // a tenth of the stall time, since somebody waits
    expect(greedy.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(2);
    expect(await large.answerTo(id)).toBeDefined();
    await ground.time.advance(60_000);
    expect(ground.metric('request_memory_bytes')).toBe(0);
  });

  test('is given back whatever way a connection ends', async () => {
    const ground = await start({ requestMemoryBytesMax: 150_000 });
    const holder = await Peer.connect(ground);
    holder.send(Buffer.concat([lengthOnly(200_000), Buffer.alloc(10)]));
    const waiter = await Peer.connect(ground);
    waiter.send(Buffer.concat([lengthOnly(200_000), Buffer.alloc(10)]));
    await ground.time.advance(5);
    waiter.socket?.destroy();
    await ground.time.advance(50);
    expect(ground.metric('request_memory_bytes')).toBe(200_000);
    holder.socket?.destroy();
    await ground.time.advance(50);
    expect(ground.metric('request_memory_bytes')).toBe(0);
  });
});

describe('a deep pipeline', () => {
  test('of ten thousand requests is answered in order, and another client is served in between', async () => {
    const ground = await start();
    const deep = await Peer.connect(ground);
    const frames = Array.from({ length: 10_000 }, (_, at) => frameOf(at + 1, APIS.metadata, 9, { topics: [] }));
    deep.send(Buffer.concat(frames));
    expect(await (await Peer.connect(ground)).isServed()).toBe(true);
    await deep.answerTo(10_000);
    expect(deep.answers.map(correlationIdOf)).toEqual(frames.map((_, at) => at + 1));
  });

  test('of fetches is served one by one: there is never a second answer in memory', async () => {
    const ground = await start();
    const peer = await Peer.connect(ground);
    const records = clientBatch({ records: [['k', 'v'.repeat(200_000)]] });
    await peer.answerTo(peer.request(APIS.metadata, 9, { topics: [{ name: 't' }] }));
    await peer.answerTo(peer.request(APIS.produce, 9, { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] }));
    const fetch = { maxWaitMs: 0, minBytes: 1, topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] }] };
    peer.socket?.pause(); // reads nothing
    let last = 0;
    for (let at = 0; at < 100; at++) last = peer.request(APIS.fetch, 12, fetch);
    await ground.time.advance(200);
    expect(ground.metric('request_memory_bytes')).toBeLessThan(3 * records.length);
    expect(await (await Peer.connect(ground)).isServed()).toBe(true);
    peer.socket?.resume();
    expect(await peer.answerTo(last)).toBeDefined();
  });

  test('whose answers nobody takes ends with the connection', async () => {
    const ground = await start({ stallMs: 5_000 });
    const peer = await Peer.connect(ground);
    peer.socket?.pause();
    peer.send(Buffer.concat(Array.from({ length: 20_000 }, (_, at) => frameOf(at + 1, APIS.metadata, 9, { topics: null }))));
    await ground.time.advance(30_000);
    peer.socket?.resume();
    await ground.time.advance(50);
    expect(peer.closed).toBe(true);
    expect(ground.metric('request_memory_bytes')).toBe(0);
  });
});

describe('before the login', () => {
  const secured: Partial<BrokerOptions> = { security: { sasl: { mechanisms: ['plain', 'scram-sha-256'], users: { ada: 'secret' } } } };
  const versions = { clientSoftwareName: 'peer', clientSoftwareVersion: '1' };
  const handshake = async (peer: Peer, mechanism: string): Promise<number> =>
    decodeResponse(APIS.saslHandshake, 1, await peer.answerTo(peer.request(APIS.saslHandshake, 1, { mechanism }))).body.errorCode;
  const authenticate = async (peer: Peer, text: string) =>
    decodeResponse(APIS.saslAuthenticate, 2, await peer.answerTo(peer.request(APIS.saslAuthenticate, 2, { authBytes: Buffer.from(text) }))).body;

  test('any other request ends the connection', async () => {
    const ground = await start({}, secured);
    const peer = await Peer.connect(ground);
    await peer.answerTo(peer.request(APIS.apiVersions, 3, versions));
    expect(await peer.isServed()).toBe(false);
  });

  test('a request pipelined behind the login is served only after it', async () => {
    const ground = await start({}, secured);
    const peer = await Peer.connect(ground);
    peer.request(APIS.saslHandshake, 1, { mechanism: 'PLAIN' });
    peer.request(APIS.saslAuthenticate, 2, { authBytes: Buffer.from('\0ada\0secret') });
    expect(await peer.isServed()).toBe(true);
    const bad = await Peer.connect(ground);
    bad.request(APIS.saslHandshake, 1, { mechanism: 'PLAIN' });
    const refused = bad.request(APIS.saslAuthenticate, 2, { authBytes: Buffer.from('\0ada\0guess') });
    const behind = bad.request(APIS.metadata, 9, { topics: null });
    expect(decodeResponse(APIS.saslAuthenticate, 2, await bad.answerTo(refused)).body.errorCode).toBe(58);
    await expect(bad.answerTo(behind)).rejects.toThrow(/closed/);
  });

  test('a large frame is refused, and allowed afterwards', async () => {
    const ground = await start({ loginFrameBytesMax: 1_000 }, secured);
    const big = { topics: Array.from({ length: 200 }, (_, at) => ({ name: `topic-${at}` })), allowAutoTopicCreation: false };
    const stranger = await Peer.connect(ground);
    stranger.request(APIS.metadata, 9, big);
    await ground.time.advance(5);
    expect(stranger.closed).toBe(true);
    const ada = await Peer.connect(ground);
    expect(await handshake(ada, 'PLAIN')).toBe(0);
    expect((await authenticate(ada, '\0ada\0secret')).errorCode).toBe(0);
    expect(await ada.answerTo(ada.request(APIS.metadata, 9, big))).toBeDefined();
  });

  test('time and number of requests are bounded', async () => {
    const ground = await start({ loginMs: 2_000, loginRequestsMax: 5 }, secured);
    const slow = await Peer.connect(ground);
    await ground.time.advance(2_100);
    expect(slow.closed).toBe(true);
    const busy = await Peer.connect(ground);
    for (let at = 0; at < 5; at++) await busy.answerTo(busy.request(APIS.apiVersions, 3, versions));
    busy.request(APIS.apiVersions, 3, versions);
    await ground.time.advance(5);
    expect(busy.closed).toBe(true);
    const ada = await Peer.connect(ground);
    await handshake(ada, 'PLAIN');
    await authenticate(ada, '\0ada\0secret');
    await ground.time.advance(5_000);
    expect(await ada.isServed()).toBe(true);
  });

  test('a name nobody has looks like one with a wrong password, message by message', async () => {
    const ground = await start({}, secured);
    const attempt = async (user: string) => {
      const peer = await Peer.connect(ground);
      await handshake(peer, 'SCRAM-SHA-256');
      const first = (await authenticate(peer, `n,,n=${user},r=abc`)).authBytes.toString();
      const nonce = /r=([^,]+)/.exec(first)?.[1];
      const final = await authenticate(peer, `c=biws,r=${nonce},p=${Buffer.alloc(32).toString('base64')}`);
      return { shape: first.replace(/r=[^,]+/, 'r=').replace(/s=[^,]+/, 's='), salt: /s=([^,]+)/.exec(first)?.[1], final };
    };
    const known = await attempt('ada');
    const unknown = await attempt('nobody');
    expect(unknown.shape).toBe(known.shape);
    expect(unknown.salt?.length).toBe(known.salt?.length);
    expect(unknown.salt).not.toBe(known.salt);
    expect((await attempt('nobody')).salt).toBe(unknown.salt);
    expect(unknown.final).toEqual(known.final);
  });

  test('a login is good for its time, can be renewed by the same user, and not by another', async () => {
    const users = { ada: 'secret', bob: 'other' };
    const ground = await start({}, { security: { sasl: { mechanisms: ['plain'], users, sessionMs: 10_000 } } });
    const ada = await Peer.connect(ground);
    const login = async (text: string) => ((await handshake(ada, 'PLAIN')) === 0 ? authenticate(ada, text) : undefined);
    expect((await login('\0ada\0secret'))?.sessionLifetimeMs).toBe(10_000);
    await ground.time.advance(8_000);
    expect((await login('\0ada\0secret'))?.errorCode).toBe(0);
    await ground.time.advance(8_000);
    expect(await ada.isServed()).toBe(true);
    expect((await login('\0bob\0other'))?.errorCode).toBe(58);
    const late = await Peer.connect(ground);
    await handshake(late, 'PLAIN');
    await authenticate(late, '\0bob\0other');
    await ground.time.advance(10_001);
    expect(await late.isServed()).toBe(false);
  });

  test('no secret is in any line of the log, at any level, nor in the metrics', async () => {
    const lines: string[] = [];
    const keep = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`);
    const canary = 'canary-4711';
    const ground = await start(
      {},
      { security: { sasl: { mechanisms: ['plain', 'scram-sha-256'], users: { ada: canary } }, authorization: { superUsers: [] } } },
      { debug: keep, info: keep, warn: keep, error: keep },
    );
    for (const [mechanism, token] of [
      ['PLAIN', `\0ada\0${canary}`],
      ['PLAIN', `\0ada\0${canary}x`],
      ['PLAIN', `${canary}\0ada\0${canary}`],
      ['SCRAM-SHA-256', `n,,n=${canary},r=${canary}`],
      [canary, canary],
    ] as const) {
      const peer = await Peer.connect(ground);
      await handshake(peer, mechanism);
      await authenticate(peer, token).catch(() => undefined);
      await peer.isServed();
    }
    const garbled = await Peer.connect(ground);
    garbled.send(Buffer.concat([lengthOnly(20), Buffer.from(canary.padEnd(20))]));
    await ground.time.advance(50);
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join('\n')).not.toContain(canary);
    expect(JSON.stringify(ground.broker.metrics())).not.toContain(canary);
  });

  test('a user added over the wire can log in by SCRAM, also after a restart, and no longer once taken away', async () => {
    const time = virtualTime();
    const disk = memoryDisk();
    const ports: Ports = { clock: time.clock, timers: time.timers, chance: seededChance(1), network: memoryNetwork(time.timers), disk, log: silentLogger };
    const open = async (): Promise<Ground> => {
      const broker = await driven(time, startBroker({ dataDir: '/data', ...secured }, ports));
      started.push({ broker, time });
      return { broker, time, ports, metric: () => 0 };
    };
    const ada = async (ground: Ground): Promise<Peer> => {
      const peer = await Peer.connect(ground);
      await handshake(peer, 'PLAIN');
      await authenticate(peer, '\0ada\0secret');
      return peer;
    };
    const scramLogin = async (ground: Ground): Promise<number> => {
      const peer = await Peer.connect(ground);
      await handshake(peer, 'SCRAM-SHA-256');
      const bare = 'n=eve,r=abc';
      const first = (await authenticate(peer, `n,,${bare}`)).authBytes.toString();
      const without = `c=biws,r=${/r=([^,]+)/.exec(first)?.[1]}`;
      const clientKey = createHmac('sha256', salted).update('Client Key').digest();
      const signature = createHmac('sha256', createHash('sha256').update(clientKey).digest()).update(`${bare},${first},${without}`).digest();
      const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number)));
      return (await authenticate(peer, `${without},p=${proof.toString('base64')}`)).errorCode;
    };
    const salt = Buffer.from('0123456789abcdef');
    const salted = pbkdf2Sync('eve-secret', salt, 8_192, 32, 'sha256');
    const alter = async (ground: Ground, body: object) => {
      const peer = await ada(ground);
      const answer = await peer.answerTo(peer.request(APIS.alterUserScramCredentials, 0, { deletions: [], upsertions: [], ...body }));
      return decodeResponse(APIS.alterUserScramCredentials, 0, answer).body.results.map(({ user, errorCode }) => [user, errorCode]);
    };

    let ground = await open();
    expect(await scramLogin(ground)).toBe(58);
    const good = { name: 'eve', mechanism: 1, iterations: 8_192, salt, saltedPassword: salted };
    expect(await alter(ground, { upsertions: [{ ...good, iterations: 4_095 }] })).toEqual([['eve', 93]]);
    expect(await alter(ground, { upsertions: [good, good] })).toEqual([['eve', 92]]);
    expect(await alter(ground, { deletions: [{ name: 'eve', mechanism: 1 }] })).toEqual([['eve', 91]]);
    expect(await alter(ground, { upsertions: [good, { ...good, name: 'x', mechanism: 9 }] })).toEqual([
      ['eve', 0],
      ['x', 33],
    ]);
    expect(await scramLogin(ground)).toBe(0);
    await driven(time, ground.broker.close());
    ground = await open();
    expect(await scramLogin(ground)).toBe(0);
    expect(await alter(ground, { deletions: [{ name: 'eve', mechanism: 1 }] })).toEqual([['eve', 0]]);
    expect(await scramLogin(ground)).toBe(58);
  });
});

describe('quotas', () => {
  test('a producer above its rate is told how long to be quiet, and is not served meanwhile; another is', async () => {
    const ground = await start();
    const peer = await Peer.connect(ground);
    const entity = [{ entityType: 'client-id', entityName: 'peer' }];
    const set = peer.request(APIS.alterClientQuotas, 1, {
      entries: [{ entity, ops: [{ key: 'producer_byte_rate', value: 10_000, remove: false }] }],
      validateOnly: false,
    });
    expect(decodeResponse(APIS.alterClientQuotas, 1, await peer.answerTo(set)).body.entries[0]?.errorCode).toBe(0);
    const records = clientBatch({ records: [['k', 'v'.repeat(200_000)]] });
    const body = { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] };
    const answer = decodeResponse(APIS.produce, 9, await peer.answerTo(peer.request(APIS.produce, 9, body))).body;
    expect(answer.throttleTimeMs).toBeGreaterThan(5_000);
    const next = peer.request(APIS.metadata, 9, { topics: [] });
    await ground.time.advance(answer.throttleTimeMs - 100);
    expect(peer.answers.map(correlationIdOf)).not.toContain(next);
    await ground.time.advance(200);
    expect(peer.answers.map(correlationIdOf)).toContain(next);
    const describe = peer.request(APIS.describeClientQuotas, 1, { components: [], strict: false });
    expect(decodeResponse(APIS.describeClientQuotas, 1, await peer.answerTo(describe)).body.entries).toEqual([
      { entity, values: [{ key: 'producer_byte_rate', value: 10_000 }] },
    ]);
  });

  test('a producer that wants no answer is held back all the same', async () => {
    const ground = await start();
    const peer = await Peer.connect(ground);
    const ops = [{ key: 'producer_byte_rate', value: 10_000, remove: false }];
    const entries = [{ entity: [{ entityType: 'client-id', entityName: 'peer' }], ops }];
    await peer.answerTo(peer.request(APIS.alterClientQuotas, 1, { entries, validateOnly: false }));
    await peer.answerTo(peer.request(APIS.metadata, 9, { topics: [{ name: 't' }] }));
    const records = clientBatch({ records: [['k', 'v'.repeat(200_000)]] });
    peer.request(APIS.produce, 9, { acks: 0, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] });
    const next = peer.request(APIS.metadata, 9, { topics: [] });
    await ground.time.advance(5_000);
    expect(peer.closed).toBe(false);
    expect(peer.answers.map(correlationIdOf)).not.toContain(next);
    await ground.time.advance(20_000);
    expect(peer.answers.map(correlationIdOf)).toContain(next);
  });

  test('of two requests under way the longer quiet counts, whichever is answered last', async () => {
    const ground = await start({}, { fsync: 'perBatchGroup' }); // so that the first is still under way when the second begins
    const peer = await Peer.connect(ground);
    const entries = [
      { entity: [{ entityType: 'client-id', entityName: 'peer' }], ops: [{ key: 'producer_byte_rate', value: 10_000, remove: false }] },
      { entity: [{ entityType: 'client-id', entityName: 'other' }], ops: [{ key: 'producer_byte_rate', value: 100, remove: false }] },
    ];
    await peer.answerTo(peer.request(APIS.alterClientQuotas, 1, { entries, validateOnly: false }));
    await peer.answerTo(peer.request(APIS.metadata, 9, { topics: [{ name: 't' }] }));
    const body = (bytes: number) => {
      const records = clientBatch({ records: [['k', 'v'.repeat(bytes)]] });
      return { acks: -1, timeoutMs: 1_000, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] };
    };
    const first = encodeRequest(APIS.produce, 9, { correlationId: 1_001, clientId: 'peer' }, body(200_000));
    const second = encodeRequest(APIS.produce, 9, { correlationId: 1_002, clientId: 'other' }, body(1_000));
    peer.socket?.write(Buffer.concat([first, second]));
    const quiets = [];
    for (const id of [1_001, 1_002]) quiets.push(decodeResponse(APIS.produce, 9, await peer.answerTo(id)).body.throttleTimeMs);
    expect(quiets[0]).toBeGreaterThan(5_000);
    expect(quiets[1]).toBeGreaterThan(0);
    expect(quiets[1]).toBeLessThan(4_000);
    const next = peer.request(APIS.metadata, 9, { topics: [] });
    await ground.time.advance(4_500);
    expect(peer.answers.map(correlationIdOf)).not.toContain(next);
  });

  test.each([
    [[], 'producer_byte_rate', 1],
    [[{ entityType: 'planet', entityName: 'x' }], 'producer_byte_rate', 1],
    [[{ entityType: 'user', entityName: 'x' }], 'controller_mutation_rate', 1],
    [[{ entityType: 'user', entityName: 'x' }], 'producer_byte_rate', -1],
    [[{ entityType: 'ip', entityName: '1.2.3.4' }], 'producer_byte_rate', 1],
  ])('%j with %s = %d is refused', async (entity, key, value) => {
    const ground = await start();
    const peer = await Peer.connect(ground);
    const set = peer.request(APIS.alterClientQuotas, 1, { entries: [{ entity, ops: [{ key, value, remove: false }] }], validateOnly: false });
    expect(decodeResponse(APIS.alterClientQuotas, 1, await peer.answerTo(set)).body.entries[0]?.errorCode).toBe(42);
  });
});
