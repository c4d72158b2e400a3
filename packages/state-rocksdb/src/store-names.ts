// The side file with the names of a database's stores: RocksDB opens only if every column family is listed, and has no list call.
// Written before new families are made: a name too many is made at the next opening, a name too few would lock the data away.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { checksum32 } from '@millrace/state';

const FILE = 'STORES';
const HEAD = 'millrace-stores 1';

/** The names kept beside the database; undefined where there is no side file, or a damaged one. */
export function readStoreNames(directory: string): readonly string[] | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const [head, checksum, ...names] = text.split('\n');
  const body = names.join('\n');
  if (head !== HEAD || checksum !== checksum32(Buffer.from(body, 'utf8')).toString(16)) return undefined;
  return names.filter((name) => name !== '');
}

/** A crash leaves the old file or the new one: temp, sync, rename, sync directory. */
export function writeStoreNames(directory: string, names: readonly string[]): void {
  mkdirSync(directory, { recursive: true });
  const body = `${names.join('\n')}\n`;
  const path = join(directory, FILE);
  const file = openSync(`${path}.tmp`, 'w');
  try {
    writeSync(file, `${HEAD}\n${checksum32(Buffer.from(body, 'utf8')).toString(16)}\n${body}`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.tmp`, path);
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
