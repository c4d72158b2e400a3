// Files over node:fs, the only place of the packages that opens them (engines aside).
// Never: hides a system error. What the system says (ENOSPC, EIO, ENOENT …) reaches the caller, who knows what it means there.
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Disk, DiskFile } from '../disk.ts';
import { takeLock } from './node-lock.ts';

const FLAGS = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  open: fs.constants.O_RDWR,
  openOrCreate: fs.constants.O_RDWR | fs.constants.O_CREAT,
  read: fs.constants.O_RDONLY,
} as const;

/** What is created here is its user's alone: logs and state hold records, and what is kept of passwords. */
const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

export const nodeDisk: Disk = {
  open: (file, mode) => openFile(file, mode),
  exists: (file) => fs.existsSync(file),
  list: (directory) =>
    fs
      .readdirSync(directory, { withFileTypes: true })
      .map((entry) => ({ name: entry.name, directory: entry.isDirectory() }))
      .sort((left, right) => (left.name < right.name ? -1 : 1)),
  makeDirectory,
  remove: (file) => fs.rmSync(file, { recursive: true, force: true }),
  rename: (from, to) => fs.renameSync(from, to),
  syncDirectory,
  readWhole: (file) => fs.readFileSync(file),
  replaceWhole(file, bytes) {
    const temporary = `${file}.tmp`;
    const handle = fs.openSync(temporary, 'w', PRIVATE_FILE);
    try {
      writeFully(handle, [bytes], 0);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
    fs.renameSync(temporary, file);
    syncDirectory(path.dirname(file));
  },
  lock: takeLock,
  join: (...parts) => path.join(...parts),
};

/** Node's own `recursive` never returns where the system answers ENOENT though the parent is there, as /proc does. */
function makeDirectory(directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: PRIVATE_DIRECTORY });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && fs.statSync(directory).isDirectory()) return;
    const parent = path.dirname(path.resolve(directory));
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error;
    makeDirectory(parent);
    makeDirectory(directory);
  }
}

function openFile(file: string, mode: keyof typeof FLAGS): DiskFile {
  const handle = fs.openSync(file, FLAGS[mode], PRIVATE_FILE);
  let open = true;
  return {
    path: file,
    size: () => fs.fstatSync(handle).size,
    write: (bytes, position) => writeFully(handle, [bytes], position),
    writeAll: (pieces, position) => writeFully(handle, pieces, position),
    read(target, targetStart, length, position) {
      let total = 0;
      while (total < length) {
        const got = fs.readSync(handle, target, targetStart + total, length - total, position + total);
        if (got === 0) break;
        total += got;
      }
      return total;
    },
    truncate: (size) => fs.ftruncateSync(handle, size),
    sync: () => fs.fdatasyncSync(handle),
    syncLater: () => new Promise((resolve, reject) => fs.fdatasync(handle, (error) => (error === null ? resolve() : reject(error)))),
    close() {
      if (!open) return;
      open = false;
      fs.closeSync(handle);
    },
  };
}

function writeFully(handle: number, pieces: readonly Uint8Array[], position: number): void {
  let rest = pieces.filter((piece) => piece.length > 0);
  let at = position;
  while (rest.length > 0) {
    let written = rest.length === 1 ? fs.writeSync(handle, rest[0] as Uint8Array, 0, (rest[0] as Uint8Array).length, at) : fs.writevSync(handle, rest, at);
    at += written;
    // A write may be short (a signal, a full disk about to say so): go on behind what was taken.
    let whole = 0;
    while (whole < rest.length && written >= (rest[whole] as Uint8Array).length) written -= (rest[whole++] as Uint8Array).length;
    rest = rest.slice(whole);
    if (written > 0) rest[0] = (rest[0] as Uint8Array).subarray(written);
  }
}

function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return; // directories cannot be opened there; renames are journalled by the file system
  const handle = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
