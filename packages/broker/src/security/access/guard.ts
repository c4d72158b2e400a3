// Stands before every handler when access is controlled: what the asker may not do never reaches the handler.
// Owns: the order check → handler → completion.  Never: knows what an API needs (requirements.ts), decides (authorizer.ts).
// G1 an API without a row is served to super users alone.  G2 a request is cut to what is allowed, and the answer says what was refused,
// as Kafka says it.
import { MillraceError } from '@millrace/core';
import type { Api, RequestBody, ResponseInput } from '@millrace/protocol';
import { type ErasedHandler, type HandlerEntry, type HandlerResult, NO_RESPONSE, type RequestContext } from '../../handler.ts';
import type { Authorizer } from './authorizer.ts';
import { CLUSTER_NAME, type Operation, type ResourceType } from './rule.ts';

/** What a row may ask about topics. */
export interface TopicFacts {
  /** Undefined: no topic has that id. */
  nameOf(topicId: string): string | undefined;
  exists(topic: string): boolean;
  /** Of every topic. */
  names(): readonly string[];
  readonly autoCreate: boolean;
}

/** The asker of one request. */
export interface Ask {
  readonly version: number;
  readonly topics: TopicFacts;
  may(operation: Operation, type: ResourceType, name: string): boolean;
  mayCluster(operation: Operation): boolean;
  mayAny(operation: Operation, type: ResourceType): boolean;
  operations(type: ResourceType, name: string): number;
}

export type Verdict<Request, Response> =
  | { readonly kind: 'pass' }
  /** Nothing of it is allowed: this is the answer. */
  | { readonly kind: 'answer'; readonly response: Response }
  /** This much is allowed; `complete` adds the rest to its answer. `closes`: where no answer is wanted, the connection ends instead. */
  | { readonly kind: 'part'; readonly request: Request; readonly complete: (response: Response) => Response; readonly closes?: boolean };

export const PASS = { kind: 'pass' } as const;

export interface Row {
  readonly apiKey: number;
  /** What it needs, in words, for the documentation. */
  readonly needs: string;
  readonly check: (request: unknown, ask: Ask) => Verdict<unknown, unknown>;
}

/** One row of the table. */
export function row<A extends Api>(api: A, needs: string, check: (request: RequestBody<A>, ask: Ask) => Verdict<RequestBody<A>, ResponseInput<A>>): Row {
  // Sound: the router decodes with the schema of the same API key.
  return { apiKey: api.key, needs, check: check as unknown as Row['check'] };
}

/** The handlers behind the guard. */
export function guardEntries(entries: readonly HandlerEntry[], rows: readonly Row[], authorizer: Authorizer, topics: TopicFacts): HandlerEntry[] {
  const byKey = new Map(rows.map((one) => [one.apiKey, one]));
  return entries.map(({ apiKey, handler }) => ({ apiKey, handler: guard(byKey.get(apiKey), handler, authorizer, topics) }));
}

function guard(rule: Row | undefined, handler: ErasedHandler, authorizer: Authorizer, topics: TopicFacts): ErasedHandler {
  return (request, context) => {
    const ask = askOf(authorizer, topics, context);
    if (rule === undefined) {
      if (ask.mayCluster('clusterAction')) return handler(request, context);
      throw new MillraceError('ERR_PROTOCOL', `a client without the right to cluster actions asked for API ${context.apiKey}`, { apiKey: context.apiKey });
    }
    const verdict = rule.check(request, ask);
    if (verdict.kind === 'pass') return handler(request, context);
    if (verdict.kind === 'answer') return verdict.response;
    const finish = (response: HandlerResult<unknown>): HandlerResult<unknown> => {
      if (response !== NO_RESPONSE) return verdict.complete(response);
      if (verdict.closes === true) context.connection.close();
      return NO_RESPONSE;
    };
    const result = handler(verdict.request, context);
    return result instanceof Promise ? result.then(finish) : finish(result);
  };
}

function askOf(authorizer: Authorizer, topics: TopicFacts, { connection, version }: RequestContext): Ask {
  const asker = { principal: connection.principal, host: connection.host };
  return {
    version,
    topics,
    may: (operation, type, name) => authorizer.may(asker, operation, type, name),
    mayCluster: (operation) => authorizer.may(asker, operation, 'cluster', CLUSTER_NAME),
    mayAny: (operation, type) => authorizer.mayAny(asker, operation, type),
    operations: (type, name) => authorizer.operations(asker, type, name),
  };
}

/** Splits a list by a right; the same array comes back when all is allowed. */
export function split<T>(list: readonly T[], allows: (one: T) => boolean): readonly [allowed: readonly T[], refused: readonly T[]] {
  const allowed: T[] = [];
  const refused: T[] = [];
  for (const one of list) (allows(one) ? allowed : refused).push(one);
  return [allowed, refused];
}
