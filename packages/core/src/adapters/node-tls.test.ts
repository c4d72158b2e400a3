// TLS over real sockets: who is trusted, what is said when somebody is not, and that a half-made connection counts.
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import type { Listener, ListenOptions, Socket, SocketEvents } from '../network.ts';
import { nodeNetwork } from './node-network.ts';

const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/tls');
const pem = (name: string): string => readFileSync(join(FIXTURES, `${name}.pem`), 'utf8');
const pair = (name: string) => ({ key: pem(`${name}.key`), cert: pem(`${name}.cert`) });
const CA = pem('ca.cert');

const opened: { close?(): Promise<void>; destroy?(): void }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) {
    one.destroy?.();
    await one.close?.();
  }
});

interface Accepted {
  readonly listener: Listener;
  readonly sockets: Socket[];
}

/** A listener that echoes. */
async function listen(options: Partial<ListenOptions>): Promise<Accepted> {
  const sockets: Socket[] = [];
  const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0, ...options }, (socket) => {
    sockets.push(socket);
    opened.push(socket);
    return { onData: (chunk) => void socket.write(chunk), onClose() {} };
  });
  opened.push(listener);
  return { listener, sockets };
}

async function connect(port: number, tls: object | undefined, events: Partial<SocketEvents> = {}): Promise<Socket> {
  const socket = await nodeNetwork.connect({ host: '127.0.0.1', port, timeoutMs: 5_000, tls }, { onData() {}, onClose() {}, ...events });
  opened.push(socket);
  return socket;
}
const failure = async (work: Promise<unknown>): Promise<MillraceError> => {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!MillraceError.is(error)) throw new Error(`expected a MillraceError, got ${String(error)}`);
  return error;
};
const echo = async (port: number, tls: object | undefined): Promise<string> =>
  new Promise((resolve, reject) => {
    connect(port, tls, { onData: (chunk) => resolve(chunk.toString()), onClose: (error) => reject(error ?? new Error('closed')) }).then(
      (socket) => void socket.write(Buffer.from('hello')),
      reject,
    );
  });

test('bytes go both ways under TLS', async () => {
  const { listener, sockets } = await listen({ tls: pair('server') });
  expect(await echo(listener.port, { ca: CA })).toBe('hello');
  expect(sockets[0]?.peerName).toBeUndefined();
});

test('the name in a verified client certificate is the name of the peer, written as RFC 2253 does', async () => {
  const { listener, sockets } = await listen({ tls: { ...pair('server'), ca: CA, requestCert: true, rejectUnauthorized: true } });
  expect(await echo(listener.port, { ca: CA, ...pair('client') })).toBe('hello');
  expect(sockets[0]?.peerName).toBe('CN=ada,OU=Mills\\, North,O=Millrace tests');
});

test('a client certificate that was asked for but not verified names nobody', async () => {
  const { listener, sockets } = await listen({ tls: { ...pair('server'), ca: CA, requestCert: true, rejectUnauthorized: false } });
  expect(await echo(listener.port, { ca: CA, ...pair('stranger') })).toBe('hello');
  expect(sockets[0]?.peerName).toBeUndefined();
});

test.each([
  ['signed by nobody we trust', 'stranger', { ca: CA }, /ssl\.ca/],
  ['made out to another name', 'elsewhere', { ca: CA }, /ssl\.servername/],
  ['of an authority that is not given', 'server', {}, /ssl\.ca/],
])('a certificate %s ends the attempt, with what to do', async (_what, name, tls, words) => {
  const { listener, sockets } = await listen({ tls: pair(name) });
  const error = await failure(connect(listener.port, tls));
  expect(error.code).toBe('ERR_AUTHENTICATION');
  expect(error.message).toMatch(words);
  expect(sockets).toEqual([]);
});

test('a server name may be given where the address is not the name', async () => {
  const { listener } = await listen({ tls: pair('elsewhere') });
  expect(await echo(listener.port, { ca: CA, servername: 'elsewhere.test' })).toBe('hello');
});

