// The query server: a request comes in, passes the guards, finds its route and gets a reply or a problem.
// Q1 bound to loopback unless the caller asks for more in so many words.  Q2 every reply has a bound in rows, bytes and time.
// Q3 what fails unexpectedly is logged here and shown to the caller as a problem without details.
import { type Logger, MillraceError } from '@millrace/core';
import { Exchange, type ExchangePorts } from './exchange.ts';
import type { QueryHost } from './host.ts';
import { createPeerClient, HTTP_LIMITS, type HttpReply, type HttpRequest, listenHttp } from './node-http.ts';
import { HOPS_HEADER, isLoopback, type PeerRoute } from './peer.ts';
import { Problem, type ProblemCode, problemOf } from './problem.ts';
import { findRoute } from './router.ts';

export interface QueryServerOptions {
  /** Address to listen on; loopback unless `exposeUnsafely`. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where the port is in use: true tries the next ones, then any free one; false rejects with ERR_PORT_IN_USE. */
  readonly portFallback: boolean;
  /** Allows another address than loopback. There is no authentication yet: anybody who reaches the port reads every store. */
  readonly exposeUnsafely?: boolean;
}

export interface QueryServerPorts extends ExchangePorts {
  readonly log: Logger;
}

export interface QueryServer {
  readonly host: string;
  readonly port: number;
  /** `http://host:port`, for people and for other instances. */
  readonly url: string;
  /** What callers keep busy just now, and the bounds; beyond them new requests are told to come back. */
  load(): { readonly requests: number; readonly requestsMax: number; readonly unsentBytes: number; readonly unsentBytesMax: number };
  /** Lets requests in hand finish for up to five seconds. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 5000;
/** Requests in hand at once; more are told to come back. */
const IN_HAND_MAX = 256;
/** Replies that callers have not taken yet; beyond this new requests are told to come back. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;

/** Rejects with ERR_PORT_IN_USE, or ERR_OPTION for an address that may not or cannot be used. */
export async function createQueryServer(options: QueryServerOptions, host: QueryHost, ports: QueryServerPorts): Promise<QueryServer> {
  const local = isLoopback(options.host);
  if (!local && options.exposeUnsafely !== true) {
    throw new MillraceError(
      'ERR_OPTION',
      `Queries would be served on ${options.host} to everybody who reaches it, without authentication. Use 127.0.0.1, or set exposeUnsafely: true if the network itself keeps others out.`,
      { host: options.host },
    );
  }
  if (!local) ports.log.warn({ host: options.host }, 'queries are served beyond this machine without authentication');
  const client = createPeerClient(ports.timers);
  const count = { inHand: 0 };
  const handle = createHandler(host, { client, loopbackOnly: local }, ports, local, count);
  const listener = await listenHttp(options, ports.timers, handle);
  const shown = listener.host.includes(':') ? `[${listener.host}]` : listener.host;
  return {
    host: listener.host,
    port: listener.port,
    url: `http://${shown}:${listener.port}`,
    load: () => ({ requests: count.inHand, requestsMax: IN_HAND_MAX, unsentBytes: listener.unsentBytes, unsentBytesMax: UNSENT_BYTES_MAX }),
    async close() {
      await listener.close(CLOSE_GRACE_MS);
      client.close();
    },
  };
}

function createHandler(
  host: QueryHost,
  peers: PeerRoute,
  ports: QueryServerPorts,
  local: boolean,
  count: { inHand: number },
): (request: HttpRequest) => Promise<HttpReply> {
  return async (request) => {
    const at = request.target.indexOf('?');
    const path = at < 0 ? request.target : request.target.slice(0, at);
    count.inHand++;
    try {
      guard(request, path, local, count.inHand);
      const { route, segments } = findRoute(path);
      guardMethod(request);
      const hopped = request.headers[HOPS_HEADER] !== undefined;
      const query = new URLSearchParams(at < 0 ? '' : request.target.slice(at + 1));
      return await route.handle(new Exchange({ request, host, peers, segments, query, hopped, ports }));
    } catch (error) {
      if (error instanceof Problem) return error.reply(path.slice(0, HTTP_LIMITS.targetBytesMax));
      ports.log.error({ path, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a query failed');
      return problemOf({ kind: 'storeError', cause: error }, 'The store').reply(path);
    } finally {
      count.inHand--;
    }
  };
}

/** Probes are always answered: an instance with many callers is alive, and a restart would not help it. */
const PROBES: ReadonlySet<string> = new Set(['/livez', '/readyz']);

function guard(request: HttpRequest, path: string, local: boolean, inHand: number): void {
  const probed = PROBES.has(path);
  if (inHand > IN_HAND_MAX && !probed) throw new Problem('overloaded', `This instance already answers ${IN_HAND_MAX} requests.`);
  if (request.unsentBytes > UNSENT_BYTES_MAX && !probed) throw new Problem('overloaded', 'Callers have not taken the replies that they were sent.');
  if (request.target.length > HTTP_LIMITS.targetBytesMax) throw new Problem('url-too-long', `A URL here has at most ${HTTP_LIMITS.targetBytesMax} characters.`);
  // A page of another site can make a browser call a loopback address by a name of its own; the Host header gives it away.
  if (local && !isLocalHostHeader(request.headers.host)) throw new Problem('forbidden', 'The Host header must name this machine (127.0.0.1 or localhost).');
}

function guardMethod(request: HttpRequest): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new Problem('method-not-allowed', 'Use GET.', {}, { allow: 'GET, HEAD' });
  const { 'transfer-encoding': encoding, 'content-length': length } = request.headers;
  if (encoding !== undefined || (length !== undefined && length !== '0'))
    throw new Problem('body-too-large' satisfies ProblemCode, 'Send the request without a body.');
}

function isLocalHostHeader(header: string | undefined): boolean {
  if (header === undefined) return true; // HTTP/1.0; browsers always send one
  const name = header.startsWith('[') ? header.slice(1, header.indexOf(']')) : header.replace(/:\d*$/, '');
  return isLoopback(name.toLowerCase());
}
