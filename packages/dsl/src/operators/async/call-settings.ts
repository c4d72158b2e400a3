// The options of asynchronous operators, checked and with defaults filled.
import { type Duration, durationMs, MillraceError } from '@millrace/core';

export type CallOrder = 'key' | 'input' | 'none';

/** `attempts` counts the first one too. */
export interface CallRetry {
  readonly attempts: number;
  readonly backoff?: Duration;
  readonly backoffMax?: Duration;
  readonly retryIf?: (error: unknown) => boolean;
}

export interface CallOptions {
  readonly concurrency: number;
  readonly timeout?: Duration;
  readonly order?: CallOrder;
  readonly retry?: CallRetry;
}

export interface CallSettings {
  readonly concurrency: number;
  /** Records that may wait for their outcome before the task stops taking input. */
  readonly pendingMax: number;
  readonly timeoutMs: number;
  readonly order: CallOrder;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly retryIf: (error: unknown) => boolean;
}

const CONCURRENCY_MAX = 10_000;
const PENDING_PER_CALL = 4;
const ATTEMPTS_MAX = 1_000;

/** Throws ERR_OPTION with the operator, the option and its range. */
export function callSettings(options: CallOptions, operator: string): CallSettings {
  const { concurrency, retry, order = 'key' } = options;
  const place = (option: string): string => `${operator}: ${option}`;
  wholeNumber(place('concurrency'), concurrency, CONCURRENCY_MAX);
  wholeNumber(place('retry.attempts'), retry?.attempts ?? 1, ATTEMPTS_MAX);
  if (order !== 'key' && order !== 'input' && order !== 'none') throw wrong(place('order'), order, `'key', 'input' or 'none'`);
  const timeoutMs = durationMs(options.timeout ?? '30s', place('timeout'));
  if (timeoutMs < 1) throw wrong(place('timeout'), options.timeout, 'at least 1 ms');
  const backoffMs = durationMs(retry?.backoff ?? '100ms', place('retry.backoff'));
  return {
    concurrency,
    pendingMax: concurrency * PENDING_PER_CALL,
    timeoutMs,
    order,
    attempts: retry?.attempts ?? 1,
    backoffMs: Math.max(1, backoffMs),
    backoffMaxMs: Math.max(backoffMs, durationMs(retry?.backoffMax ?? '30s', place('retry.backoffMax'))),
    retryIf: retry?.retryIf ?? (() => true),
  };
}

function wholeNumber(option: string, value: unknown, max: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > max) throw wrong(option, value, `a whole number from 1 to ${max}`);
}

function wrong(option: string, value: unknown, wanted: string): MillraceError {
  return new MillraceError('ERR_OPTION', `${option} is ${String(value)}; it must be ${wanted}.`, { option });
}
