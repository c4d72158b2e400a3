// Threads over node:worker_threads: the one place that imports it.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
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
      failure = error;
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
