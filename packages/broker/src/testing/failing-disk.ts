// A disk under which the power fails after so many operations: nothing works any more until the next life begins. Only tests import it.
import type { Chance, Disk, DiskFile, MemoryDisk } from '@millrace/core';

export interface PowerSupply {
  /**
   * The disk as one life of the process sees it; the power fails at its `operations`th change. `onFailure` runs then. A `syncLater` ends when
   * `pause` has resolved, with the number of changes that its time is worth: so the power fails in the midst of long ones.
   */
  life(operations: number, onFailure: () => void, pause: () => Promise<number>): Disk;
}

/** `chance` decides what of the unsynced changes is there afterwards. */
export function powerSupply(disk: MemoryDisk, chance: Chance): PowerSupply {
  return { life: (operations, onFailure, pause) => oneLife(disk, chance, { operations, onFailure, pause }) };
}

interface Life {
  readonly operations: number;
  readonly onFailure: () => void;
  readonly pause: () => Promise<number>;
}

function oneLife(disk: MemoryDisk, chance: Chance, { operations, onFailure, pause }: Life): Disk {
  let left = operations;
  let dead = false;
  const look = <T>(run: () => T): T => {
    if (dead) throw Object.assign(new Error('EIO: the power is off'), { code: 'EIO' });
    return run();
  };
  /** Every change costs one operation; the last one is half done or not: the crash decides. */
  const change = <T>(run: () => T): T => {
    const result = look(run);
    if (--left > 0) return result;
    dead = true;
    disk.crash(chance);
    onFailure();
    return result;
  };
  disk.syncsTake(async () => {
    for (let worth = await pause(); worth > 0; worth--) change(() => {});
  });
  const wrap = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: () => look(() => file.size()),
    read: (target, targetStart, length, position) => look(() => file.read(target, targetStart, length, position)),
    write: (bytes, position) => change(() => file.write(bytes, position)),
    writeAll: (pieces, position) => change(() => file.writeAll(pieces, position)),
    truncate: (size) => change(() => file.truncate(size)),
    sync: () => change(() => file.sync()),
    syncLater: () => change(() => file.syncLater()),
    close: () => file.close(),
  });
  return {
    open: (path, mode) => change(() => wrap(disk.open(path, mode))),
    exists: (path) => look(() => disk.exists(path)),
    list: (path) => look(() => disk.list(path)),
    makeDirectory: (path) => change(() => disk.makeDirectory(path)),
    remove: (path) => change(() => disk.remove(path)),
    rename: (from, to) => change(() => disk.rename(from, to)),
    syncDirectory: (path) => change(() => disk.syncDirectory(path)),
    readWhole: (path) => look(() => disk.readWhole(path)),
    replaceWhole: (path, bytes) => change(() => disk.replaceWhole(path, bytes)),
    lock: (path) => look(() => disk.lock(path)),
    join: (...parts) => disk.join(...parts),
  };
}
