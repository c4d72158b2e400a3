// A disk as one process sees it: writes are effects (a crash may come before each, or in the middle of one), and the disk may be full,
// read-only, broken or slow.
// D1 a dead process writes nothing.  D2 a refused write has no effect.  D3 a write in whose middle the process dies is torn.
import type { Disk, DiskFile, MemoryDisk } from '@millrace/core';
import type { DiskFaults } from './machine.ts';
import type { SimProcess } from './sim-process.ts';

export function diskOf(process: SimProcess, disk: MemoryDisk, faults: DiskFaults): Disk {
  const refuse = (path: string): void => {
    if (faults.refuses !== undefined && process.ended === undefined)
      throw Object.assign(new Error(`${faults.refuses}: ${path}`), { code: faults.refuses, path });
  };
  const change = (what: string, path: string, act: () => void): void => {
    refuse(path);
    if (process.effect(`${what} ${path}`)) act();
  };
  const wrap = (file: DiskFile): DiskFile => {
    const write = (bytes: Uint8Array, position: number): void => {
      refuse(file.path);
      const alive = process.ended === undefined;
      if (process.effect(`write ${file.path}`)) {
        process.world.trace.bytes(process.name, bytes);
        file.write(bytes, position);
      } else if (alive) file.write(bytes.subarray(0, process.chance.integer(bytes.length + 1)), position);
    };
    return {
      path: file.path,
      size: () => file.size(),
      read: (target, targetStart, length, position) => file.read(target, targetStart, length, position),
      write,
      writeAll: (pieces, position) => write(Buffer.concat(pieces), position),
      truncate: (size) => change('truncate', file.path, () => file.truncate(size)),
      sync: () => change('sync', file.path, () => file.sync()),
      syncLater: async () => {
        if (faults.slowMs > 0) await new Promise<void>((resolve) => void process.timers.after(process.chance.float() * faults.slowMs, resolve));
        change('sync', file.path, () => file.sync());
      },
      close: () => file.close(),
    };
  };
  return {
    open(path, mode) {
      if (mode === 'create' || (mode === 'openOrCreate' && !disk.exists(path))) {
        refuse(path);
        process.effect(`create ${path}`);
      }
      return wrap(disk.open(path, mode));
    },
    exists: (path) => disk.exists(path),
    list: (path) => disk.list(path),
    makeDirectory: (path) => {
      if (!disk.exists(path)) change('make', path, () => disk.makeDirectory(path));
    },
    remove: (path) => change('remove', path, () => disk.remove(path)),
    rename: (from, to) => change('rename', from, () => disk.rename(from, to)),
    syncDirectory: (path) => change('sync', path, () => disk.syncDirectory(path)),
    readWhole: (path) => disk.readWhole(path),
    replaceWhole(path, bytes) {
      // In its steps: a crash may come between any two.
      const temporary = `${path}.tmp`;
      const file = wrap(disk.open(temporary, 'openOrCreate'));
      file.truncate(0);
      file.write(bytes, 0);
      file.sync();
      file.close();
      change('rename', temporary, () => disk.rename(temporary, path));
      change('sync', path, () => disk.syncDirectory(folderOf(path)));
    },
    lock: (path) => (process.ended === undefined ? disk.lock(path) : undefined),
    join: (...parts) => disk.join(...parts),
  };
}

function folderOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at <= 0 ? (at === 0 ? '/' : '.') : path.slice(0, at);
}