test('a listener whose key and certificate do not belong together does not start', async () => {
  const error = await failure(listen({ tls: { key: pem('server.key'), cert: pem('client.cert') } }));
  expect(error.code).toBe('ERR_OPTION');
  expect(error.message).toMatch(/PEM/);
});

test('new certificates take effect for new connections while old ones go on', async () => {
  const { listener } = await listen({ tls: pair('stranger') });
  const old = await connect(listener.port, { rejectUnauthorized: false });
  expect((await failure(connect(listener.port, { ca: CA }))).code).toBe('ERR_AUTHENTICATION');
  listener.renewTls?.(pair('server'));
  expect(await echo(listener.port, { ca: CA })).toBe('hello');
  expect(old.bufferedBytes).toBe(0);
  expect(await failure(Promise.resolve().then(() => listener.renewTls?.({ key: 'nonsense', cert: 'nonsense' })))).toMatchObject({ code: 'ERR_OPTION' });
  expect(await echo(listener.port, { ca: CA })).toBe('hello');
});

test('a plain client at a TLS port is closed and disturbs nobody', async () => {
  const { listener, sockets } = await listen({ tls: pair('server') });
  const closed = new Promise<void>((resolve) => {
    void connect(listener.port, undefined, { onClose: () => resolve() }).then((socket) => socket.write(Buffer.from('plain words, no handshake')));
  });
  await closed;
  expect(sockets).toEqual([]);
  expect(await echo(listener.port, { ca: CA })).toBe('hello');
});

test('a TLS client at a plain port is told so', async () => {
  const { listener } = await listen({});
  const error = await failure(connect(listener.port, { ca: CA }));
  expect(error.message).toMatch(/does not speak TLS/);
});

test('connections are admitted before the handshake, and given back when they end', async () => {
  let open = 0;
  let freed: () => void = () => {};
  const admit = (address: string) => {
    expect(address).toBe('127.0.0.1');
    if (open >= 1) return undefined;
    open++;
    return () => {
      open--;
      freed();
    };
  };
  const { listener } = await listen({ tls: pair('server'), admit });
  const silent = net.connect(listener.port, '127.0.0.1'); // never shakes hands
  await new Promise((resolve) => silent.once('connect', resolve));
  expect((await failure(connect(listener.port, { ca: CA }))).code).toBe('ERR_CONNECTION');
  const released = new Promise<void>((resolve) => {
    freed = resolve;
  });
  silent.destroy();
  await released;
  expect(await echo(listener.port, { ca: CA })).toBe('hello');
});

test('a handshake that is given up while the other side is silent ends its connection at once', async () => {
  const over: (() => void)[] = [];
  const server = net.createServer((raw) => void raw.resume().once('close', () => over.shift()?.()));
  opened.push({ close: () => new Promise((done) => void server.close(() => done())) });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const ended = new Promise<void>((resolve) => void over.push(resolve));
  const accepted = new Promise((resolve) => void server.once('connection', resolve));
  const giveUp = new AbortController();
  const { port } = server.address() as net.AddressInfo;
  const options = { host: '127.0.0.1', port, timeoutMs: 60_000, tls: {}, signal: giveUp.signal };
  const attempt = failure(nodeNetwork.connect(options, { onData() {}, onClose() {} }));
  await accepted;
  giveUp.abort();
  expect((await attempt).code).toBe('ERR_CONNECTION');
  await ended;
});

test('a connection that never shakes hands is closed in time, and given back', async () => {
  let freed: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    freed = resolve;
  });
  const { listener, sockets } = await listen({ tls: { ...pair('server'), handshakeTimeout: 50 }, admit: () => freed });
  const silent = net.connect(listener.port, '127.0.0.1');
  await released;
  expect(sockets).toEqual([]);
  silent.destroy();
});
