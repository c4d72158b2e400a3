// What a script calls: start the app, stay up, stop in order on SIGTERM and SIGINT.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { explainError, isSpawnedThread } from '@millrace/core';
import type { Topology } from '@millrace/dsl';
import { type App, type AppOptions, createApp, refuseInWorker } from './app.ts';
import { explainWhenUncaught } from './uncaught.ts';

/** This module was started by hand: not imported, not loaded by a worker thread. */
export function isMain(meta: ImportMeta): boolean {
  const started = process.argv[1];
  if (isSpawnedThread() || started === undefined) return false;
  try {
    return realpathSync(fileURLToPath(meta.url)) === realpathSync(started);
  } catch {
    return false; // a loader's own url, or a file that is gone: not started by hand
  }
}

/**
 * createApp + start + wait for 'running'. SIGTERM and SIGINT finish the step in hand, commit, close, and end the process with
 * code 0; a second signal ends it at once. A failure while running ends it with code 1 and one paragraph on standard error;
 * so does a start that fails and is not caught.
 *
 * @example
 * ```ts
 * if (isMain(import.meta)) await run(orderTotals, { module: import.meta.url });
 * ```
 */
export async function run(topology: Topology, options: AppOptions = {}): Promise<App> {
  refuseInWorker('run()');
  try {
    return await startAndStay(createApp(topology, options));
  } catch (error) {
    explainWhenUncaught(error);
    throw error;
  }
}

async function startAndStay(app: App): Promise<App> {
  let stops = 0;
  const stop = (): void => {
    if (++stops > 1) process.exit(1);
    void app.close();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const release = (): void => void process.off('SIGTERM', stop).off('SIGINT', stop);
  try {
    await app.start();
    await app.waitFor('running');
  } catch (error) {
    await app.close();
    release();
    if (stops > 0) return app; // asked to stop before it ran: that is no failure
    throw error;
  }
  app
    .finished()
    .catch((error: unknown) => {
      process.stderr.write(`${explainError(error)}\n`);
      process.exitCode = 1;
    })
    .finally(release);
  return app;
}
