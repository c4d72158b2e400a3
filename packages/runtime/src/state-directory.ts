// The folder an instance keeps its state in: `<stateDir>/<applicationId>/<instanceId>/`, locked while it runs.
// Owns: the lock, the choice of a folder when no instance id is set, the file with the last member id, the task folders.
// Never: opens a store.  Invariant: one living process per folder, so its transactional ids are used by one process only.
import { type Chance, type Disk, type DiskLock, explainError, isLegalName, MillraceError } from '@millrace/core';

const FORMAT = 'millrace-state 1\n';
const NEW_FOLDERS_MAX = 100;

export interface StateDirectory {
  readonly path: string;
  readonly instanceId: string;
  /** Member id of the process that had this folder before, if it did not leave the group. */
  readonly lastMember: string | undefined;
  keepMember(memberId: string | undefined): void;
  /** What `keepDeliveries` last kept here. */
  readDeliveries(): string | undefined;
  keepDeliveries(text: string): void;
  /** The folder of a task's database. */
  taskPath(taskId: string): string;
  /** Tasks with a folder here. */
  storedTasks(): readonly string[];
  /** Removes the folder of a task. Nobody may have its database open. */
  removeTask(taskId: string): void;
  /** Puts a store that cannot be trusted aside; the newest two are kept. Returns where it went. */
  quarantine(taskId: string, stamp: number): string;
  release(): void;
}

export interface StateDirectoryOptions {
  readonly stateDir: string;
  readonly applicationId: string;
  /** undefined: take the first free folder, or make a new one. */
  readonly instanceId: string | undefined;
}

/** Throws ERR_STATE_LOCKED when the named instance is alive, ERR_STATE_DIR when the folder cannot be used. */
export function openStateDirectory(options: StateDirectoryOptions, disk: Disk, chance: Chance): StateDirectory {
  const root = disk.join(options.stateDir, options.applicationId);
  try {
    disk.makeDirectory(root);
    const taken = options.instanceId === undefined ? takeFree(root, disk, chance) : takeNamed(root, options.instanceId, disk);
    return describe(disk.join(root, taken.instanceId), taken.instanceId, taken.lock, disk);
  } catch (error) {
    if (MillraceError.is(error)) throw error;
    throw new MillraceError(
      'ERR_STATE_DIR',
      `the state directory ${root} cannot be used: ${explainError(error)}. Give another one with stateDir (or --data-dir), or make it a folder this user may write to.`,
      { path: root },
      error,
    );
  }
}

interface Taken {
  readonly instanceId: string;
  readonly lock: DiskLock;
}

function takeNamed(root: string, instanceId: string, disk: Disk): Taken {
  const lock = tryLock(root, instanceId, disk);
  if (lock === undefined) {
    throw new MillraceError(
      'ERR_STATE_LOCKED',
      `instance '${instanceId}' is already running on ${disk.join(root, instanceId)}. Stop it first, or start this one with another instanceId.`,
      { instance: instanceId },
    );
  }
  return { instanceId, lock };
}

function takeFree(root: string, disk: Disk, chance: Chance): Taken {
  const old = disk
    .list(root)
    .filter((entry) => entry.directory && isLegalName(entry.name))
    .map((entry) => entry.name)
    .sort();
  for (const instanceId of old) {
    const lock = tryLock(root, instanceId, disk);
    if (lock !== undefined) return { instanceId, lock };
  }
  // Another instance that starts at this moment may see our new folder before we have locked it, and take it: then it is served, and the next is for us.
  for (let attempt = 0; attempt < NEW_FOLDERS_MAX; attempt++) {
    const instanceId = chance.uuid().slice(0, 13);
    const lock = tryLock(root, instanceId, disk);
    if (lock !== undefined) return { instanceId, lock };
  }
  throw new MillraceError('ERR_STATE_LOCKED', `every new folder under ${root} was taken at once; start again, or give each instance an instanceId`);
}

