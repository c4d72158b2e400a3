// Files in memory, for tests and simulation: knows what a power loss takes and what a killed process leaves behind.
// D1 file content is durable up to the last sync of that file.  D2 names (created, renamed, removed files) are durable from the last
// `syncDirectory` on; directories at once.  D3 after `kill` or `crash` every open file is dead and every lock is free.
// Simpler than a real disk: one machine, no permissions, no links.
import { posix } from 'node:path';
import type { Disk, DiskFile, DiskLock } from '../disk.ts';

export interface MemoryDisk extends Disk {
  /** The process dies (SIGKILL): what was written stays. */
  kill(): void;
  /**
   * The power fails. Unsynced content is: `drop` (default) gone; `keep` all there by luck; `tear` there except that the last write
   * of each file is cut in half. Names go back to the last `syncDirectory` except with `keep`.
   */
  crash(unsynced?: 'drop' | 'keep' | 'tear'): void;
  /** The next write or sync throws a system error with this code (`ENOSPC`, `EIO`). */
  failNext(code: string): void;
}

type Change = { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer } | { readonly kind: 'truncate'; readonly size: number };

export function memoryDisk(): MemoryDisk {
  const directories = new Set<string>(['/', '.']);
  let names = new Map<string, Content>();
  const durable = new Map<string, Content>();
  const locks = new Map<string, object>();
  let life = {}; // handles of an earlier life are dead
  let failure: string | undefined;

  const failIfAsked = (path: string): void => {
    const code = failure;
    failure = undefined;
    if (code !== undefined) throw systemError(code, path);
  };
  const syncDirectory = (given: string): void => {
    const directory = clean(given);
    failIfAsked(directory);
    for (const path of [...durable.keys()]) if (posix.dirname(path) === directory && !names.has(path)) durable.delete(path);
    for (const [path, content] of names) if (posix.dirname(path) === directory) durable.set(path, content);
  };
  const file = (path: string, content: Content, born: object, writable: boolean): DiskFile => {
    let open = true;
    const use = (write: boolean): Content => {
      if (!open || born !== life || (write && !writable)) throw systemError('EBADF', path);
      if (write) failIfAsked(path);
      return content;
    };
    return {
      path,
      size: () => use(false).size,
      write: (bytes, position) => use(true).write(position, bytes),
      writeAll: (pieces, position) => use(true).write(position, Buffer.concat(pieces)),
      read: (target, targetStart, length, position) => use(false).read(target, targetStart, length, position),
      truncate: (size) => use(true).truncate(size),
      sync: () => use(true).sync(),
      syncLater: async () => use(true).sync(),
      close() {
        open = false;
      },
    };
  };
  const open: Disk['open'] = (given, mode) => {
    const path = clean(given);
    if (directories.has(path)) throw systemError('EISDIR', path);
    if (!directories.has(posix.dirname(path))) throw systemError('ENOENT', path);
    let content = names.get(path);
    if (content !== undefined && mode === 'create') throw systemError('EEXIST', path);
    if (content === undefined && (mode === 'open' || mode === 'read')) throw systemError('ENOENT', path);
    if (content === undefined) names.set(path, (content = new Content()));
    return file(given, content, life, mode !== 'read');
  };
  const move = (from: string, to: string): void => {
    if (!directories.has(posix.dirname(to))) throw systemError('ENOENT', to);
    if (directories.has(from)) {
      for (const path of [...directories])
        if (path === from || path.startsWith(`${from}/`)) directories.delete(path) && directories.add(to + path.slice(from.length));
      for (const map of [names, durable])
        for (const [path, content] of [...map]) if (path.startsWith(`${from}/`)) map.delete(path) && map.set(to + path.slice(from.length), content);
      return;
    }
    const content = names.get(from);
    if (content === undefined) throw systemError('ENOENT', from);
    names.delete(from);
    names.set(to, content);
  };
  const restart = (): void => {
    life = {};
    locks.clear();
    failure = undefined;
  };

  return {
    open,
    exists: (given) => names.has(clean(given)) || directories.has(clean(given)),
    list(given) {
      const directory = clean(given);
      if (!directories.has(directory)) throw systemError('ENOENT', directory);
      const inside = (path: string): boolean => path !== directory && posix.dirname(path) === directory;
      return [
        ...[...directories].filter(inside).map((path) => ({ name: posix.basename(path), directory: true })),
        ...[...names.keys()].filter(inside).map((path) => ({ name: posix.basename(path), directory: false })),
      ].sort((left, right) => (left.name < right.name ? -1 : 1));
    },
    makeDirectory(given) {
      for (let path = clean(given); !directories.has(path); path = posix.dirname(path)) {
        if (names.has(path)) throw systemError('EEXIST', path);
        directories.add(path);
      }
    },
    remove(given) {
      const gone = clean(given);
      for (const path of [...directories]) if (path === gone || path.startsWith(`${gone}/`)) directories.delete(path);
      for (const path of [...names.keys()]) if (path === gone || path.startsWith(`${gone}/`)) names.delete(path);
    },
    rename: (from, to) => move(clean(from), clean(to)),
    syncDirectory,
    readWhole(given) {
      const handle = open(given, 'read');
      const bytes = Buffer.alloc(handle.size());
      handle.read(bytes, 0, bytes.length, 0);
      return bytes;
    },
    replaceWhole(given, bytes) {
      const temporary = `${given}.tmp`;
      const handle = open(temporary, 'openOrCreate');
      handle.truncate(0);
      handle.write(bytes, 0);
      handle.sync();
      move(clean(temporary), clean(given));
      syncDirectory(posix.dirname(clean(given)));
    },
    lock(given): DiskLock | undefined {
      const path = clean(given);
      if (!directories.has(posix.dirname(path))) throw systemError('ENOENT', path);
      if (locks.has(path)) return undefined;
      const mine = {};
      locks.set(path, mine);
      return {
        path: given,
        release() {
          if (locks.get(path) === mine) locks.delete(path);
        },
      };
    },
    join: (...parts) => posix.join(...parts),
    kill: restart,
    crash(unsynced = 'drop') {
      restart();
      if (unsynced !== 'keep') names = new Map([...durable].filter(([path]) => directories.has(posix.dirname(path))));
      for (const content of new Set(names.values())) content.crash(unsynced);
    },
    failNext(code) {
      failure = code;
    },
  };
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code, path });
}

