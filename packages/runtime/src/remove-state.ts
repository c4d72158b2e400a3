// Takes away what an application keeps on this disk, for `millrace reset`.
// Never: while an instance lives there, all of its folders are locked first.
import { type Disk, type DiskLock, MillraceError } from '@millrace/core';

/** Folders of instances of an application under `stateDir`. */
export function stateFolders(stateDir: string, applicationId: string, disk: Disk): readonly string[] {
  const root = disk.join(stateDir, applicationId);
  if (!disk.exists(root)) return [];
  return disk.list(root).flatMap(({ name, directory }) => (directory ? [disk.join(root, name)] : []));
}

/** Removes all of them, or none: throws ERR_STATE_LOCKED with the folder in which an instance lives. */
export function removeState(stateDir: string, applicationId: string, disk: Disk): void {
  const locks: DiskLock[] = [];
  try {
    const folders = stateFolders(stateDir, applicationId, disk);
    for (const folder of folders) {
      const lock = disk.lock(disk.join(folder, 'lock'));
      if (lock === undefined)
        throw new MillraceError('ERR_STATE_LOCKED', `An instance of ${applicationId} is running on ${folder}. Stop it first.`, { path: folder });
      locks.push(lock);
    }
    // Not yet the locks: nobody may move in between.
    for (const folder of folders) for (const { name } of disk.list(folder)) if (name !== 'lock') disk.remove(disk.join(folder, name));
  } finally {
    for (const lock of locks) lock.release();
  }
  disk.remove(disk.join(stateDir, applicationId));
}
