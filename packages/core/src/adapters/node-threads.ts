// Threads over node:worker_threads: the one place that imports it.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type ErrorCode, type ErrorPlace, FAILURES, MillraceError } from '../errors.ts';
import type { ThreadSide, Threads } from '../threads.ts';

export const nodeThreads: Threads = {
  spawn(module, data, events, options = {}) {
    const { youngGenerationMb } = options;
    const worker = new Worker(new URL(module), {
      workerData: { millrace: data },
      ...(youngGenerationMb === undefined ? {} : { resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb } }),
    });
    let failure: Error | undefined;
    worker.on('message', (message: unknown) => events.onMessage(message));
    worker.on('error', (error: Error) => {
      failure = asThrown(error);
    });
    worker.on('messageerror', (error: Error) => {
      failure = error;
    });
    worker.on('exit', (code: number) => {
      if (failure === undefined && code !== 0 && code !== 1) failure = new Error(`the thread exited with code ${code}`);
      events.onExit(failure);
    });
    return {
      post: (message) => worker.postMessage(message),
      async terminate() {
        await worker.terminate();
      },
    };
  },
};

/** What a thread died of arrives as a copy, a plain Error with the fields of the original: ours are made whole again. */
function asThrown(copy: Error): Error {
  const { code, where } = copy as { readonly code?: unknown; readonly where?: ErrorPlace };
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new MillraceError(
      'ERR_TASK_FAILED',
      'the thread was out of memory. Look for what callbacks keep beyond their record; or give each thread more: NODE_OPTIONS=--max-old-space-size=4096 (MiB).',
      {},
      copy,
    );
  if (typeof code !== 'string' || !Object.hasOwn(FAILURES, code)) return copy;
  const error = new MillraceError(code as ErrorCode, copy.message, (where ?? {}) as ErrorPlace, copy.cause);
  if (copy.stack !== undefined) error.stack = copy.stack;
  return error;
}

/** True in a thread that `nodeThreads` started. */
export function isSpawnedThread(): boolean {
  return !isMainThread && typeof workerData === 'object' && workerData !== null && 'millrace' in workerData;
}

/** The end of the pipe in a thread that `nodeThreads` started. Throws ERR_OPTION anywhere else. */
export function threadSide(): ThreadSide {
  const port = parentPort;
  if (!isSpawnedThread() || port === null) throw new MillraceError('ERR_OPTION', 'this module runs only in a thread that Millrace starts itself');
  return {
    data: (workerData as { readonly millrace: unknown }).millrace,
    post: (message) => port.postMessage(message),
    onMessage: (receive) => void port.on('message', receive),
    close: () => port.close(),
  };
}
