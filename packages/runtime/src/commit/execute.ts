// Step 9: a plan becomes fact at the broker. Exactly-once: offsets into the transaction, then its end. At-least-once: an offset commit.
// Never: repeats what may have happened. A generation that turned is the one refusal that is answered by asking again, as whoever we are then.
import type { LogAdmin, LogProducer } from '@millrace/client';
import { type Chance, type Clock, MillraceError, sleep, type Timers } from '@millrace/core';
import type { Outbox } from '../outbox.ts';
import type { WorkerTrace } from '../worker-ports.ts';
import type { Span } from './close.ts';
import { isUnanswered, passes, spanFailure } from './failures.ts';
import { type CommitPlan, type Ownership, planCommit } from './plan.ts';

export interface CommitPorts {
  readonly producer: LogProducer;
  readonly admin: LogAdmin;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly trace: WorkerTrace | undefined;
  readonly taskTimeoutMs: number;
  ownership(): Ownership;
  /** Resolves with the first assignment acknowledged after `seen`; rejects when the worker loses its membership or stops. */
  nextOwnership(seen: Ownership): Promise<Ownership>;
  /** An offset commit under this generation got no answer: it may be carried out after those that follow. */
  offsetsUnanswered(generation: number): void;
}

const RETRY_MS = 100;

export async function executeTransaction(span: Span, plan: CommitPlan & { kind: 'commit' }, ports: CommitPorts): Promise<void> {
  const { producer, trace } = ports;
  ports.outbox.begin(span.output);
  let current = plan;
  let seen = ports.ownership();
  for (;;) {
    try {
      trace?.onPoint?.('before-offsets');
      if (current.offsets.length > 0) await producer.sendOffsets(current.group, current.offsets);
      trace?.onPoint?.('after-offsets');
      break;
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== 'ERR_GENERATION') throw error;
      trace?.onPoint?.('offsets-refused');
      const memberId = current.group.memberId;
      seen = await ports.nextOwnership(seen);
      const next = planCommit(span, seen);
      if (next.kind !== 'commit' || seen.group.memberId !== memberId) throw error;
      current = next;
    }
  }
  trace?.onPoint?.('before-end');
  await producer.end(true);
  trace?.onPoint?.('after-end');
}

/** An offset commit without an answer, or with a retriable one, is sent again until `taskTimeoutMs`. */
export async function executeOffsetCommit(span: Span, plan: CommitPlan & { kind: 'commit' }, ports: CommitPorts): Promise<void> {
  const deadlineMs = ports.clock.monotonicMs() + ports.taskTimeoutMs;
  let current = plan;
  let seen = ports.ownership();
  for (;;) {
    try {
      ports.trace?.onPoint?.('before-offsets');
      if (current.offsets.length > 0) await ports.admin.commitOffsets(current.group, current.offsets);
      ports.trace?.onPoint?.('after-offsets');
      return;
    } catch (error) {
      if (MillraceError.is(error) && error.code === 'ERR_GENERATION') {
        seen = await ports.nextOwnership(seen);
        const next = planCommit(span, seen);
        if (next.kind !== 'commit') throw error;
        current = next;
      } else {
        if (isUnanswered(error)) ports.offsetsUnanswered(current.group.generation);
        if (spanFailure(error, 'at-least-once') !== 'again' || ports.clock.monotonicMs() >= deadlineMs) throw error;
        await sleep(ports.timers, RETRY_MS);
      }
    }
  }
}

/** Aborts the open transaction, or initialises where that cannot work; retries until the broker has answered. */
export async function abandonTransaction(
  how: 'abort' | 'initialise',
  ports: Pick<CommitPorts, 'producer' | 'timers' | 'clock' | 'taskTimeoutMs'>,
  chance?: Chance,
): Promise<void> {
  if (how === 'abort') {
    try {
      await ports.producer.end(false);
      return;
    } catch {
      // whatever it was, initialising ends it
    }
  }
  const deadlineMs = ports.clock.monotonicMs() + ports.taskTimeoutMs;
  for (;;) {
    try {
      await ports.producer.initialise();
      return;
    } catch (error) {
      if (!(passes(error) || (MillraceError.is(error) && error.code === 'ERR_TRANSACTION_INDEFINITE')) || ports.clock.monotonicMs() >= deadlineMs) throw error;
      await sleep(ports.timers, RETRY_MS * (1 + (chance?.float() ?? 0)));
    }
  }
}
