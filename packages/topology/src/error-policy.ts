// What happens to a record that fails: the policy's vocabulary, and where a record goes that nobody could process.
import { MillraceError, type RecordHeaders } from '@millrace/core';
import type { SourcePosition } from './processor.ts';
import { checkName } from './validate.ts';

/** What happened, for an error policy. */
export interface Failure {
  readonly stage: 'decode' | 'process' | 'punctuate' | 'async' | 'produce';
  readonly error: unknown;
  readonly node: string;
  readonly taskId: string;
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  /** Where the record came from; undefined below a timer. */
  readonly source: SourcePosition | undefined;
  /** The record as it was read; null for a missing part, and below a timer. */
  readonly rawKey: Uint8Array | null;
  readonly rawValue: Uint8Array | null;
  /** How often this record has been tried, this time included. */
  readonly deliveries: number;
}

/** A topic for records that could not be processed. */
export interface DeadLetter {
  readonly kind: 'deadLetter';
  readonly topic: string;
}

/** `fail`: nothing of the span is committed, and the worker begins again. `skip`: what the record would have done from here on is left out. */
export type ErrorDecision = 'fail' | 'skip' | DeadLetter;
/** A function sees the failure and decides; throwing in it means 'fail'. */
export type ErrorPolicy = ErrorDecision | ((failure: Failure) => ErrorDecision);

/**
 * The record as it was read (key, value, time, headers) goes to `topic`, in the transaction of everything else, with headers added that say
 * what failed and where it came from: `__streams.errors.exception`, `.message`, `.stacktrace`, `.topic`, `.partition`, `.offset`, as Kafka
 * Streams names them (KIP-1034). Otherwise as `skip`. Throws ERR_NAME for an illegal topic name.
 *
 * @example
 * ```ts
 * import { deadLetter, serde, topic, topology } from 'millrace';
 *
 * const readings = topic('readings', { key: serde.string(), value: serde.json<{ celsius: number }>() });
 * const warm = topic('warm', { key: serde.string(), value: serde.json<{ celsius: number }>() });
 *
 * export default topology('thermometer', (t) => {
 *   t.stream(readings, { onError: deadLetter('readings-dlq') })
 *     .filter((reading) => reading.celsius > 25)
 *     .to(warm);
 * });
 * ```
 */
export function deadLetter(topic: string): DeadLetter {
  checkName(topic, 'topic');
  return { kind: 'deadLetter', topic };
}

export function isDeadLetter(value: unknown): value is DeadLetter {
  return typeof value === 'object' && value !== null && (value as Partial<DeadLetter>).kind === 'deadLetter' && typeof (value as DeadLetter).topic === 'string';
}

/** Throws ERR_OPTION for what is no policy. `place` says where it was given, as in `onError of "parse"`. */
export function checkErrorPolicy(policy: unknown, place: string): void {
  if (policy === undefined || policy === 'fail' || policy === 'skip' || typeof policy === 'function') return;
  if (isDeadLetter(policy)) {
    checkName(policy.topic, 'topic');
    return;
  }
  throw new MillraceError(
    'ERR_OPTION',
    `${place} is ${JSON.stringify(policy)}. Use 'fail', 'skip', deadLetter('a-topic') or a function that returns one of them.`,
    {
      option: place,
    },
  );
}
