// Removes what lies on disk of tasks that have gone elsewhere, once they have been away for a while: a task that comes back soon finds its state.
// Owns: since when each folder has been nobody's.  Never: touches the state of a task that is ours, claimed, or open; looks beyond its instance's folder.
import type { Clock, Logger } from '@millrace/core';
import type { StateDirectory } from './state-directory.ts';

export interface StateCleanerOptions {
  readonly directory: Pick<StateDirectory, 'storedTasks' | 'removeTask'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly delayMs: number;
}

export class StateCleaner {
  readonly #options: StateCleanerOptions;
  /** Monotonic ms. */
  readonly #unownedSinceMs = new Map<string, number>();

  constructor(options: StateCleanerOptions) {
    this.#options = options;
  }

  /** To be called between two hand-overs. `isOurs`: assigned, claimed, or with an open database. */
  look(isOurs: (taskId: string) => boolean): void {
    const { directory, clock, log, delayMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const stored = directory.storedTasks();
    for (const task of [...this.#unownedSinceMs.keys()]) if (!stored.includes(task) || isOurs(task)) this.#unownedSinceMs.delete(task);
    for (const task of stored) {
      if (isOurs(task)) continue;
      const sinceMs = this.#unownedSinceMs.get(task) ?? nowMs;
      this.#unownedSinceMs.set(task, sinceMs);
      if (nowMs - sinceMs < delayMs) continue;
      this.#unownedSinceMs.delete(task);
      try {
        directory.removeTask(task);
        log.info({ task }, `the local state of task ${task}, which has been elsewhere for ${delayMs} ms, is removed`);
      } catch (error) {
        log.warn({ task, error: String(error) }, `the local state of task ${task}, which is elsewhere, could not be removed`);
      }
    }
  }
}
