// A worker as the instance sees it, wherever it runs: in a thread of its own, or (workers: 0) on the calling thread.
// Owns: the numbered requests and what becomes of them when the worker dies.  Never: knows what a task does.
import { type ErrorWire, errorFromWire, MillraceError, type Thread, type Threads } from '@millrace/core';
import type { FromWorker, ReadRequest, ReadRow, SeatPlan, ToWorker, WorkerBlueprint, WorkerNews, WorkerRequest } from './worker-messages.ts';

export interface WorkerHostEvents {
  news(news: WorkerNews): void;
  /** A worker that was ready is gone without having been asked to; exactly once, and not after `terminate`. */
  died(error: Error): void;
}

export interface WorkerHost {
  /** Resolves when the worker has taken the plan up: tasks that left are committed, closed and released. */
  assign(plan: SeatPlan): Promise<void>;
  /** Membership is gone: abort and drop everything. */
  lost(): Promise<void>;
  /** Everything committed so far is on disk. */
  settle(): Promise<void>;
  read(read: ReadRequest): Promise<readonly ReadRow[]>;
  /** Finishes, commits, settles, closes. */
  stop(deadlineMs: number): Promise<void>;
  /** Resolves when the worker has had a turn. */
  ping(): Promise<void>;
  /** Ends it wherever it is. */
  terminate(): Promise<void>;
}

/** One end of a pipe to a worker: what a thread and the calling thread have in common. */
export interface WorkerPipe {
  post(message: ToWorker): void;
  terminate(): Promise<void>;
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Turns a pipe into a host. `receive` takes the worker's messages, `ended` its end. */
export function createWorkerHost(events: WorkerHostEvents): {
  readonly host: WorkerHost;
  readonly ready: Promise<void>;
  connect(pipe: WorkerPipe): void;
  receive(message: FromWorker): void;
  ended(error: Error | undefined): void;
} {
  const waiting = new Map<number, Waiting>();
  let nextNumber = 1;
  let pipe: WorkerPipe | undefined;
  let over: Error | undefined;
  let started = false;
  let terminated = false;
  let markReady: () => void = () => {};
  let markRefused: (error: Error) => void = () => {};
  const ready = new Promise<void>((resolve, reject) => {
    markReady = resolve;
    markRefused = reject;
  });
  ready.catch(() => undefined); // whoever starts the worker awaits it, and learns of a death before that from it alone
  const ask = (request: WorkerRequest): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (over !== undefined || pipe === undefined) {
        reject(over ?? new MillraceError('ERR_CLOSED', 'the worker has not been started'));
        return;
      }
      const number = nextNumber++;
      waiting.set(number, { resolve, reject });
      pipe.post({ number, request });
    });
  const ended = (error: Error | undefined): void => {
    if (over !== undefined) return;
    over = error ?? new MillraceError('ERR_CLOSED', 'the worker has ended');
    for (const one of waiting.values()) one.reject(over);
    waiting.clear();
    markRefused(over);
    if (started && !terminated) events.died(over);
  };
  return {
    ready,
    connect(connected) {
      pipe = connected;
    },
    receive(message) {
      switch (message.kind) {
        case 'ready':
          started = true;
          markReady();
          return;
        case 'refused':
          markRefused(errorFromWire(message.error));
          return;
        case 'answer':
          settleOne(waiting, message.number, (one) => one.resolve(message.result));
          return;
        case 'fault':
          settleOne(waiting, message.number, (one) => one.reject(errorFromWire(message.error as ErrorWire)));
          return;
        case 'news':
          events.news(message.news);
      }
    },
    ended,
    host: {
      assign: async (plan) => void (await ask({ kind: 'assign', plan })),
      lost: async () => void (await ask({ kind: 'lost' })),
      ping: async () => void (await ask({ kind: 'ping' })),
      settle: async () => void (await ask({ kind: 'settle' })),
      read: async (read) => (await ask({ kind: 'read', read })) as readonly ReadRow[],
      async stop(deadlineMs) {
        terminated = true;
        await ask({ kind: 'stop', deadlineMs });
      },
      async terminate() {
        terminated = true;
        await pipe?.terminate();
        ended(undefined);
      },
    },
  };
}

function settleOne(waiting: Map<number, Waiting>, number: number, act: (one: Waiting) => void): void {
  const one = waiting.get(number);
  waiting.delete(number);
  if (one !== undefined) act(one);
}

/** A worker's objects live for one record: with this much room parse-and-stringify work spends a tenth less on collection (measured). */
const YOUNG_GENERATION_MB = 64;

/** Starts a worker in a thread of its own. Rejects with the reason if the worker cannot start (wrong module, other topology) or was `abandoned` meanwhile. */
export async function startThreadWorker(blueprint: WorkerBlueprint, threads: Threads, events: WorkerHostEvents, abandoned: AbortSignal): Promise<WorkerHost> {
  const seat = createWorkerHost(events);
  const thread: Thread = threads.spawn(
    new URL('./worker-thread.js', import.meta.url).href,
    blueprint,
    {
      onMessage: (message) => seat.receive(message as FromWorker),
      onExit: (error) => seat.ended(error),
    },
    { youngGenerationMb: YOUNG_GENERATION_MB },
  );
  seat.connect({ post: (message) => thread.post(message), terminate: () => thread.terminate() });
  const giveUp = (): void => void seat.host.terminate();
  abandoned.addEventListener('abort', giveUp);
  if (abandoned.aborted) giveUp();
  try {
    await seat.ready;
  } catch (error) {
    await seat.host.terminate();
    throw error;
  } finally {
    abandoned.removeEventListener('abort', giveUp);
  }
  return seat.host;
}
