// The one place that touches the RocksDB binding: its undocumented synchronous methods, typed here, and its traps.
// - A view over no memory (`Buffer.alloc(0)`) aborts the process as a key: empty keys and values go in as an empty slice of
//   real memory (EMPTY).
// - `open` must be called in the same turn as the constructor: a later one of its own would reopen a closed database.
// - Iterators and batches made by underscore methods stay registered with the database until `detachResource`.
// - Whoever calls `close` closes for every thread, and the next use there ends the process.
import { createRequire } from 'node:module';

/** An opaque native column family. */
export type Column = object & { readonly '~column'?: never };

export interface RocksColumnOptions {
  readonly cacheSize: number;
  readonly memtableMemoryBudget: number;
  readonly compaction: 'level';
  /** False: no dictionaries are trained for the compressed levels, which costs more CPU than all else in a restore. */
  readonly compression: false;
}

export interface RocksOpenOptions extends RocksColumnOptions {
  readonly passive: false;
  readonly createIfMissing: boolean;
  /** The write-ahead log is short-lived: compressing it costs the writer's thread a quarter of its time. */
  readonly walCompression: false;
  /** Background threads; the default ignores the limits of a container. */
  readonly parallelism: number;
  readonly columns: Readonly<Record<string, RocksColumnOptions>>;
}

export interface RocksScanOptions {
  readonly column: Column;
  readonly gte?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly reverse: boolean;
  readonly limit: number;
  readonly keyEncoding: 'buffer';
  readonly valueEncoding: 'buffer';
  readonly highWaterMarkBytes: number;
}

export interface RocksIterator {
  /** Rows as key, value, key, value … */
  _nextvSync(rows: number): { readonly rows: readonly Buffer[]; readonly finished: boolean };
  _closeSync(): void;
}

export interface RocksBatch {
  _put(key: Uint8Array, value: Uint8Array, options: { readonly column: Column }): void;
  _del(key: Uint8Array, options: { readonly column: Column }): void;
  _writeSync(options: { readonly sync: boolean }): void;
  _clear(): void;
}

export interface RocksLevel {
  readonly status: string;
  /** The native pointer, to attach elsewhere. Throws unless open. */
  readonly handle: bigint;
  readonly columns: Readonly<Record<string, Column>>;
  open(options: RocksOpenOptions): Promise<void>;
  open(options: { readonly passive: false; readonly createIfMissing: false }, done: (error: unknown) => void): void;
  close(): Promise<void>;
  detachResource(resource: RocksIterator | RocksBatch): void;
  getProperty(name: string): string;
  _getManySync(keys: readonly Uint8Array[], options: { readonly column: Column }): (Buffer | undefined | null)[];
  _iterator(options: RocksScanOptions): RocksIterator;
  _chainedBatch(): RocksBatch;
  /** Removes a range at once, by one mark, outside any batch. */
  _clear(options: { readonly column: Column; readonly gte: Uint8Array; readonly lt: Uint8Array; readonly limit: -1 }, done: (error: unknown) => void): void;
}

export type RocksLevelClass = new (locationOrHandle: string | bigint) => RocksLevel;

export const BINDING = '@nxtedition/rocksdb';

/** An empty byte string that has an address. */
export const EMPTY: Buffer = Buffer.alloc(8).subarray(0, 0);

let loaded: RocksLevelClass | undefined;

/** The binding's class. Throws the loader's error where it is not installed, or has no build for this machine. */
export function loadRocksLevel(): RocksLevelClass {
  loaded ??= (createRequire(import.meta.url)(BINDING) as { readonly RocksLevel: RocksLevelClass }).RocksLevel;
  return loaded;
}
