// Errors of the HTTP API as RFC 9457 problems: one table of codes and statuses, one function that writes the body.
// Never: a stack, a path, a setting or another key in a body.
import type { Refusal } from './host.ts';
import type { HttpReply } from './node-http.ts';

const PROBLEMS = {
  'route-not-found': { status: 404, title: 'There is no such route' },
  'store-not-found': { status: 404, title: 'There is no such store' },
  'key-not-found': { status: 404, title: 'The store does not hold this key' },
  'partition-out-of-range': { status: 404, title: 'The store has no such partition' },
  'invalid-key': { status: 400, title: 'The key cannot be read' },
  'invalid-parameter': { status: 400, title: 'A parameter is not valid' },
  'query-unsupported': { status: 400, title: 'The store does not answer this kind of query' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  forbidden: { status: 403, title: 'The request is not allowed' },
  'body-too-large': { status: 413, title: 'This route takes no request body' },
  'url-too-long': { status: 414, title: 'The URL is too long' },
  'not-owner': { status: 421, title: 'Another instance answers for this key' },
  'store-error': { status: 500, title: 'The store failed' },
  'upstream-unreachable': { status: 502, title: 'The owning instance cannot be reached' },
  rebalancing: { status: 503, title: 'Partitions are changing hands' },
  'no-active-owner': { status: 503, title: 'No instance owns this partition now' },
  'store-restoring': { status: 503, title: 'Store partition is restoring' },
  'not-available': { status: 503, title: 'The instance does not offer this' },
  overloaded: { status: 503, title: 'Too many requests at once' },
  'upstream-timeout': { status: 504, title: 'The owning instance did not answer in time' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** How long a caller should wait before it asks again. */
const RETRY_AFTER_MS = 2000;

/** Thrown inside a route; becomes the reply. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly members: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, string>>;
  constructor(code: ProblemCode, detail: string, members: Problem['members'] = {}, headers: Problem['headers'] = {}) {
    super(detail);
    this.code = code;
    this.members = members;
    this.headers = headers;
  }
  get retriable(): boolean {
    const { status } = PROBLEMS[this.code];
    return status === 503 || status === 502 || status === 504;
  }
  reply(path: string): HttpReply {
    const { status, title } = PROBLEMS[this.code];
    const body = {
      type: `urn:millrace:problem:${this.code}`,
      title,
      status,
      detail: this.message,
      instance: path,
      code: this.code,
      retriable: this.retriable,
      ...(this.retriable ? { retryAfterMs: RETRY_AFTER_MS } : {}),
      ...this.members,
    };
    const headers = {
      'content-type': 'application/problem+json',
      ...(this.retriable ? { 'retry-after': String(RETRY_AFTER_MS / 1000) } : {}),
      ...this.headers,
    };
    return { status, headers, body: `${JSON.stringify(body)}\n` };
  }
}

/** The problem that tells a caller why `store` did not answer. */
export function problemOf(refusal: Refusal, store: string): Problem {
  switch (refusal.kind) {
    case 'storeNotFound':
      return new Problem('store-not-found', `No store is called "${store}". GET /v1/stores lists them.`);
    case 'unsupported':
      return new Problem('query-unsupported', refusal.detail);
    case 'notOwner':
      return new Problem('not-owner', `This instance does not hold ${store}[${refusal.partition}].`, { partition: refusal.partition });
    case 'noActiveOwner':
      return new Problem('no-active-owner', `No instance owns ${store}[${refusal.partition}] now.`, { partition: refusal.partition });
    case 'rebalancing':
      return new Problem('rebalancing', `The partitions of ${store} are changing hands.`);
    case 'restoring': {
      const { partition, progress } = refusal;
      const percent = progress === undefined ? 'being' : `${Math.floor(progress * 100)}%`;
      return new Problem('store-restoring', `${store}[${partition}] is ${percent} restored.`, {
        partition,
        ...(progress === undefined ? {} : { restoreProgress: progress }),
      });
    }
    case 'storeError':
      return new Problem('store-error', `${store} could not be read. The instance's log has the cause.`);
  }
}

/** Refusals that may be gone a moment later. */
export function isPassing(refusal: Refusal): boolean {
  return refusal.kind === 'notOwner' || refusal.kind === 'noActiveOwner' || refusal.kind === 'rebalancing' || refusal.kind === 'restoring';
}
