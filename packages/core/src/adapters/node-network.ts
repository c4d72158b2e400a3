// Sockets over node:net and node:tls: the one place that imports them.
// Owns: the mapping of system errors to ERR_CONNECTION, ERR_AUTHENTICATION (certificates), ERR_PORT_IN_USE and ERR_OPTION, each with its fix.
// N1 Nagle is off: a request leaves when it is written.  N2 `onClose` is called once, and never before `connect` resolved.
import * as net from 'node:net';
import * as tls from 'node:tls';
import { MillraceError } from '../errors.ts';
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketEvents } from '../network.ts';
import { whenAborted } from '../when-aborted.ts';

/** Bytes in the write buffer above which `write` returns false. */
const WRITE_MARK = 256 * 1024;

export const nodeNetwork: Network = { connect, listen };

function connect(options: ConnectOptions, events: SocketEvents): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = options;
    const plain = { host, port, noDelay: true, keepAlive: true, writableHighWaterMark: WRITE_MARK };
    const raw =
      options.tls === undefined
        ? net.connect(plain)
        : withTlsAdvice(() => tls.connect({ ...plain, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...options.tls }));
    const fail = (error: Error): void => {
      over();
      raw.destroy();
      reject(error);
    };
    const onError = (cause: Error): void => fail(connectFailure(host, port, cause));
    const onTimeout = (): void => fail(connectFailure(host, port, undefined, options.timeoutMs));
    const onReady = (): void => {
      over();
      raw.setTimeout(0);
      raw.off('timeout', onTimeout);
      raw.off('error', onError);
      raw.off('close', onEarlyClose);
      const socket = wrap(raw, host, port);
      attach(raw, events, host, port);
      resolve(socket);
    };
    const onEarlyClose = (): void => fail(connectFailure(host, port, new Error('the connection closed while it was being set up')));
    const over = whenAborted(options.signal, () => raw.destroy(new Error('it was given up')));
    raw.setTimeout(options.timeoutMs, onTimeout);
    raw.on('error', onError);
    raw.on('close', onEarlyClose);
    raw.once(options.tls === undefined ? 'connect' : 'secureConnect', onReady);
  });
}

function listen(options: ListenOptions, accept: (socket: Socket) => SocketEvents): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const onConnection = (raw: net.Socket): void => {
      raw.setNoDelay(true);
      const host = raw.remoteAddress ?? 'unknown';
      const port = raw.remotePort ?? 0;
      attach(raw, accept(wrap(raw, host, port)), host, port);
    };
    const secure = options.tls === undefined ? undefined : secureServer(options.tls, onConnection);
    const onRaw = (raw: net.Socket): void => {
      const release = options.admit === undefined ? () => {} : options.admit(raw.remoteAddress ?? 'unknown');
      if (release === undefined) return void raw.destroy();
      raw.once('close', release);
      if (secure === undefined) onConnection(raw);
      else secure.emit('connection', raw);
    };
    const server = net.createServer({ noDelay: true, keepAlive: true, highWaterMark: WRITE_MARK }, onRaw);
    const onError = (cause: NodeJS.ErrnoException): void => reject(listenFailure(options.host, options.port, cause));
    server.once('error', onError);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', onError);
      server.on('error', () => {}); // one failed accept (out of file handles) must not end the listener
      const address = server.address() as net.AddressInfo;
      resolve({
        port: address.port,
        host: address.address,
        renewTls: (tlsOptions) => withTlsAdvice(() => secure?.setSecureContext(tlsOptions)),
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

/** A TLS server that is handed its connections; it never listens itself. Throws ERR_OPTION. */
function secureServer(tlsOptions: object, onConnection: (raw: net.Socket) => void): tls.Server {
  const server = withTlsAdvice(() => tls.createServer({ ...tlsOptions }, onConnection));
  server.on('tlsClientError', (_cause, raw) => raw.destroy()); // a peer that cannot shake hands is its own trouble
  return server;
}

function withTlsAdvice<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new MillraceError(
      'ERR_OPTION',
      `The TLS options cannot be used: ${reason(cause as NodeJS.ErrnoException)}. Give key and certificate in PEM form that belong to each other, and the passphrase if the key has one.`,
      {},
      cause,
    );
  }
}

function wrap(raw: net.Socket, remoteAddress: string, remotePort: number): Socket {
  return {
    remoteAddress,
    remotePort,
    peerName: raw instanceof tls.TLSSocket && raw.authorized ? distinguishedName(raw.getPeerCertificate().subject) : undefined,
    get bufferedBytes() {
      return raw.writableLength;
    },
    write: (bytes, taken) =>
      taken === undefined
        ? raw.write(bytes)
        : raw.write(bytes, (error) => {
            if (error === null || error === undefined) taken();
          }),
    cork: () => raw.cork(),
    uncork: () => raw.uncork(),
    pause: () => void raw.pause(),
    resume: () => void raw.resume(),
    end: () => void raw.end(),
    destroy: () => void raw.destroy(),
  };
}

/** As RFC 2253 writes it: last part first, special characters escaped. */
function distinguishedName(subject: tls.Certificate | undefined): string | undefined {
  if (subject === undefined) return undefined;
  const parts = Object.entries(subject).flatMap(([name, value]) => [value as string | string[]].flat().map((one) => `${name}=${escapeNamePart(one)}`));
  return parts.length === 0 ? undefined : parts.reverse().join(',');
}

function escapeNamePart(text: string): string {
  return text.replace(/[,+"\\<>;]/g, '\\$&').replace(/^[ #]| $/g, '\\$&');
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
  const untrusted = cause === undefined ? undefined : UNTRUSTED[(cause as NodeJS.ErrnoException).code ?? ''];
  if (untrusted !== undefined)
    return new MillraceError('ERR_AUTHENTICATION', `The certificate of ${host}:${port} is not trusted: ${untrusted}.`, { host, port }, cause);
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

/** Codes of certificates that are not to be trusted, with what a person can do. */
const NOT_SIGNED = 'no authority that this machine trusts has signed it. Give the authority that has as `ssl.ca`';
const UNTRUSTED: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_SIGNED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_SIGNED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_SIGNED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_SIGNED,
  CERT_UNTRUSTED: NOT_SIGNED,
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is made out to other names. Connect by one of them, or set `ssl.servername` to the name that it has',
  CERT_HAS_EXPIRED: 'it has expired. Renew it, or check the clock of this machine',
  CERT_NOT_YET_VALID: 'it is not valid yet. Check the clock of this machine',
  CERT_REVOKED: 'it has been revoked. Renew it',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong. Check that `ssl.ca` is the authority that has signed it',
};

function reason(error: NodeJS.ErrnoException): string {
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException | undefined) : undefined; // one entry per address family tried
  const code = error.code ?? first?.code;
  if (code?.startsWith('ERR_SSL_'))
    // the library's message holds its own file names and line numbers; its reason is for people
    return `the TLS handshake failed (${(error as { readonly reason?: string }).reason ?? code}); if the port is plain it does not speak TLS: leave \`ssl\` out`;
  return (code === undefined ? undefined : REASONS[code]) ?? first?.message ?? error.message;
}
