// A bounded set of open file handles, so that thousands of partitions do not need thousands of descriptors.
// Owns: which files are open.  Never: decides when data becomes durable.
// O1 at most `openMax` handles.  O2 a handle is used only between two calls: nobody keeps what `file` returned.
import type { Disk, DiskFile } from '@millrace/core';

/** Half of the usual soft limit of 1024 descriptors: the other half is for sockets. */
const OPEN_FILES_MAX = 512;

export class OpenFiles {
  readonly disk: Disk;
  readonly #openMax: number;
  readonly #open = new Map<string, DiskFile>(); // in order of last use
  #last: DiskFile | undefined;

  constructor(disk: Disk, openMax: number = OPEN_FILES_MAX) {
    this.disk = disk;
    this.#openMax = openMax;
  }

  /** The open file. Valid until the next call. Throws the system's ENOENT for one that is not there: a read must not bring back what was removed. */
  file(path: string): DiskFile {
    return this.#file(path, 'open');
  }

  /** The same, created if it is missing. */
  create(path: string): DiskFile {
    return this.#file(path, 'openOrCreate');
  }

  #file(path: string, mode: 'open' | 'openOrCreate'): DiskFile {
    if (this.#last?.path === path) return this.#last;
    let file = this.#open.get(path);
    if (file === undefined) {
      file = this.disk.open(path, mode);
      if (this.#open.size >= this.#openMax) this.#closeOldest();
    } else {
      this.#open.delete(path);
    }
    this.#open.set(path, file);
    this.#last = file;
    return file;
  }

  /** Closes the handle, if there is one: before a rename or a removal. */
  release(path: string): void {
    if (this.#last?.path === path) this.#last = undefined;
    this.#open.get(path)?.close();
    this.#open.delete(path);
  }

  /** Forces the file to the device without blocking, over a handle of its own: the shared one may be closed meanwhile. */
  async syncLater(path: string): Promise<void> {
    if (!this.disk.exists(path)) return; // removed since: retention, topic deletion
    const file = this.disk.open(path, 'open');
    try {
      await file.syncLater();
    } finally {
      file.close();
    }
  }

  closeAll(): void {
    this.#last = undefined;
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  #closeOldest(): void {
    for (const [path, file] of this.#open) {
      file.close();
      this.#open.delete(path);
      return;
    }
  }
}
