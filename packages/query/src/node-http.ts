// HTTP over node:http: the one place that imports it. A request becomes plain data, the reply is plain data.
// Owns: limits of size and time, and the strict parser's settings.  Never: knows routes or stores.
import * as http from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { MillraceError, type Timers } from '@millrace/core';

export { isIP };

export interface HttpRequest {
  readonly method: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Fires when the caller has gone. */
  readonly signal: AbortSignal;
  /** Bytes of replies to all callers that have not been taken yet. */
  readonly unsentBytes: number;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface HttpListener {
  readonly host: string;
  readonly port: number;
  /** Of replies that callers have not taken yet. */
  readonly unsentBytes: number;
  /** Takes no more requests, lets those in hand finish, at most `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export const HTTP_LIMITS = {
  headerBytesMax: 16 * 1024,
  targetBytesMax: 8 * 1024,
  connectionsMax: 1000,
  requestMs: 30_000,
  idleMs: 60_000,
  /** A reply is taken within this, or given up. */
  sendMs: 60_000,
} as const;

/** Ports tried beyond one in use, before any free one is taken. */
const FALLBACK_PORTS = 20;

export interface HttpListenOptions {
  readonly host: string;
  readonly port: number;
  /** Where the port is in use: try the next ones, then any free one. */
  readonly portFallback: boolean;
}

/** Rejects with ERR_PORT_IN_USE, or ERR_OPTION for an address that cannot be bound. */
export async function listenHttp(options: HttpListenOptions, timers: Timers, handle: (request: HttpRequest) => Promise<HttpReply>): Promise<HttpListener> {
  const ports = [
    options.port,
    ...(options.portFallback && options.port !== 0
      ? [...Array.from({ length: FALLBACK_PORTS }, (_, step) => options.port + 1 + step).filter((port) => port < 65_536), 0]
      : []),
  ];
  for (const port of ports) {
    const load: HttpLoad = { unsentBytes: 0 };
    const server = createServer(timers, handle, load);
    const failure = await bind(server, options.host, port);
    if (failure === undefined) return listener(server, timers, load);
    if (failure.code !== 'EADDRINUSE' || !options.portFallback) throw explain(failure, options.host, options.port);
  }
  throw explain(Object.assign(new Error('in use'), { code: 'EADDRINUSE' }), options.host, options.port);
}

/** Replies that callers have not taken yet. */
interface HttpLoad {
  unsentBytes: number;
}

function createServer(timers: Timers, handle: (request: HttpRequest) => Promise<HttpReply>, load: HttpLoad): http.Server {
  const settings = {
    maxHeaderSize: HTTP_LIMITS.headerBytesMax,
    headersTimeout: HTTP_LIMITS.requestMs,
    requestTimeout: HTTP_LIMITS.requestMs,
    keepAliveTimeout: HTTP_LIMITS.idleMs,
    insecureHTTPParser: false,
    noDelay: true,
  };
  const server = http.createServer(settings, (incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.on('close', () => gone.abort());
    outgoing.on('error', () => gone.abort());
    const headers = incoming.headers as Readonly<Record<string, string | undefined>>;
    const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
    if (hasBody) outgoing.setHeader('connection', 'close'); // no route reads one: what follows on this connection is not ours to parse
    handle({ method: incoming.method ?? '', target: incoming.url ?? '', headers, signal: gone.signal, unsentBytes: load.unsentBytes })
      .then((reply) => {
        if (!server.listening) outgoing.setHeader('connection', 'close'); // closing: an idle connection would keep it waiting
        if (outgoing.destroyed) return;
        const bytes = send(outgoing, incoming.method === 'HEAD', reply);
        load.unsentBytes += bytes;
        const deadline = timers.after(HTTP_LIMITS.sendMs, () => outgoing.destroy());
        outgoing.once('close', () => {
          deadline.cancel();
          load.unsentBytes -= bytes;
        });
      })
      .catch(() => outgoing.destroy());
  });
  server.maxConnections = HTTP_LIMITS.connectionsMax;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  });
  return server;
}

