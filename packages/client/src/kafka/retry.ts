// Repeats a request until it succeeds, its error is final, or its time is over; the table of error-response.ts decides which.
// Owns: back-off and deadline of one call.  Never: repeats a request of unknown outcome unless the caller says that is harmless.
import { backoffMs, explainError, MillraceError, sleep } from '@millrace/core';
import type { CoordinatorKind, KafkaCluster, Purpose } from './cluster.ts';
import { type BrokerConnection, isConnectionFailure, wasSent } from './connection.ts';
import { kafkaCodeOf, type Reaction, responseTo } from './error-response.ts';

export interface RetryOptions {
  /** For the error message: `Committing offsets of group x`. */
  readonly what: string;
  /** Default: the connection's request timeout. */
  readonly timeoutMs?: number;
  /** False: a request that may have reached the broker without an answer is not repeated; its error is handed up as it is. Default true. */
  readonly repeatSent?: boolean;
  /** Default 50 ms. */
  readonly firstWaitMs?: number;
}

const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 1_000;
/** While the coordinator writes the markers of a transaction that is over: tasks stand still until then, and it is never long. */
const MARKERS_WAIT_MS_MAX = 200;
const CONCURRENT_TRANSACTIONS = 51;
const UNSTABLE_OFFSET_COMMIT = 88;

/** What to do about an error: from the table for an answer of a broker, `refresh` for a failure on the way. */
export function reactionTo(error: unknown): Reaction {
  const code = kafkaCodeOf(error);
  if (code !== undefined) return responseTo(code).reaction;
  if (MillraceError.is(error) && error.code === 'ERR_PROTOCOL') return 'fail';
  return isConnectionFailure(error) ? 'refresh' : 'fail';
}

/** Runs `attempt` as often as it takes; the first contact with the cluster comes before (ERR_BROKER_UNREACHABLE). `onFailure` hears of each failure that is followed by another attempt. */
export async function withRetries<T>(
  cluster: KafkaCluster,
  options: RetryOptions,
  attempt: () => Promise<T>,
  onFailure?: (reaction: Reaction) => void,
): Promise<T> {
  await cluster.start();
  const { clock, timers, chance } = cluster.ports;
  const deadlineMs = clock.monotonicMs() + (options.timeoutMs ?? cluster.options.requestTimeoutMs);
  for (let count = 1; ; count++) {
    try {
      return await attempt();
    } catch (error) {
      const reaction = reactionTo(error);
      if (reaction === 'fail' || cluster.closed) throw error;
      if (options.repeatSent === false && wasSent(error)) throw error;
      const waitMs = backoffMs(chance, count, options.firstWaitMs ?? FIRST_WAIT_MS, waitsForMarkers(error) ? MARKERS_WAIT_MS_MAX : WAIT_MS_MAX);
      if (clock.monotonicMs() + waitMs > deadlineMs) throw tooLong(error, options.what);
      onFailure?.(reaction);
      await sleep(timers, waitMs, cluster.closing);
      if (cluster.closed) throw new MillraceError('ERR_CLOSED', `${options.what}: the client was closed.`);
      if (reaction === 'refresh') await cluster.refresh().catch(() => {});
    }
  }
}

/** The same for requests to a coordinator: it is looked up, and looked up again when it has moved or cannot be reached. */
export function withCoordinator<T>(
  cluster: KafkaCluster,
  kind: CoordinatorKind,
  key: string,
  options: RetryOptions & { readonly purpose?: Purpose },
  attempt: (connection: BrokerConnection) => Promise<T>,
): Promise<T> {
  const run = async (): Promise<T> => attempt(await cluster.connectionTo(await findUnsent(cluster, kind, key), options.purpose ?? 'coordinator'));
  return withRetries(cluster, options, run, (reaction) => {
    if (reaction !== 'again') cluster.forgetCoordinator(kind, key);
  });
}

/** A lookup that failed on its way is not the request itself: repeating it is always harmless. */
async function findUnsent(cluster: KafkaCluster, kind: CoordinatorKind, key: string): Promise<number> {
  try {
    return await cluster.coordinator(kind, key);
  } catch (error) {
    if (!MillraceError.is(error) || error.where.sent !== 1) throw error;
    throw new MillraceError(error.code, error.message, { ...error.where, sent: 0 }, error);
  }
}

function waitsForMarkers(error: unknown): boolean {
  const code = kafkaCodeOf(error);
  return code === CONCURRENT_TRANSACTIONS || code === UNSTABLE_OFFSET_COMMIT;
}

function tooLong(error: unknown, what: string): unknown {
  if (!MillraceError.is(error)) return error;
  return new MillraceError(error.code, `${what} did not succeed in time: ${explainError(error)}`, error.where, error);
}
