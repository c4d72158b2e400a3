// The global stores of an instance whose engine can be shared: a database in the folder `global`, kept by the main thread, read by all workers.
// User code runs here only for t.globalStore(): a processor that takes long holds up the main thread, so it is to be a quick one.
import { type ConnectionOptions, createAdmin, createConsumer } from '@millrace/client';
import { explainError, type Logger, MillraceError, type Ports } from '@millrace/core';
import type { ByteStoreEngine, OpenDatabase } from '@millrace/state';
import type { Topology } from '@millrace/topology';
import type { AppSettings } from '../options.ts';
import type { StateDirectory } from '../state-directory.ts';
import { NOT_ITS_FAULT } from '../task-databases.ts';
import { GLOBAL_TASK, GlobalRows } from './global-rows.ts';
import { type KeptGlobals, keepGlobals } from './keep-globals.ts';

export interface OpenGlobalsOptions {
  readonly topology: Topology;
  readonly settings: AppSettings;
  readonly engine: ByteStoreEngine;
  readonly directory: StateDirectory;
  readonly connection: ConnectionOptions;
  readonly ports: Ports;
  readonly log: Logger;
  readonly dropped: (reason: string) => void;
  readonly failed: (error: Error) => void;
  readonly abandoned: () => boolean;
}

const CACHE_BYTES = 16 * 1024 * 1024;

/** Resolves when they hold all that was in their topics; undefined where there are none, or where every worker keeps its own. */
export async function openGlobals(options: OpenGlobalsOptions): Promise<KeptGlobals | undefined> {
  const { topology, settings, engine, ports, log } = options;
  if (topology.globals.length === 0 || !engine.shareable) return undefined;
  const connection = { ...options.connection, clientId: `${options.connection.clientId}-global` };
  const { bufferedBytesMax } = settings.timing;
  return await keepGlobals({
    topology,
    applicationId: settings.applicationId,
    database: await openDatabase(options),
    createConsumer: () => createConsumer(connection, { isolation: 'read_committed', bufferedBytesMax }, ports),
    admin: createAdmin(connection, {}, ports),
    errors: settings.errors,
    ports,
    log,
    dropped: (_node, reason) => options.dropped(reason),
    failed: options.failed,
    abandoned: options.abandoned,
  });
}

/** A database that does not open is kept for inspection, and its topics are read again. */
async function openDatabase({ topology, engine, directory, ports, log }: OpenGlobalsOptions): Promise<OpenDatabase> {
  const { disk, clock } = ports;
  const path = disk.join(directory.path, GLOBAL_TASK);
  const request = { directory: path, stores: GlobalRows.storesOf(topology), cacheBytes: CACHE_BYTES };
  try {
    return await engine.open(request);
  } catch (error) {
    if (MillraceError.is(error) && NOT_ITS_FAULT.has(error.code)) throw error;
    const folder = disk.join(directory.path, 'quarantine');
    disk.makeDirectory(folder);
    const kept = disk.join(folder, `${GLOBAL_TASK}-${clock.nowMs()}`);
    disk.rename(path, kept);
    log.warn({ path: kept }, `the global stores could not be opened (${explainError(error)}); they are kept there and read from their topics again`);
    return await engine.open(request);
  }
}
