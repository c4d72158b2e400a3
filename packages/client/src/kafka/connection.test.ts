import { MillraceError } from '@millrace/core';
import { APIS, encodeResponse } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { checkConnectionOptions } from '../options.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';
import { BrokerConnection, wasSent } from './connection.ts';
import { FRAME_BYTES_MAX, FrameAssembler } from './frame-assembler.ts';
import { FramePool, type PooledFrame } from './frame-pool.ts';

const ADDRESS = { host: 'broker', port: 9092 };
const HEARTBEAT = { groupId: 'g', generationId: 1, memberId: 'm' };

async function open(broker: ScriptedBroker, firstCorrelationId = 0, pool?: FramePool): Promise<BrokerConnection> {
  return broker.run(BrokerConnection.open(ADDRESS, broker.connection, broker.ports, { pool, firstCorrelationId }));
}
async function failureOf(promise: Promise<unknown>): Promise<MillraceError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!MillraceError.is(error)) throw new Error(`no MillraceError: ${String(error)}`);
  return error;
}

describe('requests and answers', () => {
  test('an answer that comes after its request timed out is dropped, and later requests get their own answers', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    broker.script('heartbeat', () => ({ after: 2_500, answer: { errorCode: 27 } }));
    const late = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect([late.code, wasSent(late)]).toEqual(['ERR_TIMEOUT', true]);
    const next = await broker.run(connection.request(APIS.heartbeat, HEARTBEAT));
    expect(next.errorCode).toBe(0);
    await broker.time.advance(2_000);
    expect(connection.closed).toBe(false);
    expect((await broker.run(connection.request(APIS.heartbeat, HEARTBEAT))).errorCode).toBe(0);
  });

  test('correlation ids wrap after 2^31-1 and skip those still in use', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker, 0x7fff_fffe);
    broker.script('heartbeat', () => ({ after: 1_000, answer: { errorCode: 0 } }));
    await broker.run(
      Promise.all([
        connection.request(APIS.heartbeat, HEARTBEAT),
        connection.request(APIS.heartbeat, HEARTBEAT),
        connection.request(APIS.heartbeat, HEARTBEAT),
      ]),
    );
    expect(broker.requests.map(({ correlationId }) => correlationId)).toEqual([0x7fff_fffe, 0x7fff_ffff, 0, 1]);
  });

  test('an answer to a request that was never sent ends the connection', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    connection.onData(encodeResponse(APIS.heartbeat, 4, 77, { errorCode: 0 }));
    expect(connection.closed).toBe(true);
  });

  test('when the connection breaks, what awaits an answer is rejected as sent, and what comes later as not sent', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    broker.script('heartbeat', () => 'close');
    const broken = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect([broken.code, wasSent(broken)]).toEqual(['ERR_CONNECTION', true]);
    const after = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect([after.code, wasSent(after)]).toEqual(['ERR_CONNECTION', false]);
  });

  test('two time-outs in a row without a byte end the connection: the other side is gone', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    broker.network.hold();
    const first = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect([first.code, connection.closed]).toEqual(['ERR_TIMEOUT', false]);
    await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect(connection.closed).toBe(true);
  });

  test('a request with little time is given up in time though one with much time went before it, answered or not', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    await broker.run(connection.request(APIS.heartbeat, HEARTBEAT, { timeoutMs: 65_000 })); // as a join that may be parked
    broker.network.hold();
    const parked = failureOf(connection.request(APIS.heartbeat, HEARTBEAT, { timeoutMs: 65_000 }));
    const startedMs = broker.time.clock.monotonicMs();
    const failure = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT, { timeoutMs: 1_000 })));
    expect([failure.code, broker.time.clock.monotonicMs() - startedMs]).toEqual(['ERR_TIMEOUT', 1_000]);
    await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT, { timeoutMs: 1_000 })));
    expect([(await parked).code, connection.closed]).toEqual(['ERR_CONNECTION', true]);
  });

  test('a connection at rest has no timer', async () => {
    const broker = await new ScriptedBroker().listen();
    const connection = await open(broker);
    await broker.run(connection.request(APIS.heartbeat, HEARTBEAT));
    await broker.time.runUntilIdle(10);
    expect(connection.inFlight).toBe(0);
  });
});

