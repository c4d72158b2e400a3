// The durable engines, by name, for the programs and tests of this folder.
import type { ByteStoreEngine } from '@millrace/state';
import { lmdbEngine } from '@millrace/state-lmdb';
import { rocksdbEngine } from '@millrace/state-rocksdb';

export const ENGINES: readonly ByteStoreEngine[] = [rocksdbEngine, lmdbEngine];
export const STORES = ['one', 'two', '$meta'];
export const KEYS = 200;

export function engineNamed(name: string): ByteStoreEngine {
  const engine = ENGINES.find((candidate) => candidate.name === name);
  if (engine === undefined) throw new Error(`no engine ${name}`);
  return engine;
}
