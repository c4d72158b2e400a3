// An LMDB environment in one thread: a named database per store, binary keys and values, one synchronous transaction per batch.
// LMDB has no empty key: the value of a store's empty key lies in a database of its own (`$empty`), and scans begin with it.
// A commit waits for the device (one fdatasync per batch): without it LMDB reuses pages that a power cut may bring back.
import { MillraceError, unreachable } from '@millrace/core';
import {
  type ByteRows,
  type ByteStore,
  type Database,
  ownBounds,
  type ScanBounds,
  type ScanOptions,
  scanBounds,
  type WriteBatch,
  type WriteOperation,
} from '@millrace/state';
import type { RootDatabase, Database as Table } from 'lmdb';
import type { WriteGate } from './write-gate.ts';

export const EMPTY_KEYS = '$empty';
/** Longest key in bytes, with pages of 4 KiB. */
export const KEY_BYTES_MAX = 1978;

const ABORTABLE = 0x1;
const COMMITTED_ON_RETURN = 0x2;
const FIRST_KEY: Buffer = Buffer.from([0]);
const EMPTY: Buffer = Buffer.alloc(0);
/** Expired rows removed per batch, the rest with the batches after it: one settle never stalls on them. */
const EXPIRED_ROWS_MAX = 20_000;

export type BinaryTable = Table<Uint8Array, Uint8Array>;
export type BinaryRoot = RootDatabase<Uint8Array, Uint8Array>;

/** What all users of an environment in one thread share. */
export interface OpenTables {
  readonly root: BinaryRoot;
  readonly stores: ReadonlyMap<string, BinaryTable>;
  readonly emptyKeys: BinaryTable;
  readonly gate: WriteGate;
  readonly directory: string;
}

export class LmdbDatabase implements Database {
  readonly keyBytesMax = KEY_BYTES_MAX;
  readonly #tables: OpenTables;
  readonly #stores = new Map<string, LmdbStore>();
  readonly #cursors = new Set<LmdbRows>();
  /** Ranges asked to expire whose rows have not all gone yet. */
  #expiring: ExpiringRange[] = [];
  #detached = false;

  constructor(tables: OpenTables) {
    this.#tables = tables;
    for (const [name, table] of tables.stores) this.#stores.set(name, new LmdbStore(this, tables, name, table));
  }

  /** Reads through the result see all that any thread has written until now. */
  store(name: string): ByteStore {
    this.check();
    const store = this.#find(name);
    this.#tables.root.resetReadTxn();
    return store;
  }