describe('opening', () => {
  test('a broker that does not know ApiVersions 3 answers in the form of version 0 and is asked again lower', async () => {
    const broker = await new ScriptedBroker().listen();
    const network = broker.network;
    const versions: number[] = [];
    // The fallback answer cannot be made by version 3 of the schema: its bytes are those of version 0.
    const listening = network.listen({ host: 'broker', port: 9093 }, (socket) => ({
      onData: (chunk) => {
        const version = chunk.readInt16BE(6);
        versions.push(version);
        const apiKeys = [
          { apiKey: 18, minVersion: 0, maxVersion: 2 },
          { apiKey: 12, minVersion: 0, maxVersion: 4 },
        ];
        const body = version === 3 ? { errorCode: 35, apiKeys: apiKeys.slice(0, 1) } : { errorCode: 0, apiKeys };
        socket.write(encodeResponse(APIS.apiVersions, version === 3 ? 0 : version, chunk.readInt32BE(8), body));
      },
      onClose: () => {},
    }));
    await broker.run(listening);
    const connection = await broker.run(BrokerConnection.open({ host: 'broker', port: 9093 }, broker.connection, broker.ports));
    expect(versions).toEqual([3, 2]);
    expect(connection.versionFor(APIS.heartbeat)).toBe(4);
  });

  test('a broker whose minimum is above our maximum is refused, both ranges named, before anything is sent', async () => {
    const broker = new ScriptedBroker();
    broker.versions.set(APIS.heartbeat.key, { min: 5, max: 9 });
    await broker.listen();
    const connection = await open(broker);
    expect(() => connection.versionFor(APIS.heartbeat)).toThrow(/5-9.*4-4/);
    const failure = await failureOf(connection.request(APIS.heartbeat, HEARTBEAT));
    expect(failure.code).toBe('ERR_BROKER_VERSION');
    expect(broker.seen('heartbeat')).toEqual([]);
  });

  test('a TLS alert instead of an answer is refused at once, with the hint to set ssl', async () => {
    const broker = await new ScriptedBroker().listen();
    const listening = broker.network.listen({ host: 'broker', port: 9093 }, (socket) => ({
      onData: () => void socket.write(Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])),
      onClose: () => {},
    }));
    await broker.run(listening);
    const failure = await broker.run(failureOf(BrokerConnection.open({ host: 'broker', port: 9093 }, broker.connection, broker.ports)), 200);
    expect(failure.message).toMatch(/ssl/);
  });

  test('an error of the login names the user and not the password', async () => {
    const broker = await new ScriptedBroker().listen();
    broker.script('saslHandshake', () => ({ errorCode: 0, mechanisms: ['PLAIN'] }));
    broker.script('saslAuthenticate', () => ({ errorCode: 58, errorMessage: 'invalid credentials', authBytes: Buffer.alloc(0) }));
    const sasl = { mechanism: 'plain', username: 'ada', password: 'hunter2' } as const;
    const failure = await broker.run(failureOf(BrokerConnection.open(ADDRESS, { ...broker.connection, sasl }, broker.ports)));
    expect(failure.code).toBe('ERR_AUTHENTICATION');
    expect(failure.message).toMatch(/ada.*invalid credentials/);
    expect(failure.message).not.toMatch(/hunter2/);
    expect(broker.seen('saslAuthenticate')[0]?.body.authBytes.toString()).toBe('\0ada\0hunter2');
  });
});

