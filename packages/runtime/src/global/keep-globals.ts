// Opens, reads to its end and keeps a set of global stores over a database: the same on the main thread and in a worker.
import type { LogAdmin, LogConsumer } from '@millrace/client';
import type { Logger, Ports } from '@millrace/core';
import type { Database, OpenDatabase } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import type { ErrorPolicies } from '../options.ts';
import { GlobalKeeper } from './global-keeper.ts';
import { GlobalRows } from './global-rows.ts';
import type { GlobalView } from './global-view.ts';

export interface WorkerGlobals {
  readonly database: Database;
  readonly view: (name: string) => GlobalView | undefined;
  close(): Promise<void>;
}

export interface KeptGlobals extends WorkerGlobals {
  readonly database: OpenDatabase;
  /** Resolves when everything that was in the topics at the call is in the stores. */
  caughtUp(): Promise<void>;
}

export interface KeepGlobalsOptions {
  readonly topology: Topology;
  readonly applicationId: string;
  /** Closed with the rest, and when the start fails. */
  readonly database: OpenDatabase;
  readonly createConsumer: () => LogConsumer;
  readonly admin: LogAdmin;
  readonly errors: ErrorPolicies;
  readonly ports: Pick<Ports, 'clock' | 'timers'>;
  readonly log: Logger;
  readonly dropped: (node: string, reason: string) => void;
  readonly failed: (error: Error) => void;
  readonly abandoned?: () => boolean;
}

/** Resolves when the stores hold all that was in their topics. */
export async function keepGlobals(options: KeepGlobalsOptions): Promise<KeptGlobals> {
  const { topology, database, admin, ports, errors, log } = options;
  const { clock, timers } = ports;
  const close = async (): Promise<void> => {
    await keeper.close();
    await admin.close().catch(() => undefined);
    await database.close();
  };
  const wallClockMs = (): number => clock.nowMs();
  const rows = new GlobalRows({ applicationId: options.applicationId, topology, database, errors, log, wallClockMs, dropped: options.dropped });
  const keeper = new GlobalKeeper({
    topology,
    database,
    rows,
    createConsumer: options.createConsumer,
    admin,
    clock,
    timers,
    log,
    failed: options.failed,
    abandoned: options.abandoned ?? (() => false),
  });
  try {
    await keeper.start();
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  return { database, view: (name) => rows.view(name), caughtUp: () => keeper.caughtUp(), close };
}