  write(batch: WriteBatch): void {
    this.check();
    for (const operation of batch.operations) {
      this.#find(operation.store);
      if (operation.kind === 'put' && operation.key.length > KEY_BYTES_MAX) {
        throw new MillraceError(
          'ERR_RECORD_TOO_LARGE',
          `LMDB holds keys of up to ${KEY_BYTES_MAX} bytes; store ${operation.store} was given one of ${operation.key.length}. Use shorter keys, or the rocksdb engine.`,
          { store: operation.store },
        );
      }
    }
    if (batch.operations.length === 0) return;
    for (const operation of batch.operations) if (operation.kind === 'expireRange') this.#expiring.push(operation);
    this.#tables.gate.enter();
    try {
      this.#expiring = this.#tables.root.transactionSync(() => {
        for (const operation of batch.operations) this.#apply(operation);
        return this.#expire();
      }, ABORTABLE | COMMITTED_ON_RETURN);
    } catch (error) {
      throw this.failed(error, `writing ${batch.operations.length} operations`);
    } finally {
      this.#tables.gate.leave();
    }
  }

  detach(): void {
    if (this.#detached) return;
    for (const cursor of [...this.#cursors]) cursor.close();
    this.#detached = true;
  }

  get detached(): boolean {
    return this.#detached;
  }

  // ---- for the stores of this database ----

  check(): void {
    if (this.#detached)
      throw new MillraceError('ERR_STORE_CLOSED', `the database in ${this.#tables.directory} has been closed or left by this thread`, {
        directory: this.#tables.directory,
      });
  }

  opened(cursor: LmdbRows): LmdbRows {
    this.#cursors.add(cursor);
    return cursor;
  }

  closed(cursor: LmdbRows): void {
    this.#cursors.delete(cursor);
  }

  failed(error: unknown, what: string): MillraceError {
    return lmdbFailure(error, what, this.#tables.directory);
  }

  #find(name: string): LmdbStore {
    const store = this.#stores.get(name);
    if (store === undefined)
      throw new MillraceError(
        'ERR_STORE_NOT_CONNECTED',
        `the database in ${this.#tables.directory} holds no store ${JSON.stringify(name)}; it was opened with ${[...this.#stores.keys()].join(', ')}`,
        { store: name },
      );
    return store;
  }

  #apply(operation: WriteOperation): void {
    const table = this.#find(operation.store).table;
    switch (operation.kind) {
      case 'put':
        if (operation.key.length === 0) this.#tables.emptyKeys.putSync(storeKey(operation.store), operation.value);
        else table.putSync(operation.key, operation.value);
        return;
      case 'delete':
        if (operation.key.length === 0) this.#tables.emptyKeys.removeSync(storeKey(operation.store));
        else if (operation.key.length <= KEY_BYTES_MAX) table.removeSync(operation.key);
        return;
      case 'deleteRange':
        this.#deleteRange(operation, Number.POSITIVE_INFINITY);
        return;
      case 'expireRange':
        return; // done by #expire
      default:
        unreachable(operation);
    }
  }

  /** As many expired rows as one batch may remove; returns the ranges that have some left. */
  #expire(): ExpiringRange[] {
    let left = EXPIRED_ROWS_MAX;
    return this.#expiring.filter((range) => {
      if (left > 0) left -= this.#deleteRange(range, left);
      return left <= 0;
    });
  }

  #deleteRange({ store, from, to }: ExpiringRange, limit: number): number {
    if (Buffer.compare(from, to) >= 0) return 0;
    if (from.length === 0) this.#tables.emptyKeys.removeSync(storeKey(store));
    const { table } = this.#find(store);
    const keys = [...table.getKeys({ ...rangeOptions({ from, to, empty: false }, false), ...(limit === Number.POSITIVE_INFINITY ? {} : { limit }) })];
    for (const key of keys) table.removeSync(key);
    return keys.length;
  }
}

interface ExpiringRange {
  readonly store: string;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

class LmdbStore implements ByteStore {
  readonly table: BinaryTable;
  readonly #database: LmdbDatabase;
  readonly #tables: OpenTables;
  readonly #emptyAt: Buffer;

  constructor(database: LmdbDatabase, tables: OpenTables, name: string, table: BinaryTable) {
    this.#database = database;
    this.#tables = tables;
    this.table = table;
    this.#emptyAt = storeKey(name);
  }

  get(key: Uint8Array): Buffer | undefined {
    this.#database.check();
    try {
      if (key.length === 0) return this.#tables.emptyKeys.getBinary(this.#emptyAt);
      return key.length > KEY_BYTES_MAX ? undefined : this.table.getBinary(key);
    } catch (error) {
      throw this.#database.failed(error, 'reading');
    }
  }

  getMany(keys: readonly Uint8Array[]): (Buffer | undefined)[] {
    return keys.map((key) => this.get(key));
  }

  scan(options: ScanOptions): LmdbRows {
    this.#database.check();
    const bounds = ownBounds(scanBounds(options));
    const reverse = options.reverse === true;
    try {
      const first = bounds.empty || (bounds.from?.length ?? 0) > 0 ? undefined : this.get(EMPTY);
      const rows = bounds.empty ? undefined : this.table.getRange(rangeOptions(bounds, reverse))[Symbol.iterator]();
      return this.#database.opened(new LmdbRows(this.#database, rows, first, reverse, options.limit ?? Number.POSITIVE_INFINITY));
    } catch (error) {
      throw this.#database.failed(error, 'scanning');
    }
  }