/** Returns how many bytes the caller has to take. */
function send(outgoing: http.ServerResponse, headOnly: boolean, reply: HttpReply): number {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body, 'utf8') : reply.body;
  outgoing.writeHead(reply.status, {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    ...reply.headers,
    'content-length': String(body.length),
  });
  outgoing.end(headOnly ? undefined : body);
  return headOnly ? 0 : body.length;
}

function bind(server: http.Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port }, () => {
      server.off('error', resolve);
      server.on('error', () => {}); // one failed accept (out of file handles) must not end the server
      resolve(undefined);
    });
  });
}

function listener(server: http.Server, timers: Timers, load: HttpLoad): HttpListener {
  const address = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    host: address.address,
    port: address.port,
    get unsentBytes() {
      return load.unsentBytes;
    },
    close(graceMs) {
      closing ??= new Promise((resolve) => {
        const deadline = timers.after(graceMs, () => server.closeAllConnections());
        server.close(() => {
          deadline.cancel();
          resolve();
        });
        server.closeIdleConnections();
      });
      return closing;
    },
  };
}

function explain(failure: NodeJS.ErrnoException, host: string, port: number): MillraceError {
  const where = { host, port };
  if (failure.code === 'EADDRINUSE')
    return new MillraceError(
      'ERR_PORT_IN_USE',
      `Port ${port} on ${host} is in use, so queries cannot be served there. Stop the process that holds it, choose another port, or 0 for any free one.`,
      where,
      failure,
    );
  if (failure.code === 'EACCES')
    return new MillraceError('ERR_OPTION', `This user may not listen on port ${port}. Choose a port above 1023 for queries.`, where, failure);
  return new MillraceError(
    'ERR_OPTION',
    `Queries cannot be served on ${host}:${port} (${failure.code ?? failure.message}). Use an address of this machine, such as 127.0.0.1.`,
    where,
    failure,
  );
}

/** Largest reply of another instance that is passed on. */
const PEER_BYTES_MAX = 16 * 1024 * 1024;
const PEER_SOCKETS_MAX = 64;

/** Why another instance gave no reply. */
export class PeerFailure extends Error {
  override readonly name = 'PeerFailure';
  readonly timedOut: boolean;
  constructor(message: string, timedOut: boolean) {
    super(message);
    this.timedOut = timedOut;
  }
}

export interface PeerClient {
  /** Asks another instance; redirects are not followed. Rejects with PeerFailure. */
  get(
    address: { readonly host: string; readonly port: number },
    target: string,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<HttpReply>;
  close(): void;
}

export function createPeerClient(timers: Timers): PeerClient {
  const agent = new http.Agent({ keepAlive: true, maxSockets: PEER_SOCKETS_MAX, maxFreeSockets: 8, timeout: HTTP_LIMITS.idleMs });
  return {
    get: (address, target, headers, timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        const fail = (message: string, timedOut = false): void => {
          deadline.cancel();
          request.destroy();
          reject(new PeerFailure(message, timedOut));
        };
        const request = http.request(
          { host: address.host, port: address.port, path: target, method: 'GET', headers, agent, signal, insecureHTTPParser: false },
          (incoming) => {
            const chunks: Buffer[] = [];
            let bytes = 0;
            incoming.on('data', (chunk: Buffer) => {
              bytes += chunk.length;
              if (bytes > PEER_BYTES_MAX) fail(`the reply is larger than ${PEER_BYTES_MAX} bytes`);
              else chunks.push(chunk);
            });
            incoming.on('error', (error) => fail(error.message));
            incoming.on('end', () => {
              deadline.cancel();
              const kept = ['content-type', 'retry-after', 'allow'].flatMap((name) =>
                typeof incoming.headers[name] === 'string' ? [[name, incoming.headers[name]]] : [],
              );
              resolve({ status: incoming.statusCode ?? 502, headers: Object.fromEntries(kept) as Record<string, string>, body: Buffer.concat(chunks) });
            });
          },
        );
        const deadline = timers.after(timeoutMs, () => fail(`no reply within ${timeoutMs} ms`, true));
        request.on('error', (error) => fail(error.message));
        request.end();
      }),
    close: () => agent.destroy(),
  };
}
