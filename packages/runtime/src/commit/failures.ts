// What follows when a span cannot be committed: design.md's failure table as data. One function asks it.
import { type ErrorCode, MillraceError } from '@millrace/core';

export type SpanFailure =
  /** Transaction still there: abort it, drop both spans, go on from the committed offsets. */
  | 'abort'
  /** Nobody knows, or somebody else holds the id: no abort; initialise the producer, which settles the old transaction either way; drop both. */
  | 'initialise'
  /** The coordinator does not know this member: abort, drop, wait for a new membership. */
  | 'lost'
  /** The same request again after a pause. Only where repeating is harmless. */
  | 'again'
  /** A person is needed: drop, and the worker ends with the error. */
  | 'end';

type Guarantee = 'exactly-once' | 'at-least-once';

const EXACTLY_ONCE: Partial<Record<ErrorCode, SpanFailure>> = {
  ERR_GENERATION: 'abort',
  ERR_TRANSACTION_ABORTABLE: 'abort',
  ERR_MEMBERSHIP_LOST: 'lost',
  ERR_PRODUCER_FENCED: 'initialise',
  ERR_TRANSACTION_INDEFINITE: 'initialise',
  ERR_SEQUENCE: 'initialise',
  // an answer that did not come is an answer we do not know
  ERR_TIMEOUT: 'initialise',
  ERR_CONNECTION: 'initialise',
  ERR_RETRIABLE: 'initialise',
};

const AT_LEAST_ONCE: Partial<Record<ErrorCode, SpanFailure>> = {
  ERR_GENERATION: 'abort',
  // the idempotent producer was started over beneath its batches
  ERR_TRANSACTION_ABORTABLE: 'initialise',
  ERR_MEMBERSHIP_LOST: 'lost',
  ERR_PRODUCER_FENCED: 'initialise',
  ERR_SEQUENCE: 'initialise',
  ERR_TRANSACTION_INDEFINITE: 'initialise',
  ERR_TIMEOUT: 'again',
  ERR_CONNECTION: 'again',
  ERR_RETRIABLE: 'again',
};

/** Errors without an entry (record refused, no right, a defect) end the worker. */
export function spanFailure(error: unknown, guarantee: Guarantee): SpanFailure {
  if (!MillraceError.is(error)) return 'end';
  return (guarantee === 'exactly-once' ? EXACTLY_ONCE : AT_LEAST_ONCE)[error.code] ?? 'end';
}

/**
 * Worth another try of something that is harmless to repeat. That no broker answered a first contact is final for a program that starts; once the
 * application runs it only means that the brokers are away.
 */
export function passes(error: unknown): error is MillraceError {
  return MillraceError.is(error) && (error.retriable || error.code === 'ERR_BROKER_UNREACHABLE');
}

/** Nobody knows whether the request was carried out, or will be: it was sent, and no answer came. */
export function isUnanswered(error: unknown): boolean {
  return MillraceError.is(error) && (error.code === 'ERR_TIMEOUT' || error.code === 'ERR_CONNECTION') && error.where.sent !== 0;
}

/** Codes after which the next transactions are kept short: nothing is sent before a close until one has been committed. */
export function suggestsTimeout(error: unknown): boolean {
  return MillraceError.is(error) && (error.code === 'ERR_PRODUCER_FENCED' || error.code === 'ERR_TRANSACTION_ABORTABLE');
}