  approximateCount(): number {
    this.#database.check();
    return (this.table.getStats() as { readonly entryCount: number }).entryCount + (this.get(EMPTY) === undefined ? 0 : 1);
  }
}

/** In reverse, `start` is the upper end. A bound longer than any key can be is cut, which turns it from left in to left out and back. */
function rangeOptions(bounds: ScanBounds, reverse: boolean): object {
  const fromCut = (bounds.from?.length ?? 0) > KEY_BYTES_MAX;
  const toCut = (bounds.to?.length ?? 0) > KEY_BYTES_MAX;
  const from = bounds.from === undefined || bounds.from.length === 0 ? FIRST_KEY : bounds.from.subarray(0, KEY_BYTES_MAX);
  const to = bounds.to?.subarray(0, KEY_BYTES_MAX);
  if (reverse) return { reverse: true, end: from, inclusiveEnd: !fromCut, ...(to === undefined ? {} : { start: to, exclusiveStart: !toCut }) };
  return { start: from, exclusiveStart: fromCut, ...(to === undefined ? {} : { end: to, inclusiveEnd: toCut }) };
}

export class LmdbRows implements ByteRows {
  key: Buffer = EMPTY;
  value: Buffer = EMPTY;
  readonly #database: LmdbDatabase;
  #rows: Iterator<{ key: Uint8Array; value: Uint8Array }> | undefined;
  #emptyRow: Buffer | undefined;
  readonly #reverse: boolean;
  #left: number;

  constructor(
    database: LmdbDatabase,
    rows: Iterator<{ key: Uint8Array; value: Uint8Array }> | undefined,
    emptyRow: Buffer | undefined,
    reverse: boolean,
    limit: number,
  ) {
    this.#database = database;
    this.#rows = rows;
    this.#emptyRow = emptyRow;
    this.#reverse = reverse;
    this.#left = limit;
  }

  next(): boolean {
    if (this.#left <= 0) return this.#end();
    this.#left--;
    if (!this.#reverse && this.#takeEmpty()) return true;
    try {
      const step = this.#rows?.next();
      if (step !== undefined && step.done !== true) {
        this.key = step.value.key as Buffer;
        this.value = step.value.value as Buffer;
        return true;
      }
    } catch (error) {
      throw this.#database.failed(error, 'scanning');
    }
    return this.#takeEmpty() || this.#end();
  }

  close(): void {
    this.#left = 0;
    this.#emptyRow = undefined;
    const rows = this.#rows;
    this.#rows = undefined;
    rows?.return?.();
    this.#database.closed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #takeEmpty(): boolean {
    if (this.#emptyRow === undefined) return false;
    this.key = EMPTY;
    this.value = this.#emptyRow;
    this.#emptyRow = undefined;
    return true;
  }

  #end(): boolean {
    this.close();
    return false;
  }
}

function storeKey(name: string): Buffer {
  return Buffer.from(name, 'utf8');
}

/** What the binding threw, as ours: damage is ERR_STORE_CORRUPT, all else (a full disk) ERR_STORE_IO. */
export function lmdbFailure(error: unknown, what: string, directory: string): MillraceError {
  if (MillraceError.is(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/MDB_CORRUPTED|MDB_PAGE_NOTFOUND|MDB_INVALID|MDB_VERSION_MISMATCH|not an LMDB file|corrupt/i.test(text)) {
    return new MillraceError(
      'ERR_STORE_CORRUPT',
      `LMDB says the database in ${directory} is damaged while ${what}: ${text}. It has to be rebuilt from the changelogs.`,
      { directory },
      error,
    );
  }
  const advice = /no space|MDB_MAP_FULL/i.test(text)
    ? 'The disk is full: free some space; nothing of this batch was written.'
    : 'Check the disk and the permissions of the folder.';
  return new MillraceError('ERR_STORE_IO', `LMDB failed while ${what} in ${directory}: ${text}. ${advice}`, { directory }, error);
}
