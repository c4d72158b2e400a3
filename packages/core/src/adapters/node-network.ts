// Sockets over node:net and node:tls: the one place that imports them.
// Owns: the mapping of system errors to ERR_CONNECTION, ERR_PORT_IN_USE and ERR_OPTION, each with its fix.
// N1 Nagle is off: a request leaves when it is written.  N2 `onClose` is called once, and never before `connect` resolved.
import * as net from 'node:net';
import * as tls from 'node:tls';
import { MillraceError } from '../errors.ts';
import type { ConnectOptions, Listener, Network, Socket, SocketEvents } from '../network.ts';

/** Bytes in the write buffer above which `write` returns false. */
const WRITE_MARK = 256 * 1024;

export const nodeNetwork: Network = { connect, listen };

function connect(options: ConnectOptions, events: SocketEvents): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = options;
    const plain = { host, port, noDelay: true, keepAlive: true, writableHighWaterMark: WRITE_MARK };
    const raw =
      options.tls === undefined ? net.connect(plain) : tls.connect({ ...plain, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...options.tls });
    const fail = (error: Error): void => {
      raw.destroy();
      reject(error);
    };
    const onError = (cause: Error): void => fail(connectFailure(host, port, cause));
    const onTimeout = (): void => fail(connectFailure(host, port, undefined, options.timeoutMs));
    const onReady = (): void => {
      raw.setTimeout(0);
      raw.off('timeout', onTimeout);
      raw.off('error', onError);
      raw.off('close', onEarlyClose);
      const socket = wrap(raw, host, port);
      attach(raw, events, host, port);
      resolve(socket);
    };
    const onEarlyClose = (): void => fail(connectFailure(host, port, new Error('the connection closed while it was being set up')));
    raw.setTimeout(options.timeoutMs, onTimeout);
    raw.on('error', onError);
    raw.on('close', onEarlyClose);
    raw.once(options.tls === undefined ? 'connect' : 'secureConnect', onReady);
  });
}

function listen(
  options: { readonly host: string; readonly port: number; readonly tls?: object | undefined },
  accept: (socket: Socket) => SocketEvents,
): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const onConnection = (raw: net.Socket): void => {
      raw.setNoDelay(true);
      const host = raw.remoteAddress ?? 'unknown';
      const port = raw.remotePort ?? 0;
      attach(raw, accept(wrap(raw, host, port)), host, port);
    };
    const plain = { noDelay: true, keepAlive: true, highWaterMark: WRITE_MARK };
    const server = options.tls === undefined ? net.createServer(plain, onConnection) : tls.createServer({ ...plain, ...options.tls }, onConnection);
    const onError = (cause: NodeJS.ErrnoException): void => reject(listenFailure(options.host, options.port, cause));
    server.once('error', onError);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', onError);
      server.on('error', () => {}); // one failed accept (out of file handles) must not end the listener
      const address = server.address() as net.AddressInfo;
      resolve({
        port: address.port,
        host: address.address,
        close: () =>
          new Promise((done) => {
            if (!server.listening) return done();
            server.close();
            setImmediate(done); // the port is free now; connections that were accepted live on and belong to whoever accepted them
          }),
      });
    });
  });
}

function wrap(raw: net.Socket, remoteAddress: string, remotePort: number): Socket {
  return {
    remoteAddress,
    remotePort,
    write: (bytes) => raw.write(bytes),
    cork: () => raw.cork(),
    uncork: () => raw.uncork(),
    pause: () => void raw.pause(),
    resume: () => void raw.resume(),
    end: () => void raw.end(),
    destroy: () => void raw.destroy(),
  };
}

function attach(raw: net.Socket, events: SocketEvents, host: string, port: number): void {
  let failure: Error | undefined;
  raw.on('data', (chunk: Buffer) => events.onData(chunk));
  raw.on('drain', () => events.onDrain?.());
  raw.on('error', (cause) => {
    failure ??= new MillraceError(
      'ERR_CONNECTION',
      `The connection with ${host}:${port} broke (${reason(cause)}). It is set up again by itself if the other side still runs.`,
      { host, port },
      cause,
    );
  });
  raw.on('close', () => events.onClose(failure));
}

function connectFailure(host: string, port: number, cause: Error | undefined, timeoutMs?: number): MillraceError {
  const what = cause === undefined ? `no answer within ${timeoutMs} ms` : reason(cause);
  return new MillraceError(
    'ERR_CONNECTION',
    `Could not connect to ${host}:${port}: ${what}. Check the address, that a broker runs there, and that no firewall is between.`,
    { host, port },
    cause,
  );
}

function listenFailure(host: string, port: number, cause: NodeJS.ErrnoException): MillraceError {
  const where = { host, port };
  if (cause.code === 'EADDRINUSE')
    return new MillraceError(
      'ERR_PORT_IN_USE',
      `Port ${port} on ${host} is in use. Stop the process that holds it, choose another port, or 0 for any free one.`,
      where,
      cause,
    );
  if (cause.code === 'EACCES') return new MillraceError('ERR_OPTION', `This user may not listen on port ${port}. Choose a port above 1023.`, where, cause);
  return new MillraceError(
    'ERR_OPTION',
    `Cannot listen on ${host}:${port}: ${reason(cause)}. Use an address of this machine, such as 127.0.0.1.`,
    where,
    cause,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the other side closed it',
  EPIPE: 'the other side closed it',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name could not be looked up',
  EADDRNOTAVAIL: 'the address is not one of this machine',
};

function reason(error: NodeJS.ErrnoException): string {
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException | undefined) : undefined; // one entry per address family tried
  const code = error.code ?? first?.code;
  return (code === undefined ? undefined : REASONS[code]) ?? first?.message ?? error.message;
}
