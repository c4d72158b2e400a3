// One request on its way to an answer: its parameters, its deadline, and the loop that outlasts a rebalance.
// The server tries again by itself while a refusal may pass; only when the time is up does the caller see it.
import { type Clock, sleep, type Timers } from '@millrace/core';
import type { QueryHost, Refusal, StoreSummary } from './host.ts';
import type { HttpReply, HttpRequest } from './node-http.ts';
import { Parameters } from './parameters.ts';
import type { PeerRoute } from './peer.ts';
import { isPassing, Problem, problemOf } from './problem.ts';

const RETRY_MS = 100;

export interface ExchangePorts {
  readonly clock: Clock;
  readonly timers: Timers;
}

export class Exchange {
  readonly request: HttpRequest;
  readonly host: QueryHost;
  readonly peers: PeerRoute;
  /** Decoded path segments that stand for `{…}` in the route. */
  readonly segments: readonly string[];
  /** True when another instance passed this request on: answer here or not at all. */
  readonly hopped: boolean;
  readonly #ports: ExchangePorts;
  readonly #query: URLSearchParams;
  #deadlineMs = 0;

  constructor(parts: {
    readonly request: HttpRequest;
    readonly host: QueryHost;
    readonly peers: PeerRoute;
    readonly segments: readonly string[];
    readonly query: URLSearchParams;
    readonly hopped: boolean;
    readonly ports: ExchangePorts;
  }) {
    this.request = parts.request;
    this.host = parts.host;
    this.peers = parts.peers;
    this.segments = parts.segments;
    this.hopped = parts.hopped;
    this.#ports = parts.ports;
    this.#query = parts.query;
  }

  /** The parameters, after a check against `known`; starts the deadline that `timeout` sets. */
  parameters(known: readonly string[]): Parameters {
    const parameters = new Parameters(this.#query, known);
    this.#deadlineMs = this.#ports.clock.monotonicMs() + (known.includes('timeout') ? parameters.timeoutMs() : 0);
    return parameters;
  }

  remainingMs(): number {
    return Math.max(1, Math.ceil(this.#deadlineMs - this.#ports.clock.monotonicMs()));
  }

  /** The store named by the first segment. Throws store-not-found, query-unsupported. */
  store(): StoreSummary {
    const name = this.segments[0] as string;
    const store = this.host.stores().find((one) => one.name === name);
    if (store === undefined) throw problemOf({ kind: 'storeNotFound' }, name.slice(0, 249));
    return store;
  }

  /** A store of that kind, open to queries. */
  storeOf(kinds: StoreSummary['kind'] | readonly StoreSummary['kind'][], hint: string): StoreSummary {
    const store = this.store();
    if (!store.queryable) throw new Problem('forbidden', `The store "${store.name}" is not open to queries.`);
    if (![kinds].flat().includes(store.kind)) throw new Problem('query-unsupported', `"${store.name}" is a ${store.kind} store; ${hint}`);
    return store;
  }

  /** What `attempt` answers, tried again while its refusal may pass and time is left. Throws the refusal's problem. */
  async answer<T extends { readonly kind: 'rows' | 'reply' | 'locations' }>(store: string, attempt: () => Promise<T | Refusal>): Promise<T> {
    for (;;) {
      const result = await attempt().catch((error: unknown) => {
        // An owner that died is unreachable until the group has noticed: as passing as a rebalance.
        if (error instanceof Problem && error.code === 'upstream-unreachable') return error;
        throw error;
      });
      if (!(result instanceof Problem) && !isRefusal(result)) return result;
      const over = this.request.signal.aborted || this.#ports.clock.monotonicMs() + RETRY_MS >= this.#deadlineMs;
      if (over || !(result instanceof Problem || isPassing(result))) throw result instanceof Problem ? result : problemOf(result, store);
      await sleep(this.#ports.timers, RETRY_MS, this.request.signal);
    }
  }
}

function isRefusal(result: { readonly kind: string }): result is Refusal {
  return result.kind !== 'rows' && result.kind !== 'reply' && result.kind !== 'locations';
}

export function json(body: unknown): HttpReply {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : `${JSON.stringify(body)}\n` };
}
