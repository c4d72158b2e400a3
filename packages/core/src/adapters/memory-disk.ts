// Files in memory, for tests and simulation: knows what a power loss takes and what a killed process leaves behind.
// D1 file content is durable up to the last sync of that file.  D2 names (of files and directories: created, renamed, removed) are durable
// from the last `syncDirectory` of the directory they stand in.  D3 after `kill` or `crash` every open file is dead and every lock is free.
// D4 a `syncLater` covers what was written when it was called, and takes effect later.
// Simpler than a real disk: one machine, no permissions, no links; a directory that is renamed is durable at once.
import { posix } from 'node:path';
import type { Disk, DiskFile, DiskLock } from '../disk.ts';
import { MemoryContent, type Unsynced } from './memory-content.ts';

export interface MemoryDisk extends Disk {
  /** The process dies (SIGKILL): what was written stays. */
  kill(): void;
  /**
   * The power fails. Unsynced content is: `drop` (default) gone; `keep` all there by luck; `tear` there except that the last write
   * of each file is cut in half. Names go back to the last `syncDirectory` except with `keep`. A Chance decides for every unsynced write
   * alone whether it is there, gone or cut (writes reach a device in any order), and how many of a directory's unsynced names are there
   * (the first ones: a directory is journalled).
   */
  crash(unsynced?: Unsynced): void;
  /** The next write or sync throws a system error with this code (`ENOSPC`, `EIO`). */
  failNext(code: string): void;
  /** From now on a `syncLater` takes effect when `pause`, called as it begins, has resolved; it fails if that rejects. */
  syncsTake(pause: () => Promise<void>): void;
}

/** A file's content, or the mark of a directory. */
type Node = MemoryContent | 'directory';
/** One change of the names in a directory; a rename inside one directory is one change. */
interface NameChange {
  readonly gone?: string;
  readonly there?: readonly [path: string, node: Node];
}

