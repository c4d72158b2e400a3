// Durability as a setting: 'never' leaves data to the page cache (a killed process loses nothing, a power loss the tail), 'perBatchGroup'
// forces everything that was appended while the last sync ran with one sync per file, and lets the acknowledgements wait for it.
// Owns: which files are dirty, the sync under way.  Never: acknowledges.
// F1 what was touched before `durable()` is on the device when its promise resolves.  F2 after a failed sync nothing is promised or shown
// again: the kernel may have dropped the pages, so only a restart (and its recovery) knows what is there.
// F3 a log that grew is told when what it had at the begin of a sync is on the device, before anybody who waits for that sync; a sync
// comes even if nobody waits for one.
import type { OpenFiles } from './open-files.ts';

export type FsyncPolicy = 'never' | 'perBatchGroup';

/** A log that shows its readers only what is on the device. */
export interface HidingLog {
  /** A sync of all that was appended so far begins. Returns what is to be done once that is on the device. */
  syncBegins(): () => void;
}

interface Round {
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

export class SyncGroup {
  readonly policy: FsyncPolicy;
  readonly #files: OpenFiles;
  readonly #dirty = new Set<string>();
  readonly #grown = new Set<HidingLog>();
  #running: Round | undefined;
  #next: Round | undefined;
  #failure: Error | undefined;

  constructor(files: OpenFiles, policy: FsyncPolicy) {
    this.#files = files;
    this.policy = policy;
  }

  /** The file has bytes that no sync has seen. `demanded`: the topic asks for the device whatever the policy. */
  touch(path: string, demanded = false): void {
    if (demanded || this.policy === 'perBatchGroup') this.#dirty.add(path);
  }

  /** The log has appended what it hides, to a file that was touched. */
  grew(log: HidingLog): void {
    this.#grown.add(log);
    if (this.#next !== undefined || this.#failure !== undefined) return;
    this.#next = round();
    queueMicrotask(() => this.#begin()); // whoever appends to several files has done so by then
  }

  /** Makes creations and renames in the directory durable, where the policy or the topic asks for it. */
  touchDirectory(path: string, demanded = false): void {
    if (demanded || this.policy === 'perBatchGroup') this.#files.disk.syncDirectory(path);
  }

  /** Undefined when nothing has to be waited for. */
  durable(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#dirty.size === 0) return this.#running?.done;
    this.#next ??= round();
    const { done } = this.#next;
    this.#begin();
    return done;
  }

  /**
   * A sync outside of a round has failed. The system tells an error once: the next sync of that file would succeed, with the bytes gone.
   * `demanded`: the topic asks for the device whatever the policy.
   */
  failed(error: unknown, demanded = false): void {
    if (demanded || this.policy === 'perBatchGroup') this.#failure ??= asError(error);
  }

  #begin(): void {
    if (this.#running === undefined) void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#next !== undefined) {
      const current = this.#next;
      this.#running = current;
      this.#next = undefined;
      const paths = [...this.#dirty];
      this.#dirty.clear();
      const shows = Array.from(this.#grown, (log) => log.syncBegins());
      this.#grown.clear();
      try {
        await Promise.all(paths.map((path) => this.#files.syncLater(path)));
        if (this.#failure !== undefined) throw this.#failure;
        for (const show of shows) show();
        current.resolve();
      } catch (error) {
        this.#failure = asError(error);
        current.reject(this.#failure);
      }
    }
    this.#running = undefined;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function round(): Round {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const done = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  done.catch(() => {}); // whoever waits sees the rejection; nobody waiting is no defect
  return { done, resolve, reject };
}
