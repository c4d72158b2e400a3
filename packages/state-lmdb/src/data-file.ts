// Whether LMDB's data file is as long as it says. LMDB maps the file and believes its own header: where the file was cut short, the first look at
// a page that is gone ends the process. So it is looked at before.
// Layout, little-endian, as lmdb's data version 2 has it: two meta pages, at 0 and one page further: magic (4) at 24, version (4), page size (4) at 48,
// last page (8) at 144, transaction (8) at 152.
// Never: changes the file; judges more than its length.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { MillraceError } from '@millrace/core';

const MAGIC = 0xbeefc0de;
const AT_MAGIC = 24;
const AT_VERSION = 28;
const VERSION = 2;
const AT_PAGE_BYTES = 48;
const AT_LAST_PAGE = 144;
const AT_TRANSACTION = 152;
const META_BYTES = 160;

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: number;
}

/** Throws ERR_STORE_CORRUPT when the file is shorter than its newest header says. A missing or empty file is a new database; another layout is left to LMDB. */
export function checkDataFile(path: string, directory: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return;
  const metas = readMetas(path);
  const newest = metas.sort((left, right) => right.transaction - left.transaction)[0];
  const needed = newest === undefined ? META_BYTES : (newest.lastPage + 1) * newest.pageBytes;
  if (size >= needed) return;
  throw new MillraceError(
    'ERR_STORE_CORRUPT',
    `the LMDB database in ${directory} is damaged: its file has ${size} bytes of at least ${needed}. It has to be rebuilt from the changelogs.`,
    { directory },
  );
}

function readMetas(path: string): Meta[] {
  const file = openSync(path, 'r');
  try {
    const first = readMeta(file, 0);
    if (first === undefined) return [];
    const second = readMeta(file, first.pageBytes);
    return second === undefined ? [first] : [first, second];
  } finally {
    closeSync(file);
  }
}

function readMeta(file: number, at: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(file, bytes, 0, META_BYTES, at) < META_BYTES) return undefined;
  if (bytes.readUInt32LE(AT_MAGIC) !== MAGIC || bytes.readUInt32LE(AT_VERSION) !== VERSION) return undefined;
  const wide = (offset: number): number => Number(bytes.readBigUInt64LE(offset));
  return { pageBytes: bytes.readUInt32LE(AT_PAGE_BYTES), lastPage: wide(AT_LAST_PAGE), transaction: wide(AT_TRANSACTION) };
}
