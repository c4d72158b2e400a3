// The data path of one worker, in ten numbered steps. This file is its table of contents; docs/data-path.md tells the same with shapes
// and failures. The order holds for one span (all that is done between two closes); the commit of one span runs beside the filling of
// the next. The only steady-state file that awaits.
// W1 a store changes on disk only in step 10 (or in restore).  W2 between two awaits no task, query or callback sees half a step.
// W3 queries read settled state only.
import { explainError, MillraceError, sleep } from '@millrace/core';
import type { Span } from './commit/close.ts';
import { executeOffsetCommit, executeTransaction } from './commit/execute.ts';
import { passes } from './commit/failures.ts';
import { planCommit } from './commit/plan.ts';
import { LoopState } from './loop-state.ts';
import { beginStop, rebalance } from './rebalance.ts';
import type { WorkerAssignment, WorkerOptions, WorkerPorts, WorkerSeat } from './worker-ports.ts';

const RETRY_MS = 200;

export async function runOnce(worker: LoopState): Promise<void> {
  worker.intake.hold(await poll(worker)); //                             1 fetch: records; wakes for a due close, an answer, an assignment
  worker.beginTurn();
  await rebalance(worker); //                                            2 diff; commit and close, create, restore; rebuild what was dropped
  for (const event of worker.intake.held()) worker.intake.take(event); // 3 queue raw bytes; pause what is full
  worker.runTasks(); //                                                  4 decode, stream time, graph, stores, outbox; within this turn's budget
  worker.runTimers(); //                                                 5 timers
  worker.intake.resumeDrained();
  worker.settleWhenDue(); //                                          a settle that is due by time, or was refused by the disk
  worker.purge.run(worker.turnMs);
  worker.tell();
  if (!worker.closeIsDue) return worker.outbox.sendFull(); //         never due while a span is closing
  const span = worker.closeSpan(); //                                    6 drain emit buffers; freeze offsets, staging, outputs
  if (span !== undefined) worker.startCommit(() => commitSpan(worker, span)); // beside the next turns; its failure is handled in step 2
}

async function commitSpan(worker: LoopState, span: Span): Promise<void> {
  const trace = worker.ports.trace;
  trace?.onStep?.(6, span.id, { records: span.records, offsets: span.tasks.flatMap(({ offsets }) => offsets) });
  await worker.outbox.sendAll(span.output); //                           7 produce; acks bring changelog offsets
  trace?.onStep?.(7, span.id);
  const plan = planCommit(span, worker.ownership); //                    8 pure, from what was frozen: offsets, group, transaction
  trace?.onStep?.(8, span.id, plan);
  if (plan.kind === 'abort') throw new MillraceError('ERR_GENERATION', `tasks ${plan.notOurs.join(', ')} have gone to another member before their last commit`);
  if (plan.kind === 'commit') {
    const execute = worker.transactional ? executeTransaction : executeOffsetCommit;
    await execute(span, plan, worker.commitPorts()); //                  9 commit offsets, or end the transaction
  }
  trace?.onStep?.(9, span.id);
  worker.spanCommitted(span);
  worker.settleWhenDue(); //                                            10 committed writes + changelog offset, one batch per task
}

async function poll(worker: LoopState) {
  const { consumer, timers, trace } = worker.ports;
  const { busy } = worker;
  if (busy) await timers.yield(); // sockets and messages get their turn also while there is work
  const events = await consumer.poll(busy ? 0 : worker.waitMs).catch(async (error: unknown) => {
    if (!passes(error) || worker.stopping !== undefined) throw error;
    await sleep(timers, RETRY_MS); // the first contact of a consumer; the membership ends if it stays away
    return [];
  });
  if (events.length > 0) trace?.onStep?.(1, 0, events.length);
  trace?.onPoint?.('polled');
  return events;
}

/** InitProducerId ends whatever the last holder of the transactional id left open; brokers may still be coming up. */
async function initialise(worker: LoopState): Promise<void> {
  const { producer, clock, timers } = worker.ports;
  const deadlineMs = clock.monotonicMs() + worker.options.timing.taskTimeoutMs;
  for (;;) {
    try {
      await producer.initialise();
      return;
    } catch (error) {
      if (!passes(error) || worker.stopping !== undefined || clock.monotonicMs() >= deadlineMs) throw error;
      await sleep(timers, RETRY_MS);
    }
  }
}

async function run(worker: LoopState): Promise<void> {
  try {
    await initialise(worker);
    while (!worker.ended) await runOnce(worker);
  } finally {
    await worker.shutDown();
  }
}

/** A worker over its ports; nothing happens before `run`. */
export function createWorker(options: WorkerOptions, ports: WorkerPorts): WorkerSeat {
  const worker = new LoopState(options, ports);
  const wake = (): void => ports.consumer.wake();
  const ask = <T>(queue: { push(waiting: { what: T; resolve(): void; reject(error: unknown): void }): unknown }, what: T): Promise<void> =>
    new Promise((resolve, reject) => {
      if (worker.ended) reject(new MillraceError('ERR_CLOSED', `worker ${options.workerId} has ended`));
      else queue.push({ what, resolve, reject });
      wake();
    });
  return {
    async run() {
      try {
        await run(worker);
        worker.endRequests(undefined);
      } catch (error) {
        const reason = MillraceError.is(error)
          ? error
          : new MillraceError('ERR_TASK_FAILED', `worker ${options.workerId} ended: ${explainError(error)}`, {}, error);
        worker.endRequests(reason);
        throw reason;
      }
    },
    assign(assignment: WorkerAssignment) {
      const taken = ask(worker.assignments, assignment);
      // Acknowledged as it comes, between two turns: a commit that waits for the new generation must not wait for the diff.
      if (!worker.ended) worker.acknowledge(assignment);
      return taken;
    },
    lost() {
      const error = new MillraceError('ERR_MEMBERSHIP_LOST', 'the group no longer counts on this member');
      worker.disown(error);
      for (const waiting of worker.assignments.splice(0)) waiting.reject(error);
      return ask<undefined>(worker.losses, undefined);
    },
    stop(deadlineMs) {
      return new Promise((resolve) => {
        if (worker.ended) return resolve();
        const before = worker.stopping;
        worker.stopping = {
          what: undefined,
          deadlineMs: ports.clock.monotonicMs() + deadlineMs,
          resolve: () => {
            before?.resolve();
            resolve();
          },
          reject: () => {
            before?.resolve();
            resolve();
          },
        };
        beginStop(worker);
        wake();
      });
    },
    async settleNow() {
      await worker.commitEnded(); // the broker may have committed a span of which we have not heard yet
      worker.settle(worker.tasks.values());
    },
    wake,
    databaseOf: (taskId) => {
      const task = worker.tasks.get(taskId);
      return task !== undefined && task.state === 'running' ? task.stores.database : undefined;
    },
  };
}
