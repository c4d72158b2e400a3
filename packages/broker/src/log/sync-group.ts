// Durability as a setting: 'never' leaves data to the page cache (a killed process loses nothing, a power loss the tail), 'perBatchGroup'
// forces everything that was appended while the last sync ran with one sync per file, and lets the acknowledgements wait for it.
// Owns: which files are dirty, the sync under way.  Never: acknowledges.
// F1 what was touched before `durable()` is on the device when its promise resolves.  F2 after a failed sync nothing is promised again:
// the kernel may have dropped the pages, so only a restart (and its recovery) knows what is there.
import type { OpenFiles } from './open-files.ts';

export type FsyncPolicy = 'never' | 'perBatchGroup';

interface Round {
  readonly done: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

export class SyncGroup {
  readonly policy: FsyncPolicy;
  readonly #files: OpenFiles;
  readonly #dirty = new Set<string>();
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
    if (this.#running === undefined) void this.#run();
    return done;
  }

  /**
   * A sync outside of a round has failed. The system tells an error once: the next sync of that file would succeed, with the bytes gone.
   * `demanded`: the topic asks for the device whatever the policy.
   */
  failed(error: unknown, demanded = false): void {
    if (demanded || this.policy === 'perBatchGroup') this.#failure ??= asError(error);
  }

  async #run(): Promise<void> {
    while (this.#next !== undefined) {
      const current = this.#next;
      this.#running = current;
      this.#next = undefined;
      const paths = [...this.#dirty];
      this.#dirty.clear();
      try {
        await Promise.all(paths.map((path) => this.#files.syncLater(path)));
        if (this.#failure !== undefined) throw this.#failure;
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
