// An engine of the user's own as a value that a store, or the app, can be declared with.
import { MillraceError } from '@millrace/core';
import type { ByteStoreEngine } from './byte-store.ts';

/** Made by `storeEngine`. */
export interface StoreEngine {
  readonly name: string;
  readonly '~engine': unknown;
}

/** Where a store lies: `auto` is RocksDB where it loads, else LMDB, else memory. */
export type Engine = 'auto' | 'rocksdb' | 'lmdb' | 'memory' | StoreEngine;

const NAMES: readonly unknown[] = ['auto', 'rocksdb', 'lmdb', 'memory'];

/**
 * Wraps an engine of your own, once it passes the conformance suite. It must be shareable between threads: every worker makes its own from the module
 * that declares it.
 *
 * @example
 * ```ts
 * export const counts = store.keyValue('counts', { key: serde.string(), value: serde.safeInt(), engine: storeEngine(myEngine) });
 * ```
 */
export function storeEngine(engine: ByteStoreEngine): StoreEngine {
  return { name: engine.name, '~engine': engine };
}

/** The engine behind a value; undefined for a name. */
export function byteStoreEngineOf(engine: Engine): ByteStoreEngine | undefined {
  return typeof engine === 'string' ? undefined : (engine['~engine'] as ByteStoreEngine); // sound: nothing else makes one, and `checkEngine` has looked
}

/** Throws ERR_OPTION for what is no engine. */
export function checkEngine(engine: unknown, what: string): asserts engine is Engine | undefined {
  if (engine === undefined || NAMES.includes(engine)) return;
  const own = (engine as { readonly '~engine'?: { readonly open?: unknown; readonly attach?: unknown } } | null)?.['~engine'];
  if (typeof own?.open === 'function' && typeof own.attach === 'function') return;
  throw new MillraceError('ERR_OPTION', `${what}: engine is ${JSON.stringify(engine)}; it takes 'auto', 'rocksdb', 'lmdb', 'memory' or storeEngine(…).`, {
    option: 'engine',
  });
}
