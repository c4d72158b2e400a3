// A RocksDB database in one thread: the owner's, or one attached by handle. A column family per store.
// Owns: the cursors opened here and one reusable write batch.  Never: closes the native database (the engine does, for the owner).
import { MillraceError } from '@millrace/core';
import { type ByteRows, type ByteStore, type Database, type ScanOptions, scanBounds, type WriteBatch } from '@millrace/state';
import { type Column, EMPTY, type RocksBatch, type RocksIterator, type RocksLevel } from './rocks-level.ts';

const FIRST_ROWS = 16;
const NEXT_ROWS = 512;
const ROWS_BYTES = 1024 * 1024;

export class RocksDatabase implements Database {
  readonly #level: RocksLevel;
  readonly #directory: string;
  readonly #stores = new Map<string, RocksStore>();
  readonly #cursors = new Set<RocksRows>();
  #batch: RocksBatch | undefined;
  #detached = false;

  constructor(level: RocksLevel, columns: Readonly<Record<string, Column>>, directory: string) {
    this.#level = level;
    this.#directory = directory;
    for (const [name, column] of Object.entries(columns)) this.#stores.set(name, new RocksStore(this, column));
  }

  store(name: string): ByteStore {
    return this.#find(name);
  }

  write(batch: WriteBatch): void {
    const level = this.level();
    if (batch.operations.length === 0) return;
    this.#batch ??= level._chainedBatch();
    const native = this.#batch;
    try {
      this.#fill(native, level, batch);
      native._writeSync({ sync: false }); // into the write-ahead log: safe from a kill of the process
    } catch (error) {
      throw ioError(error, `writing ${batch.operations.length} operations`, this.#directory);
    } finally {
      native._clear();
    }
  }

  detach(): void {
    if (this.#detached) return;
    for (const cursor of [...this.#cursors]) cursor.close();
    if (this.#batch !== undefined) this.#level.detachResource(this.#batch);
    this.#batch = undefined;
    this.#detached = true;
  }

  // ---- for the stores of this database ----

  level(): RocksLevel {
    if (this.#detached)
      throw new MillraceError('ERR_STORE_CLOSED', `the database in ${this.#directory} has been closed or left by this thread`, { directory: this.#directory });
    return this.#level;
  }

  opened(cursor: RocksRows): RocksRows {
    this.#cursors.add(cursor);
    return cursor;
  }

  closed(cursor: RocksRows): void {
    this.#cursors.delete(cursor);
  }

  failed(error: unknown, what: string): MillraceError {
    return ioError(error, what, this.#directory);
  }

  #find(name: string): RocksStore {
    const store = this.#stores.get(name);
    if (store === undefined)
      throw new MillraceError(
        'ERR_STORE_NOT_CONNECTED',
        `the database in ${this.#directory} holds no store ${JSON.stringify(name)}; it was opened with ${[...this.#stores.keys()].join(', ')}`,
        { store: name },
      );
    return store;
  }

  #fill(native: RocksBatch, level: RocksLevel, batch: WriteBatch): void {
    const expired: { readonly column: Column; readonly gte: Uint8Array; readonly lt: Uint8Array; readonly limit: -1 }[] = [];
    let store: RocksStore | undefined;
    let name = '';
    for (const operation of batch.operations) {
      // Runs of one store are the rule: neither a lookup nor an object for each row.
      if (store === undefined || operation.store !== name) store = this.#find((name = operation.store));
      const { inColumn } = store;
      if (operation.kind === 'put') native._put(addressed(operation.key), addressed(operation.value), inColumn);
      else if (operation.kind === 'delete') native._del(addressed(operation.key), inColumn);
      else if (operation.kind === 'expireRange') expired.push({ ...inColumn, gte: addressed(operation.from), lt: addressed(operation.to), limit: -1 });
      else this.#deleteRange(native, store, batch, operation.from, operation.to, operation);
    }
    // One mark for the whole range, whatever its size; a failure leaves rows that nobody reads, and is asked for again.
    for (const range of expired) level._clear(range, () => {});
  }

  /** The binding has no range delete within a batch: each row gets its own, those that this batch has put before included. */
  #deleteRange(native: RocksBatch, store: RocksStore, batch: WriteBatch, from: Uint8Array, to: Uint8Array, until: WriteBatch['operations'][number]): void {
    const { inColumn } = store;
    using rows = store.scan({ gte: from, lt: to });
    while (rows.next()) native._del(addressed(rows.key), inColumn);
    for (const earlier of batch.operations) {
      if (earlier === until) return;
      if (earlier.kind === 'put' && earlier.store === until.store && Buffer.compare(earlier.key, from) >= 0 && Buffer.compare(earlier.key, to) < 0)
        native._del(addressed(earlier.key), inColumn);
    }
  }
}

class RocksStore implements ByteStore {
  readonly column: Column;
  /** The binding's options of a write to this store. */
  readonly inColumn: { readonly column: Column };
  readonly #database: RocksDatabase;

  constructor(database: RocksDatabase, column: Column) {
    this.#database = database;
    this.column = column;
    this.inColumn = { column };
  }

  get(key: Uint8Array): Buffer | undefined {
    return this.getMany([key])[0];
  }

  getMany(keys: readonly Uint8Array[]): (Buffer | undefined)[] {
    const level = this.#database.level();
    try {
      const values = level._getManySync(keys.map(addressed), { column: this.column });
      for (const value of values) if (value === null) throw new Error('the read was given up');
      return values as (Buffer | undefined)[];
    } catch (error) {
      throw this.#database.failed(error, 'reading');
    }
  }

  scan(options: ScanOptions): RocksRows {
    const level = this.#database.level();
    const bounds = scanBounds(options);
    if (bounds.empty) return new RocksRows(this.#database, level, undefined, 0);
    const iterator = level._iterator({
      column: this.column,
      ...(bounds.from === undefined || bounds.from.length === 0 ? {} : { gte: bounds.from }),
      ...(bounds.to === undefined ? {} : { lt: bounds.to }),
      reverse: options.reverse === true,
      limit: -1,
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      highWaterMarkBytes: ROWS_BYTES,
    });
    return this.#database.opened(new RocksRows(this.#database, level, iterator, options.limit ?? Number.POSITIVE_INFINITY));
  }

  approximateCount(): number {
    // Of the default family only: the binding's property call takes no column. Hence counted from a scan of keys, capped.
    let rows = 0;
    using cursor = this.scan({ limit: COUNT_MAX });
    while (cursor.next()) rows++;
    return rows;
  }
}

/** Rows counted at most: an estimate must not read a large store. */
const COUNT_MAX = 10_000;

export class RocksRows implements ByteRows {
  key: Buffer = EMPTY;
  value: Buffer = EMPTY;
  readonly #database: RocksDatabase;
  readonly #level: RocksLevel;
  #iterator: RocksIterator | undefined;
  #rows: readonly Buffer[] = [];
  #at = 0;
  #finished = false;
  #left: number;
  #size = FIRST_ROWS;

  constructor(database: RocksDatabase, level: RocksLevel, iterator: RocksIterator | undefined, limit: number) {
    this.#database = database;
    this.#level = level;
    this.#iterator = iterator;
    this.#left = limit;
  }

  next(): boolean {
    if (this.#iterator === undefined || this.#left <= 0 || (this.#at >= this.#rows.length && !this.#fetch(this.#iterator))) {
      this.close();
      return false;
    }
    this.#left--;
    this.key = this.#rows[this.#at++] as Buffer;
    this.value = this.#rows[this.#at++] as Buffer;
    return true;
  }

  close(): void {
    if (this.#iterator === undefined) return;
    const iterator = this.#iterator;
    this.#iterator = undefined;
    this.#rows = [];
    iterator._closeSync();
    this.#level.detachResource(iterator);
    this.#database.closed(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fetch(iterator: RocksIterator): boolean {
    if (this.#finished) return false;
    try {
      const { rows, finished } = iterator._nextvSync(Math.min(this.#size, this.#left));
      this.#rows = rows;
      this.#finished = finished;
    } catch (error) {
      throw this.#database.failed(error, 'scanning');
    }
    this.#at = 0;
    this.#size = Math.min(NEXT_ROWS, this.#size * 4);
    return this.#rows.length > 0;
  }
}

function addressed(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? EMPTY : bytes;
}

/** What the binding threw, as ours: damage (a file that is gone is damage) is ERR_STORE_CORRUPT, all else (a full disk, a lock) ERR_STORE_IO. */
export function ioError(error: unknown, what: string, directory: string): MillraceError {
  if (MillraceError.is(error)) return error;
  const cause = (error as { readonly cause?: unknown } | undefined)?.cause ?? error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as { readonly code?: unknown } | undefined)?.code;
  if (code === 'LEVEL_CORRUPTION' || /^Corruption|Column families not opened|No such file or directory: While open/.test(text)) {
    return new MillraceError(
      'ERR_STORE_CORRUPT',
      `RocksDB says the database in ${directory} is damaged while ${what}: ${text}. It has to be rebuilt from the changelogs.`,
      { directory },
      error,
    );
  }
  const advice =
    code === 'LEVEL_LOCKED'
      ? 'Another process or thread has it open.'
      : /no space/i.test(text)
        ? 'The disk is full: free some space; nothing of this batch was written.'
        : 'Check the disk and the permissions of the folder.';
  return new MillraceError('ERR_STORE_IO', `RocksDB failed while ${what} in ${directory}: ${text}. ${advice}`, { directory }, error);
}