/** The bytes of one file: as processes see them, and as the device has them. */
class Content {
  #now = new Bytes();
  readonly #device = new Bytes();
  #pending: Change[] = [];

  get size(): number {
    return this.#now.size;
  }
  write(position: number, bytes: Uint8Array): void {
    this.#do({ kind: 'write', position, bytes: Buffer.from(bytes) });
  }
  truncate(size: number): void {
    this.#do({ kind: 'truncate', size });
  }
  read(target: Uint8Array, targetStart: number, length: number, position: number): number {
    const piece = this.#now.slice(position, position + length);
    target.set(piece, targetStart);
    return piece.length;
  }
  sync(): void {
    for (const change of this.#pending) this.#device.apply(change);
    this.#pending = [];
  }
  crash(unsynced: 'drop' | 'keep' | 'tear'): void {
    const last = this.#pending.at(-1);
    if (unsynced !== 'drop') for (const change of this.#pending) this.#device.apply(change === last && unsynced === 'tear' ? half(change) : change);
    this.#pending = [];
    this.#now = this.#device.copy();
  }
  #do(change: Change): void {
    this.#now.apply(change);
    this.#pending.push(change);
  }
}

function half(change: Change): Change {
  return change.kind === 'write' ? { ...change, bytes: change.bytes.subarray(0, change.bytes.length >> 1) } : change;
}

/** A growing byte string; what lies between its end and a later write reads as zeros. */
class Bytes {
  #bytes = Buffer.alloc(0);
  size = 0;

  apply(change: Change): void {
    if (change.kind === 'truncate') {
      this.#resize(change.size);
      return;
    }
    const end = change.position + change.bytes.length;
    if (end > this.size) this.#resize(end);
    this.#bytes.set(change.bytes, change.position);
  }
  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(Math.min(start, this.size), Math.min(end, this.size));
  }
  copy(): Bytes {
    const copy = new Bytes();
    copy.apply({ kind: 'write', position: 0, bytes: this.slice(0, this.size) });
    return copy;
  }
  #resize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.#bytes.length * 2, 64));
      grown.set(this.slice(0, this.size));
      this.#bytes = grown;
    } else if (size < this.size) {
      this.#bytes.fill(0, size, this.size);
    }
    this.size = size;
  }
}