describe('a login that runs out', () => {
  const sasl = { mechanism: 'plain', username: 'ada', password: 'hunter2' } as const;
  const accept = { errorCode: 0, errorMessage: null, authBytes: Buffer.alloc(0), sessionLifetimeMs: 10_000 };

  test('is renewed before it does, and what is sent meanwhile follows it in order', async () => {
    const broker = await new ScriptedBroker().listen();
    const steps = 4;
    broker.script('saslHandshake', ...Array.from({ length: steps }, () => () => ({ errorCode: 0, mechanisms: ['PLAIN'] })));
    broker.script('saslAuthenticate', ...Array.from({ length: steps }, () => () => accept));
    const connection = await broker.run(BrokerConnection.open(ADDRESS, { ...broker.connection, sasl }, broker.ports));
    await broker.run(connection.request(APIS.heartbeat, HEARTBEAT));
    expect(broker.seen('saslAuthenticate')).toHaveLength(1);
    await broker.time.advance(9_600);
    const from = broker.requests.length;
    const both = Promise.all([connection.request(APIS.heartbeat, HEARTBEAT), connection.request(APIS.metadata, { topics: [] })]);
    await broker.run(both);
    expect(broker.requests.slice(from).map(({ name }) => name)).toEqual(['SaslHandshake', 'SaslAuthenticate', 'Heartbeat', 'Metadata']);
    await broker.run(connection.request(APIS.heartbeat, HEARTBEAT));
    expect(broker.seen('saslAuthenticate')).toHaveLength(2);
  });

  test('and cannot be renewed ends the connection', async () => {
    const broker = await new ScriptedBroker().listen();
    broker.script('saslHandshake', ...[1, 2].map(() => () => ({ errorCode: 0, mechanisms: ['PLAIN'] })));
    broker.script(
      'saslAuthenticate',
      () => accept,
      () => ({ ...accept, errorCode: 58, errorMessage: 'no more' }),
    );
    const connection = await broker.run(BrokerConnection.open(ADDRESS, { ...broker.connection, sasl }, broker.ports));
    await broker.time.advance(9_600);
    const failure = await broker.run(failureOf(connection.request(APIS.heartbeat, HEARTBEAT)));
    expect(failure.code).toBe('ERR_CONNECTION');
    expect(connection.closed).toBe(true);
  });
});

describe('options of a login', () => {
  const base = { clientId: 'c', connectionTimeoutMs: 1_000, requestTimeoutMs: 1_000 };
  const plain = { mechanism: 'plain', username: 'ada', password: 'secret' } as const;
  test.each([
    ['plain over a bare network', { brokers: ['kafka:9092'], sasl: plain }, /plainWithoutTls/],
    ['no password', { brokers: ['kafka:9092'], sasl: { ...plain, password: '' } }, /password/],
  ])('%s is refused', (_what, options, words) => {
    expect(() => checkConnectionOptions({ ...base, ...options })).toThrow(words);
  });
  test.each([
    ['plain under TLS', { brokers: ['kafka:9092'], ssl: true, sasl: plain }],
    ['plain on this machine', { brokers: ['127.0.0.1:9092', '[::1]:9092', 'localhost:1'], sasl: plain }],
    ['plain over a network that is said to be trusted', { brokers: ['kafka:9092'], sasl: { ...plain, plainWithoutTls: true } }],
    ['scram', { brokers: ['kafka:9092'], sasl: { ...plain, mechanism: 'scram-sha-512' } }],
  ] as const)('%s is fine', (_what, options) => {
    expect(() => checkConnectionOptions({ ...base, ...options })).not.toThrow();
  });
});

describe('frames', () => {
  const frames = [Buffer.from('abcd'), Buffer.from('the second one'), Buffer.alloc(40_000, 7)];
  const stream = Buffer.concat(
    frames.map((frame) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(frame.length);
      return Buffer.concat([length, frame]);
    }),
  );

  test.each([1, 2, 3, 5, 1_000, stream.length])('come whole and in order from chunks of %i bytes, pooled or not', (size) => {
    for (const pool of [undefined, new FramePool(1 << 20)]) {
      const seen: Buffer[] = [];
      const assembler = new FrameAssembler(
        {
          onFrame(frame, pooled) {
            seen.push(Buffer.from(frame));
            pooled?.release();
          },
        },
        pool,
      );
      for (let at = 0; at < stream.length; at += size) assembler.push(stream.subarray(at, at + size));
      expect(seen).toEqual(frames);
    }
  });

  test.each([-1, 0, 3, FRAME_BYTES_MAX + 1, 0x7fff_ffff, 352_518_912])('a declared length of %i is refused before anything is allocated', (length) => {
    const head = Buffer.alloc(4);
    head.writeInt32BE(length);
    expect(() => new FrameAssembler({ onFrame: () => {} }, undefined).push(head)).toThrow(/does not speak Kafka/);
  });

  test('a frame goes back to its pool with the last release and not before', () => {
    const pool = new FramePool(1 << 20);
    const first = pool.take(20_000);
    first.hold();
    first.release();
    expect(pool.take(20_000).buffer).not.toBe(first.buffer);
    first.release();
    expect(pool.take(20_000).buffer).toBe(first.buffer);
    const released: PooledFrame = pool.take(10);
    released.release();
    expect(() => released.release()).toThrow(/more often/);
  });
});
