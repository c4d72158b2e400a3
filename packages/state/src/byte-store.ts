// The engine contract: an ordered, synchronous store of bytes. Every engine passes `conformance`.
//
// A *database* holds the stores of one task. The instance's main thread opens and closes it; a worker attaches to it by
// a ticket that can be sent between threads, and only ever detaches (RocksDB: whoever closes, closes for everyone).
// A write batch is atomic over all stores of the database; after a process kill a store holds every batch whose write returned.

/** What the main thread sends to a worker so that it can attach. Plain data. */
export interface DatabaseTicket {
  readonly engine: string;
  readonly directory: string;
  readonly stores: readonly string[];
  /** The engine's own handle (RocksDB: the native pointer); undefined where the directory is enough. */
  readonly handle: unknown;
}

export interface OpenOptions {
  /** Folder of this database alone; created when missing. Ignored by the memory engine. */
  readonly directory: string;
  /** All store names (`isLegalName`, or starting with `$` for our own). Stores of an earlier opening that are not listed are kept. */
  readonly stores: readonly string[];
  /** Budget for caches and memtables of the whole database, bytes. */
  readonly cacheBytes: number;
}

/** A database open in this thread. */
export interface OpenDatabase extends Database {
  readonly ticket: DatabaseTicket;
  /**
   * Waits until no thread is in the middle of a write and keeps all from beginning one until the function it resolves to is called.
   * Take it before an attached thread is ended by force. Rejects with ERR_STATE_LOCKED when a write does not return (half a minute).
   */
  holdWrites(): Promise<() => void>;
  /** Closes for everyone: call only after every attached thread has detached. Idempotent. */
  close(): Promise<void>;
}

export interface Database {
  /** Longest key of a row, bytes; any unless given. */
  readonly keyBytesMax?: number | undefined;
  /** The same where stores lie in different engines. */
  keyBytesMaxOf?(store: string): number | undefined;
  /** False: a store of the task that another thread holds. True unless given. */
  holds?(store: string): boolean;
  store(name: string): ByteStore;
  /** Applies the batch atomically over all its stores. Throws ERR_STORE_IO (disk full …) with nothing applied. */
  write(batch: WriteBatch): void;
  /** This thread is done with it; the database stays open for others. Idempotent. */
  detach(): void;
}

export interface ByteStoreEngine {
  readonly name: string;
  /** True where state outlives the process. */
  readonly durable: boolean;
  /** True where a ticket can be used in another thread. The memory engine's cannot: its worker owns it. */
  readonly shareable: boolean;
  open(options: OpenOptions): Promise<OpenDatabase>;
  attach(ticket: DatabaseTicket): Database;
}

/** Bounds are inclusive or exclusive by name; unsigned byte order. */
export interface ScanOptions {
  readonly gte?: Uint8Array | undefined;
  readonly gt?: Uint8Array | undefined;
  readonly lte?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

export interface ByteStore {
  /** The value, or undefined. The result stays valid and unchanged for as long as the caller keeps it. */
  get(key: Uint8Array): Buffer | undefined;
  /** One answer per key, in the order asked. */
  getMany(keys: readonly Uint8Array[]): (Buffer | undefined)[];
  /** A snapshot of the rows as of the call. Close it (or use it up). */
  scan(options: ScanOptions): ByteRows;
  approximateCount(): number;
}

/** A cursor over rows: `next()` moves, then `key` and `value` hold the row (fresh buffers, the caller may keep them). */
export interface ByteRows extends Disposable {
  next(): boolean;
  readonly key: Buffer;
  readonly value: Buffer;
  close(): void;
}

/** Writes gathered for one atomic `write`. Later operations on a key win. Buffers must not change until written. */
export class WriteBatch {
  readonly operations: WriteOperation[] = [];
  bytes = 0;
  put(store: string, key: Uint8Array, value: Uint8Array): void {
    this.operations.push({ kind: 'put', store, key, value });
    this.bytes += key.length + value.length + 16;
  }
  delete(store: string, key: Uint8Array): void {
    this.operations.push({ kind: 'delete', store, key });
    this.bytes += key.length + 16;
  }
  /** Every key in [from, to), atomic like the rest of the batch. Costs a read and a delete per row. */
  deleteRange(store: string, from: Uint8Array, to: Uint8Array): void {
    this.operations.push({ kind: 'deleteRange', store, from, to });
    this.bytes += from.length + to.length + 16;
  }
  /**
   * Rows in [from, to) that nobody reads any more, a range where nothing will be put again. The engine may remove them
   * before, with or after the batch, bit by bit, or not at all when the process dies: ask again after a restart.
   */
  expireRange(store: string, from: Uint8Array, to: Uint8Array): void {
    this.operations.push({ kind: 'expireRange', store, from, to });
    this.bytes += from.length + to.length + 16;
  }
}

export type WriteOperation =
  | { readonly kind: 'put'; readonly store: string; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly store: string; readonly key: Uint8Array }
  | { readonly kind: 'deleteRange' | 'expireRange'; readonly store: string; readonly from: Uint8Array; readonly to: Uint8Array };
