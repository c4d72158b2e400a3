// The broker's data directory: whose it is, which format it has, whether it was closed cleanly, and the epoch that follows.
// Files: `lock` (held while a broker runs), `format`, `meta.json` (cluster id, node id, leader epoch), `clean-shutdown` (only between
// a clean close and the next start), `topics/` (topic-files.ts).
// Owns: these files but `topics/`.  Never: opens a log.
// D1 the clean mark is gone, durably, before anything is written.  D2 an unclean start raises the leader epoch, durably, before it is served.
import { type Chance, type Disk, type DiskLock, explainError, MillraceError } from '@millrace/core';

const FORMAT_NAME = 'millrace-broker';
const FORMAT_VERSION = 1;

export interface BrokerIdentity {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly leaderEpoch: number;
}

export interface OpenDataDir extends BrokerIdentity {
  readonly path: string;
  /** The last broker here closed cleanly, or the directory is new. */
  readonly clean: boolean;
  /** Sets the clean mark; everything else must be closed. */
  markClean(): void;
  release(): void;
}

/** Throws ERR_DATA_DIR: not usable, held by another process, or of a format we do not know. */
export function openDataDir(disk: Disk, path: string, chance: Chance): OpenDataDir {
  const lock = take(disk, path);
  try {
    const isNew = checkFormat(disk, path);
    const markPath = disk.join(path, 'clean-shutdown');
    const clean = isNew || disk.exists(markPath);
    if (disk.exists(markPath)) {
      disk.remove(markPath);
      disk.syncDirectory(path);
    }
    const identity = raiseEpoch(disk, path, clean, chance);
    return {
      ...identity,
      path,
      clean,
      markClean: () => disk.replaceWhole(markPath, Buffer.from(`${JSON.stringify({ version: 1 })}\n`)),
      release: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function take(disk: Disk, path: string): DiskLock {
  let lock: DiskLock | undefined;
  try {
    const isNew = !disk.exists(path);
    disk.makeDirectory(path);
    if (isNew) syncParent(disk, path);
    lock = disk.lock(disk.join(path, 'lock'));
  } catch (cause) {
    throw new MillraceError(
      'ERR_DATA_DIR',
      `The broker cannot use ${path} as its data directory: ${whyUnusable(cause)}. Choose a directory this user may write to.`,
      { file: path },
      cause,
    );
  }
  if (lock !== undefined) return lock;
  throw new MillraceError(
    'ERR_DATA_DIR',
    `The broker's data directory ${path} is in use: another process has it. Stop that broker, connect to it instead, or choose another data directory.`,
    { file: disk.join(path, 'lock'), locked: 'yes' },
  );
}

/** Makes a new directory's name durable where the user may do that; where not, the file system does it in its own time. */
function syncParent(disk: Disk, path: string): void {
  try {
    disk.syncDirectory(disk.join(path, '..'));
  } catch {
    // a parent that may be passed through but not read
  }
}

/** What the system's code means here; its own words follow as the cause. */
function whyUnusable(cause: unknown): string {
  switch ((cause as { readonly code?: unknown }).code) {
    case 'EEXIST':
    case 'ENOTDIR':
      return 'it is a file, or lies in one, and must be a directory';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'this user may not write there';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return explainError(cause);
  }
}

/** True when the directory is new. */
function checkFormat(disk: Disk, path: string): boolean {
  const file = disk.join(path, 'format');
  if (!disk.exists(file)) {
    const strays = disk.list(path).filter(({ name }) => name !== 'lock' && !name.startsWith('lock.') && !name.endsWith('.tmp'));
    if (strays.length > 0)
      throw damaged(
        file,
        `${path} holds files (${strays[0]?.name} …) but no format file, so it is no data directory of this broker`,
        'Choose an empty or new directory.',
      );
    disk.replaceWhole(file, Buffer.from(`${JSON.stringify({ format: FORMAT_NAME, version: FORMAT_VERSION })}\n`));
    return true;
  }
  const parsed = readJson(disk, file);
  if (parsed.format !== FORMAT_NAME) throw damaged(file, `${file} does not say that this is a data directory of this broker`, 'Choose another directory.');
  if (parsed.version !== FORMAT_VERSION)
    throw damaged(
      file,
      `${file} says format version ${String(parsed.version)}; this broker knows ${FORMAT_VERSION}`,
      'Use the Millrace version that wrote it, or choose another directory.',
    );
  return false;
}

function raiseEpoch(disk: Disk, path: string, clean: boolean, chance: Chance): BrokerIdentity {
  const file = disk.join(path, 'meta.json');
  const write = (identity: BrokerIdentity): BrokerIdentity => {
    disk.replaceWhole(file, Buffer.from(`${JSON.stringify({ version: FORMAT_VERSION, ...identity })}\n`));
    return identity;
  };
  if (!disk.exists(file)) {
    // The first start, or one that died before its first write: there is no topic yet.
    return write({ clusterId: Buffer.from(chance.uuid().replaceAll('-', ''), 'hex').toString('base64url'), nodeId: 1, leaderEpoch: 0 });
  }
  const parsed = readJson(disk, file);
  const { clusterId, nodeId, leaderEpoch } = parsed as Partial<BrokerIdentity>;
  if (typeof clusterId !== 'string' || !Number.isInteger(nodeId) || !Number.isInteger(leaderEpoch))
    throw damaged(file, `${file} is damaged`, 'Restore it from a backup, or choose another directory.');
  const identity = { clusterId, nodeId: nodeId as number, leaderEpoch: leaderEpoch as number };
  return clean ? identity : write({ ...identity, leaderEpoch: identity.leaderEpoch + 1 });
}

function readJson(disk: Disk, file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(disk.readWhole(file)).toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  } catch (cause) {
    throw damaged(file, `${file} cannot be read (${explainError(cause)})`, 'Restore it from a backup, or choose another directory.', cause);
  }
  throw damaged(file, `${file} is damaged`, 'Restore it from a backup, or choose another directory.');
}

function damaged(file: string, what: string, fix: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_DATA_DIR', `The broker's data directory cannot be used: ${what}. ${fix}`, { file }, cause);
}
