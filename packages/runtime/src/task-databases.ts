// The databases of an instance's tasks: opened and closed here, on the main thread; workers attach by ticket (design, Membership 6).
// Invariant: a database is closed only after the worker that attached to it has released the task or is gone.
import { MillraceError } from '@millrace/core';
import { type ByteStoreEngine, type DatabaseTicket, META_STORE, type OpenDatabase } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import type { StateDirectory } from './state-directory.ts';

/** A full disk, a lock, a wrong name, an engine that does not load: rebuilding would not help. */
export const NOT_ITS_FAULT: ReadonlySet<string> = new Set(['ERR_STORE_IO', 'ERR_STATE_LOCKED', 'ERR_NAME', 'ERR_ENGINE_UNAVAILABLE']);

export interface TaskDatabases {
  /** Opens the database of a task; undefined for a task without stores, or where the worker owns its memory. */
  open(taskId: string): Promise<DatabaseTicket | undefined>;
  /** The open database of a task, for reads on this thread. */
  get(taskId: string): OpenDatabase | undefined;
  /** Ends a thread by force while no write to the databases of its tasks is under way. */
  endThread(taskIds: readonly string[], terminate: () => Promise<void>): Promise<void>;
  close(taskId: string): Promise<void>;
  /** Puts aside what turned out damaged while it was in use; closes it first. The next opening finds nothing, and the changelogs fill it. */
  quarantine(taskId: string, reason: unknown): Promise<void>;
  closeAll(): Promise<void>;
}

export interface TaskDatabasesOptions {
  readonly topology: Topology;
  readonly engine: ByteStoreEngine;
  readonly directory: StateDirectory;
  /** Budget of one database, bytes. */
  readonly cacheBytes: number;
  readonly nowMs: () => number;
  readonly quarantined: (taskId: string, path: string, reason: unknown) => void;
}

export function createTaskDatabases(options: TaskDatabasesOptions): TaskDatabases {
  const open = new Map<string, OpenDatabase>();
  const openOne = async (taskId: string): Promise<OpenDatabase | undefined> => {
    const stores = storesOf(options.topology, taskId);
    if (stores.length === 0 || !options.engine.shareable) return undefined;
    const directory = options.directory.taskPath(taskId);
    const request = { directory, stores: [META_STORE, ...stores], cacheBytes: options.cacheBytes };
    try {
      return await options.engine.open(request);
    } catch (error) {
      // A database that does not open is kept for inspection and rebuilt from the changelog; what is not its fault is passed on.
      if (MillraceError.is(error) && NOT_ITS_FAULT.has(error.code)) throw error;
      options.quarantined(taskId, options.directory.quarantine(taskId, options.nowMs()), error);
      return await options.engine.open(request);
    }
  };
  return {
    async open(taskId) {
      const known = open.get(taskId);
      if (known !== undefined) return known.ticket;
      const database = await openOne(taskId);
      if (database !== undefined) open.set(taskId, database);
      return database?.ticket;
    },
    get: (taskId) => open.get(taskId),
    async endThread(taskIds, terminate) {
      const releases: (() => void)[] = [];
      try {
        for (const taskId of taskIds) {
          const release = await open.get(taskId)?.holdWrites();
          if (release !== undefined) releases.push(release);
        }
        await terminate();
      } finally {
        for (const release of releases) release();
      }
    },
    async close(taskId) {
      const database = open.get(taskId);
      open.delete(taskId);
      await database?.close();
    },
    async quarantine(taskId, reason) {
      await this.close(taskId);
      options.quarantined(taskId, options.directory.quarantine(taskId, options.nowMs()), reason);
    },
    async closeAll() {
      for (const taskId of [...open.keys()]) await this.close(taskId);
    },
  };
}

/** The stores of a task's sub-topology. */
export function storesOf(topology: Topology, taskId: string): readonly string[] {
  const id = Number(taskId.slice(0, taskId.indexOf('_')));
  return topology.subtopologies.find((sub) => sub.id === id)?.stores ?? [];
}
