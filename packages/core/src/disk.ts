// Files as a port, for the broker's log, side files and locks (store engines bring their own files).
// Synchronous on purpose: an append is a memory copy into the page cache, and order stays plain to see.
// A power loss keeps what was synced; a process kill keeps what was written. The in-memory adapter models both.

export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Writes all of `bytes` at `position`. Throws the system's error (ENOSPC, EIO …) with nothing half said: the caller truncates. */
  write(bytes: Uint8Array, position: number): void;
  /** Writes several pieces one after another at `position`. */
  writeAll(pieces: readonly Uint8Array[], position: number): void;
  /** Reads up to `length` bytes at `position` into `target` at `targetStart`; returns how many there were. */
  read(target: Uint8Array, targetStart: number, length: number, position: number): number;
  truncate(size: number): void;
  /** Forces data to the device, blocking. */
  sync(): void;
  /** Forces data to the device without blocking the caller. */
  syncLater(): Promise<void>;
  close(): void;
}

export interface DiskEntry {
  readonly name: string;
  readonly directory: boolean;
}

/** Held until `release` or the end of the process, whichever comes first. */
export interface DiskLock {
  readonly path: string;
  release(): void;
}

export interface Disk {
  /** 'create': must not exist; 'open': must exist; 'openOrCreate'. */
  open(path: string, mode: 'create' | 'open' | 'openOrCreate' | 'read'): DiskFile;
  exists(path: string): boolean;
  list(path: string): readonly DiskEntry[];
  makeDirectory(path: string): void;
  /** Removes a file or a whole directory; not there is fine. */
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Makes renames, creations and removals in this directory durable. */
  syncDirectory(path: string): void;
  readWhole(path: string): Uint8Array;
  /** Replaces `path` so that a crash leaves the old or the new content, never a mix: temp, sync, rename, sync directory. */
  replaceWhole(path: string, bytes: Uint8Array): void;
  /** Undefined when a live owner (this process or another) holds it. A dead owner's lock is taken over. */
  lock(path: string): DiskLock | undefined;
  join(...parts: string[]): string;
}
