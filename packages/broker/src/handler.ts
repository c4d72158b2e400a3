// The contract between the router and the handlers of API keys.
// A handler gets the decoded body and returns the body of the answer, now or later. It never sees frames, correlation ids or sockets.
// H1 a rejected or thrown handler closes the connection (a defect of ours): expected failures are error codes in the body.
// H2 answers leave in request order per connection, so a parked handler holds back what came after it on its connection.
import type { Login } from './security/login.ts';

/** The broker as clients see it. */
export interface BrokerFacts {
  readonly nodeId: number;
  readonly clusterId: string;
  /** The advertised host. */
  readonly host: string;
  /** The bound port; known once the broker listens, so read it late. */
  readonly port: number;
}

/** The connection a request came on. */
export interface ClientConnection {
  readonly id: number;
  /** The peer's address as text, `127.0.0.1` say (DescribeGroups shows it as `/127.0.0.1`). */
  readonly host: string;
  readonly closed: boolean;
  /** How far the peer is with its login, and who it is. */
  readonly login: Login;
  /** Who asks: `User:alice`; `User:ANONYMOUS` where nobody need log in. */
  readonly principal: string;
  /** Calls `run` once when the connection is over (at once if it is). Returns how to take that back. */
  onClose(run: () => void): () => void;
  /** Closes it at once: what produce with acks=0 does instead of reporting an error. */
  close(): void;
  /** Begins no further request of this connection for so long: a quota was exceeded. */
  mute(ms: number): void;
}

export interface RequestContext {
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  readonly connection: ClientConnection;
  /** Calls `run` once the system has taken every byte of the answer, so that the memory it lay in may be used anew; never if the connection ends first. */
  whenTaken(run: () => void): void;
}

/** Produce with acks=0: the connection gets no answer. */
export const NO_RESPONSE: unique symbol = Symbol('no response');

export type HandlerResult<Response> = Response | typeof NO_RESPONSE;

export type Handler<Request, Response> = (request: Request, context: RequestContext) => HandlerResult<Response> | Promise<HandlerResult<Response>>;

/** A handler with its types forgotten. Sound: the router decodes and encodes with the schema of the same API key and version. */
export type ErasedHandler = Handler<unknown, unknown>;

export interface HandlerEntry {
  readonly apiKey: number;
  readonly handler: ErasedHandler;
}

/** One row of the router's table. */
export function handlerEntry<Request, Response>(apiKey: number, handler: Handler<Request, Response>): HandlerEntry {
  return { apiKey, handler: handler as ErasedHandler };
}