function tryLock(root: string, instanceId: string, disk: Disk): DiskLock | undefined {
  const path = disk.join(root, instanceId);
  disk.makeDirectory(path);
  const lock = disk.lock(disk.join(path, 'lock'));
  if (lock === undefined) return undefined;
  const formatPath = disk.join(path, 'format');
  if (!disk.exists(formatPath)) disk.replaceWhole(formatPath, Buffer.from(FORMAT));
  const found = Buffer.from(disk.readWhole(formatPath)).toString('utf8');
  if (found !== FORMAT) {
    lock.release();
    throw new MillraceError(
      'ERR_STATE_DIR',
      `${path} was written by another version of Millrace (${JSON.stringify(found.slice(0, 40))}, this one writes ${JSON.stringify(FORMAT.trim())}). Use that version, or remove the folder: its state is rebuilt from the changelogs.`,
      { path },
    );
  }
  return lock;
}

function describe(path: string, instanceId: string, lock: DiskLock, disk: Disk): StateDirectory {
  const memberPath = disk.join(path, 'member');
  const deliveriesPath = disk.join(path, 'deliveries');
  const tasksPath = disk.join(path, 'tasks');
  disk.makeDirectory(tasksPath);
  const lastMember = disk.exists(memberPath) ? Buffer.from(disk.readWhole(memberPath)).toString('utf8') : undefined;
  return {
    path,
    instanceId,
    lastMember: lastMember === '' ? undefined : lastMember,
    keepMember(memberId) {
      if (memberId !== undefined) keepNote(disk, memberPath, memberId);
      else orElse(() => disk.remove(memberPath), undefined); // who looks for a member that has left finds none
    },
    readDeliveries: () => orElse(() => (disk.exists(deliveriesPath) ? Buffer.from(disk.readWhole(deliveriesPath)).toString('utf8') : undefined), undefined),
    keepDeliveries: (text) => keepNote(disk, deliveriesPath, text),
    taskPath: (taskId) => disk.join(tasksPath, taskId),
    // A hint for the assignment and the cleaner: a disk that does not answer just now has nothing. Whoever opens a store there learns what is wrong.
    storedTasks: () => orElse(() => disk.list(tasksPath), []).flatMap(({ name, directory }) => (directory && /^\d+_\d+$/.test(name) ? [name] : [])),
    removeTask: (taskId) => disk.remove(disk.join(tasksPath, taskId)),
    quarantine: (taskId, stamp) => quarantine(disk, path, disk.join(tasksPath, taskId), `${taskId}-${stamp}`, taskId),
    release: () => lock.release(),
  };
}

function orElse<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** A note helps the next process and is no need of this one: a full disk, of which the stores tell, does not end it here. */
function keepNote(disk: Disk, path: string, text: string): void {
  try {
    disk.replaceWhole(path, Buffer.from(text, 'utf8'));
  } catch {
    // What was noted before may be wrong by now, and says less than nothing.
    try {
      disk.remove(path);
    } catch {}
  }
}

function quarantine(disk: Disk, root: string, from: string, name: string, taskId: string): string {
  const folder = disk.join(root, 'quarantine');
  const to = disk.join(folder, name);
  try {
    disk.makeDirectory(folder);
    disk.rename(from, to);
    disk.syncDirectory(folder);
  } catch (error) {
    throw new MillraceError(
      'ERR_STATE_DIR',
      `the local state ${from} of task ${taskId} cannot be used and could not be put aside: ${explainError(error)}. Look at the disk; the folder may be removed, its state is rebuilt from the changelogs.`,
      { path: from, task: taskId },
      error,
    );
  }
  const older = orElse(() => disk.list(folder), [])
    .map((entry) => entry.name)
    .filter((entry) => entry.startsWith(`${taskId}-`))
    .sort((left, right) => Number(left.slice(taskId.length + 1)) - Number(right.slice(taskId.length + 1)));
  for (const old of older.slice(0, -2)) orElse(() => disk.remove(disk.join(folder, old)), undefined);
  return to;
}
