// The RocksDB engine: opens a task's database with a column family per store, and attaches to it in other threads.
// Owns: the native databases opened by this thread, until `close`.  Never: shares block caches (the binding cannot).
// R1 only the owner closes, and what is attached in the owner's thread is cut off first.
import { existsSync, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { explainError, MillraceError } from '@millrace/core';
import type { ByteStoreEngine, Database, DatabaseTicket, OpenDatabase, OpenOptions, WriteBatch } from '@millrace/state';
import { type Column, loadRocksLevel, type RocksColumnOptions, type RocksLevel } from './rocks-level.ts';
import { ioError, RocksDatabase } from './rocksdb-database.ts';
import { readStoreNames, writeStoreNames } from './store-names.ts';

const DEFAULT_COLUMN = 'default';
const MEMTABLE_BYTES_MIN = 1024 * 1024;
const CACHE_BYTES_MIN = 512 * 1024;
const CACHE_BYTES_MAX = 1024 * 1024 * 1024;
/** Our own stores and the unused default family hold next to nothing. */
const SMALL: RocksColumnOptions = { cacheSize: CACHE_BYTES_MIN, memtableMemoryBudget: MEMTABLE_BYTES_MIN, compaction: 'level', compression: false };
const PARALLELISM_MAX = 4;

/** Databases that this thread has opened, by handle. Also keeps them from the garbage collector, which would close them under the workers. */
const OWNED = new Map<bigint, OwnedDatabase>();

class OwnedDatabase implements OpenDatabase {
  readonly ticket: DatabaseTicket;
  readonly #level: RocksLevel;
  readonly #own: RocksDatabase;
  readonly #attached = new Set<RocksDatabase>();
  #closing: Promise<void> | undefined;

  constructor(level: RocksLevel, stores: readonly string[], directory: string) {
    this.#level = level;
    this.#own = new RocksDatabase(level, pick(level.columns, stores), directory);
    this.ticket = { engine: 'rocksdb', directory, stores, handle: level.handle };
    OWNED.set(level.handle, this);
  }

  store(name: string) {
    return this.#own.store(name);
  }

  write(batch: WriteBatch): void {
    this.#own.write(batch);
  }

  /** The owner leaves by `close`. */
  detach(): void {}

  /** Attached in the owner's own thread. */
  attachHere(): Database {
    const database = new RocksDatabase(this.#level, pick(this.#level.columns, this.ticket.stores), this.ticket.directory);
    this.#attached.add(database);
    return database;
  }

  /** A write is one native call here: a thread ends before or after it. */
  holdWrites(): Promise<() => void> {
    return Promise.resolve(() => {});
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const database of this.#attached) database.detach();
    this.#own.detach();
    try {
      await this.#level.close();
    } catch (error) {
      throw ioError(error, 'closing', this.ticket.directory);
    } finally {
      OWNED.delete(this.ticket.handle as bigint);
    }
  }
}

function pick(columns: Readonly<Record<string, Column>>, stores: readonly string[]): Record<string, Column> {
  const picked: Record<string, Column> = {};
  for (const name of stores) picked[name] = columns[name] as Column;
  return picked;
}

function columnOptions(stores: readonly string[], cacheBytes: number): Record<string, RocksColumnOptions> {
  const users = stores.filter((name) => !name.startsWith('$'));
  const share = Math.floor(cacheBytes / Math.max(1, users.length));
  const each: RocksColumnOptions = {
    cacheSize: Math.min(CACHE_BYTES_MAX, Math.max(CACHE_BYTES_MIN, Math.floor(share / 2))),
    memtableMemoryBudget: Math.max(MEMTABLE_BYTES_MIN, Math.floor(share / 2)),
    compaction: 'level',
    compression: false,
  };
  const columns: Record<string, RocksColumnOptions> = { [DEFAULT_COLUMN]: SMALL };
  for (const name of stores) columns[name] = name.startsWith('$') ? SMALL : each;
  return columns;
}

async function open(options: OpenOptions): Promise<OpenDatabase> {
  const { directory } = options;
  const Level = loadBinding();
  let stores: readonly string[];
  try {
    const known = readStoreNames(directory) ?? [];
    stores = [...new Set([...known, ...options.stores])];
    if (stores.includes(DEFAULT_COLUMN))
      throw new MillraceError('ERR_NAME', "a store cannot be called 'default' on RocksDB, which keeps that name for itself; rename it", {
        store: DEFAULT_COLUMN,
      });
    if (stores.length > known.length) writeStoreNames(directory, stores);
    mkdirSync(join(directory, 'rocksdb'), { recursive: true });
  } catch (error) {
    throw ioError(error, 'opening', directory);
  }
  const level = new Level(join(directory, 'rocksdb'));
  try {
    await level.open({
      passive: false,
      createIfMissing: true,
      walCompression: false,
      parallelism: Math.min(PARALLELISM_MAX, availableParallelism()),
      ...SMALL,
      columns: columnOptions(stores, options.cacheBytes),
    });
  } catch (error) {
    throw ioError(error, 'opening', directory);
  }
  return new OwnedDatabase(level, stores, directory);
}

function attach(ticket: DatabaseTicket): Database {
  if (typeof ticket.handle !== 'bigint' || !existsSync(ticket.directory)) {
    throw new MillraceError(
      'ERR_ENGINE_UNAVAILABLE',
      `no RocksDB database is open for ${ticket.directory}; the main thread opens it first and sends its ticket`,
      { directory: ticket.directory },
    );
  }
  const owned = OWNED.get(ticket.handle);
  if (owned !== undefined) return owned.attachHere();
  const level = new (loadBinding())(ticket.handle);
  let failure: unknown;
  level.open({ passive: false, createIfMissing: false }, (error) => {
    failure = error;
  });
  if (failure) throw ioError(failure, 'attaching', ticket.directory);
  return new RocksDatabase(level, pick(level.columns, ticket.stores), ticket.directory);
}

function loadBinding() {
  try {
    return loadRocksLevel();
  } catch (error) {
    throw new MillraceError(
      'ERR_ENGINE_UNAVAILABLE',
      `the RocksDB binding does not load on this machine: ${explainError(error)}. Use engine 'lmdb', or 'auto'.`,
      { engine: 'rocksdb' },
      error,
    );
  }
}

/** RocksDB behind the byte-store contract. Linux x64 with glibc 2.34 or later; ask `probe` first. */
export const rocksdbEngine: ByteStoreEngine = { name: 'rocksdb', durable: true, shareable: true, open, attach };
