// The one error class users and layers meet. A code is stable; what the runtime does about it is data (FAILURES).
// Source of codes towards Kafka: the protocol package maps wire error codes to these.

/**
 * What follows when a code reaches the runtime:
 * - `ask-policy`: the user's error policy decides (decode, process, produce);
 * - `retry`: the same step again after a back-off;
 * - `drop-span`: abort, drop both spans, resume from the committed offsets;
 * - `drop-tasks`: fenced or lost: every task of the worker goes, rejoin;
 * - `rebuild-store`: quarantine the store and replay its changelog;
 * - `stop`: configuration or environment: stop the instance and name the fix.
 */
export type FailureResponse = 'ask-policy' | 'retry' | 'drop-span' | 'drop-tasks' | 'rebuild-store' | 'stop';

export const FAILURES = {
  // user mistakes and environment
  ERR_OPTION: 'stop',
  ERR_NAME: 'stop',
  ERR_TOPOLOGY: 'stop',
  ERR_TOPOLOGY_MODULE_MISMATCH: 'stop',
  ERR_RUN_IN_WORKER: 'stop',
  ERR_WORKERS_NEED_MODULE: 'stop',
  ERR_MODULE: 'stop',
  ERR_PORT_IN_USE: 'stop',
  ERR_DATA_DIR: 'stop',
  ERR_STATE_DIR: 'stop',
  ERR_STATE_LOCKED: 'stop',
  ERR_ENGINE_UNAVAILABLE: 'stop',
  ERR_BROKER_UNREACHABLE: 'stop',
  ERR_BROKER_VERSION: 'stop',
  ERR_AUTHENTICATION: 'stop',
  ERR_AUTHORIZATION: 'stop',
  ERR_TOPIC_MISSING: 'stop',
  ERR_TOPIC_INVALID: 'stop',
  ERR_TOPIC_RECREATED: 'stop',
  ERR_PARTITION_COUNT: 'stop',
  ERR_OFFSETS_EXPIRED: 'stop',
  ERR_FENCED_INSTANCE: 'stop',
  ERR_CONFIG_REJECTED: 'stop',
  ERR_APPLICATION_STOPPED: 'stop',
  ERR_CLOSED: 'stop',
  ERR_TIMEOUT: 'retry',
  ERR_ABORTED: 'stop',
  ERR_NO_OUTPUT: 'stop',
  // records and user code
  ERR_RECORD_UNDECODABLE: 'ask-policy',
  ERR_RECORD_UNENCODABLE: 'ask-policy',
  ERR_RECORD_TOO_LARGE: 'ask-policy',
  ERR_RECORD_REJECTED: 'ask-policy',
  ERR_UNEXPECTED_TOMBSTONE: 'ask-policy',
  ERR_UNEXPECTED_NULL_KEY: 'ask-policy',
  ERR_INVALID_TIMESTAMP: 'ask-policy',
  ERR_UNSAFE_INTEGER: 'ask-policy',
  ERR_VALUE_NOT_JSON: 'ask-policy',
  ERR_SCHEMA: 'ask-policy',
  ERR_PROCESS: 'ask-policy',
  ERR_CALL_TIMEOUT: 'ask-policy',
  ERR_STORE_NOT_CONNECTED: 'stop',
  ERR_STORE_CLOSED: 'stop',
  ERR_BUFFER_FULL: 'stop',
  // stores
  ERR_STORE_CORRUPT: 'rebuild-store',
  ERR_STORE_IO: 'retry',
  ERR_STORE_UNREADABLE: 'stop',
  ERR_CHANGELOG_TRUNCATED: 'rebuild-store',
  // log
  ERR_CONNECTION: 'retry',
  ERR_RETRIABLE: 'retry',
  ERR_RECORD_BATCH_CORRUPT: 'retry',
  ERR_PROTOCOL: 'stop',
  ERR_OFFSET_OUT_OF_RANGE: 'stop',
  ERR_TRANSACTION_ABORTABLE: 'drop-span',
  ERR_TRANSACTION_INDEFINITE: 'drop-span',
  ERR_PRODUCER_FENCED: 'drop-span',
  ERR_SEQUENCE: 'drop-span',
  ERR_GENERATION: 'drop-span',
  ERR_MEMBERSHIP_LOST: 'drop-tasks',
  ERR_TASK_FAILED: 'drop-span',
  ERR_WORKER_BLOCKED: 'drop-span',
} as const satisfies Record<`ERR_${string}`, FailureResponse>;

export type ErrorCode = keyof typeof FAILURES;
export type ErrorPlace = Readonly<Record<string, string | number>>;

const MARK = Symbol.for('millrace.error');
const DOCS = 'docs/errors.md';

/**
 * Every error Millrace throws at a user. `message` says what happened, to what, and what to try;
 * `where` says topic, partition, offset, node, store, task as far as they are known.
 *
 * @example
 * ```ts
 * try { await app.start(); } catch (error) { if (MillraceError.is(error) && error.code === 'ERR_BROKER_UNREACHABLE') retryLater(); }
 * ```
 */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;
  readonly where: ErrorPlace;
  readonly docs: string;
  constructor(code: ErrorCode, message: string, where: ErrorPlace = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.where = where;
    this.docs = `${DOCS}#${code.toLowerCase()}`;
    Object.defineProperty(this, MARK, { value: true });
  }
  /** True where the same step may succeed later without a change. */
  get retriable(): boolean {
    return FAILURES[this.code] === 'retry';
  }
  /** What the runtime does about it. */
  get response(): FailureResponse {
    return FAILURES[this.code];
  }
  /** True across package copies and threads that rebuilt the error. */
  static is(value: unknown): value is MillraceError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[MARK] === true;
  }
}

/** What an error looks like between threads: structured clone keeps no class. */
export interface ErrorWire {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly where: ErrorPlace;
  readonly stack: string | undefined;
  readonly cause: ErrorWire | undefined;
}

export function errorToWire(error: unknown): ErrorWire {
  const is = error instanceof Error;
  return {
    code: MillraceError.is(error) ? error.code : undefined,
    message: is ? error.message : String(error),
    where: MillraceError.is(error) ? error.where : {},
    stack: is ? error.stack : undefined,
    cause: is && error.cause !== undefined ? errorToWire(error.cause) : undefined,
  };
}

export function errorFromWire(wire: ErrorWire): Error {
  const cause = wire.cause === undefined ? undefined : errorFromWire(wire.cause);
  const error = wire.code === undefined ? new Error(wire.message, { cause }) : new MillraceError(wire.code, wire.message, wire.where, cause);
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** One line for a person: the message, then each cause that says more. Without the last full stop: the sentence around it brings that. */
export function explainError(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at !== undefined && lines.length < 5; at = at instanceof Error ? at.cause : undefined) {
    const text = at instanceof Error ? at.message : String(at);
    if (text !== '' && !lines.some((line) => line.includes(text))) lines.push(text);
  }
  return lines.join(' Caused by: ').replace(/(?<!\.)\.$/, '');
}