export function memoryDisk(): MemoryDisk {
  let nodes = new Map<string, Node>([
    ['/', 'directory'],
    ['.', 'directory'],
  ]);
  let durable = new Map(nodes);
  const unsyncedNames = new Map<string, NameChange[]>();
  const locks = new Map<string, object>();
  let life = {}; // handles of an earlier life are dead
  let failure: string | undefined;
  let pause = (): Promise<void> => Promise.resolve();

  const failIfAsked = (path: string): void => {
    const code = failure;
    failure = undefined;
    if (code !== undefined) throw systemError(code, path);
  };
  const isDirectory = (path: string): boolean => nodes.get(path) === 'directory';
  const noteChange = (directory: string, change: NameChange): void => {
    const list = unsyncedNames.get(directory) ?? [];
    list.push(change);
    unsyncedNames.set(directory, list);
  };
  const put = (path: string, node: Node): void => {
    nodes.set(path, node);
    noteChange(posix.dirname(path), { there: [path, node] });
  };
  const drop = (path: string): void => {
    nodes.delete(path);
    noteChange(posix.dirname(path), { gone: path });
  };
  const syncDirectory = (given: string): void => {
    const directory = clean(given);
    failIfAsked(directory);
    for (const change of unsyncedNames.get(directory) ?? []) applyName(durable, change);
    unsyncedNames.delete(directory);
  };
  const open: Disk['open'] = (given, mode) => {
    const path = clean(given);
    const there = nodes.get(path);
    if (there === 'directory') throw systemError('EISDIR', path);
    if (!isDirectory(posix.dirname(path))) throw systemError('ENOENT', path);
    if (there !== undefined && mode === 'create') throw systemError('EEXIST', path);
    if (there === undefined && (mode === 'open' || mode === 'read')) throw systemError('ENOENT', path);
    const content = there ?? new MemoryContent();
    if (there === undefined) put(path, content);
    const born = life;
    const use = (write: boolean): void => {
      if (born !== life) throw systemError('EBADF', path);
      if (write) failIfAsked(path);
    };
    return openContent(given, content, mode !== 'read', use, () => pause());
  };
  const move = (from: string, to: string): void => {
    const node = nodes.get(from);
    if (node === undefined || !isDirectory(posix.dirname(to))) throw systemError('ENOENT', node === undefined ? from : to);
    if (node === 'directory') {
      for (const map of [nodes, durable])
        for (const [path, inside] of [...map])
          if (path === from || path.startsWith(`${from}/`)) map.delete(path) && map.set(to + path.slice(from.length), inside);
      return;
    }
    nodes.delete(from);
    nodes.set(to, node);
    if (posix.dirname(from) === posix.dirname(to)) noteChange(posix.dirname(to), { gone: from, there: [to, node] });
    else {
      noteChange(posix.dirname(to), { there: [to, node] });
      noteChange(posix.dirname(from), { gone: from });
    }
  };
  const restart = (): void => {
    life = {};
    locks.clear();
    failure = undefined;
  };

  return {
    open,
    exists: (given) => nodes.has(clean(given)),
    list(given) {
      const directory = clean(given);
      if (!isDirectory(directory)) throw systemError('ENOENT', directory);
      return [...nodes]
        .filter(([path]) => path !== directory && posix.dirname(path) === directory)
        .map(([path, node]) => ({ name: posix.basename(path), directory: node === 'directory' }))
        .sort((left, right) => (left.name < right.name ? -1 : 1));
    },
    makeDirectory(given) {
      const missing: string[] = [];
      for (let path = clean(given); !isDirectory(path); path = posix.dirname(path)) {
        if (nodes.has(path)) throw systemError('EEXIST', path);
        missing.unshift(path);
      }
      for (const path of missing) put(path, 'directory');
    },
    remove(given) {
      const gone = clean(given);
      for (const path of [...nodes.keys()].reverse()) if (path === gone || path.startsWith(`${gone}/`)) drop(path);
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
      if (!isDirectory(posix.dirname(path))) throw systemError('ENOENT', path);
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
      for (const changes of unsyncedNames.values()) {
        const lucky = unsynced === 'keep' ? changes.length : typeof unsynced === 'string' ? 0 : unsynced.integer(changes.length + 1);
        for (const change of changes.slice(0, lucky)) applyName(durable, change);
      }
      unsyncedNames.clear();
      durable = reachable(durable);
      nodes = new Map(durable);
      for (const node of new Set(nodes.values())) if (node !== 'directory') node.crash(unsynced);
    },
    failNext(code) {
      failure = code;
    },
    syncsTake(given) {
      pause = given;
    },
  };
}

/** `use` throws when the handle may not be used (any more). */
function openContent(path: string, content: MemoryContent, writable: boolean, use: (write: boolean) => void, pause: () => Promise<void>): DiskFile {
  let open = true;
  const usable = (write: boolean): MemoryContent => {
    if (!open || (write && !writable)) throw systemError('EBADF', path);
    use(write);
    return content;
  };
  return {
    path,
    size: () => usable(false).size,
    write: (bytes, position) => usable(true).write(position, bytes),
    writeAll: (pieces, position) => usable(true).write(position, Buffer.concat(pieces)),
    read: (target, targetStart, length, position) => usable(false).read(target, targetStart, length, position),
    truncate: (size) => usable(true).truncate(size),
    sync: () => usable(true).sync(content.mark),
    async syncLater() {
      usable(true);
      const { mark } = content;
      await pause();
      use(false); // a crash in between: the sync never came to an end
      content.sync(mark);
    },
    close() {
      open = false;
    },
  };
}

function applyName(names: Map<string, Node>, { gone, there }: NameChange): void {
  if (gone !== undefined) names.delete(gone);
  if (there !== undefined) names.set(there[0], there[1]);
}

/** What can be found from the root: a file whose directory is gone is gone. */
function reachable(names: Map<string, Node>): Map<string, Node> {
  const found = new Map<string, Node>();
  const parentsFirst = [...names].sort(([left], [right]) => left.split('/').length - right.split('/').length || (left < right ? -1 : 1));
  for (const [path, node] of parentsFirst) {
    const parent = posix.dirname(path);
    if (parent === path || path === '.' || found.get(parent) === 'directory') found.set(path, node);
  }
  return found;
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code, path });
}
