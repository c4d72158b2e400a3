// The LMDB engine: the portable one. One environment per task's database, one named database per store.
// Owns: per thread, the environments it has open, counted, since a thread may both own and attach.
// The map grows by itself: LMDB maps the file, never more than is there.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '@millrace/core';
import type { ByteStoreEngine, Database, DatabaseTicket, OpenDatabase, OpenOptions } from '@millrace/state';
import { open as openEnvironment } from 'lmdb';
import { checkDataFile } from './data-file.ts';
import { type BinaryRoot, type BinaryTable, EMPTY_KEYS, LmdbDatabase, lmdbFailure, type OpenTables } from './lmdb-database.ts';
import { WriteGate } from './write-gate.ts';

/** Room for stores that an older version of the program had. */
const SPARE_TABLES = 32;
const TABLE_OPTIONS = { keyEncoding: 'binary', encoding: 'binary', cache: false } as const;

interface HeldTables extends OpenTables {
  holders: number;
}

/** Environments open in this thread, by directory. */
const HELD = new Map<string, HeldTables>();

/** Gates of the databases that this thread opened. */
const OWNED = new Set<WriteGate>();
const EXIT_WAIT_MS = 5_000;
let watchingExit = false;

/** The process is ending its threads: none may be in the middle of a write (see write-gate.ts). */
function holdForExit(): void {
  for (const gate of OWNED) {
    try {
      gate.enter(EXIT_WAIT_MS);
    } catch {
      // Its disk hangs: the process ends as well as it can.
    }
  }
}

function hold(directory: string, stores: readonly string[], gate: WriteGate): HeldTables {
  const known = HELD.get(directory);
  if (known !== undefined && stores.every((name) => known.stores.has(name))) {
    known.holders++;
    return known;
  }
  if (known !== undefined)
    throw new MillraceError('ERR_STATE_LOCKED', `the database in ${directory} is open in this thread with other stores; close it first`, { directory });
  try {
    const root: BinaryRoot = openEnvironment({ path: join(directory, 'lmdb'), noSubdir: false, maxDbs: stores.length + SPARE_TABLES, ...TABLE_OPTIONS });
    const table = (name: string): BinaryTable => root.openDB<Uint8Array, Uint8Array>(name, TABLE_OPTIONS);
    const held: HeldTables = { root, stores: new Map(stores.map((name) => [name, table(name)])), emptyKeys: table(EMPTY_KEYS), gate, directory, holders: 1 };
    HELD.set(directory, held);
    return held;
  } catch (error) {
    throw lmdbFailure(error, 'opening', directory);
  }
}

async function release(held: HeldTables): Promise<void> {
  if (--held.holders > 0) return;
  HELD.delete(held.directory);
  await held.root.close();
}

class AttachedLmdb extends LmdbDatabase {
  readonly #held: HeldTables;
  constructor(held: HeldTables) {
    super(held);
    this.#held = held;
  }
  override detach(): void {
    if (this.detached) return;
    super.detach();
    void release(this.#held);
  }
}

class OwnedLmdb extends LmdbDatabase implements OpenDatabase {
  readonly ticket: DatabaseTicket;
  readonly #held: HeldTables;
  #closing: Promise<void> | undefined;
  constructor(held: HeldTables, ticket: DatabaseTicket) {
    super(held);
    this.#held = held;
    this.ticket = ticket;
  }
  override detach(): void {} // the owner leaves by `close`
  async holdWrites(): Promise<() => void> {
    const { gate } = this.#held;
    await gate.enterLater();
    return () => gate.leave();
  }
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }
  async #close(): Promise<void> {
    super.detach();
    OWNED.delete(this.#held.gate);
    await release(this.#held);
  }
}

async function open(options: OpenOptions): Promise<OpenDatabase> {
  const { directory } = options;
  const stores = [...new Set(options.stores)];
  if (stores.includes(EMPTY_KEYS))
    throw new MillraceError('ERR_NAME', `a store cannot be called ${EMPTY_KEYS} on LMDB, which keeps that name for itself`, { store: EMPTY_KEYS });
  try {
    mkdirSync(join(directory, 'lmdb'), { recursive: true });
  } catch (error) {
    throw lmdbFailure(error, 'opening', directory);
  }
  if (!HELD.has(directory)) checkDataFile(join(directory, 'lmdb', 'data.mdb'), directory);
  const held = hold(directory, stores, new WriteGate(directory));
  OWNED.add(held.gate);
  if (!watchingExit) process.once('exit', holdForExit);
  watchingExit = true;
  return new OwnedLmdb(held, { engine: 'lmdb', directory, stores, handle: held.gate.shared });
}

function attach(ticket: DatabaseTicket): Database {
  if (!existsSync(join(ticket.directory, 'lmdb')))
    throw new MillraceError('ERR_ENGINE_UNAVAILABLE', `no LMDB database lies in ${ticket.directory}; the main thread opens it first and sends its ticket`, {
      directory: ticket.directory,
    });
  return new AttachedLmdb(hold(ticket.directory, ticket.stores, new WriteGate(ticket.directory, ticket.handle as SharedArrayBuffer)));
}

/** LMDB behind the byte-store contract: Linux, macOS and Windows, x64 and arm64. Keys of up to 1978 bytes. */
export const lmdbEngine: ByteStoreEngine = { name: 'lmdb', durable: true, shareable: true, open, attach };
