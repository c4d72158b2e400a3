// The memory of all requests and answers under way in this broker, so that many greedy clients together cannot take it all.
// Owns: the count and the queue of those who wait.  Never: holds the bytes, knows connections.
// M1 who asks first is served first.  M2 one request may go over the bound, so that the largest allowed one always fits somewhere.
// M3 small requests are not counted: heartbeats and commits never wait for somebody else's megabytes. Source: as queued.max.request.bytes.

/** Requests up to this size pass uncounted; what they can add up to is bounded by the number of connections. */
export const UNCOUNTED_BYTES = 65_536;

export interface MemoryWaiter {
  readonly bytes: number;
  readonly go: () => void;
}

export class RequestMemory {
  readonly #bytesMax: number;
  readonly #waiting: MemoryWaiter[] = [];
  readonly #becameShort: () => void;
  #usedBytes = 0;
  #granting = false;

  /** `becameShort` is called when somebody has to wait and nobody had to before. */
  constructor(bytesMax: number, becameShort: () => void) {
    this.#bytesMax = bytesMax;
    this.#becameShort = becameShort;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }
  /** True while somebody waits. */
  get isShort(): boolean {
    return this.#waiting.length > 0;
  }

  /** True: counted, give it back with `release`. False: `waiter.go` is called once it is counted. */
  reserve(waiter: MemoryWaiter): boolean {
    if (this.#waiting.length === 0 && this.#usedBytes < this.#bytesMax) {
      this.#usedBytes += waiter.bytes;
      return true;
    }
    this.#waiting.push(waiter);
    if (this.#waiting.length === 1) this.#becameShort();
    return false;
  }

  /** Counts what is there already, whatever the bound. */
  add(bytes: number): void {
    this.#usedBytes += bytes;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#grant();
  }

  /** Gives up waiting. */
  forget(waiter: MemoryWaiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#grant();
  }

  #grant(): void {
    if (this.#granting) return; // `go` may release at once: the loop below goes on by itself
    this.#granting = true;
    try {
      while (this.#waiting.length > 0 && this.#usedBytes < this.#bytesMax) {
        const waiter = this.#waiting.shift() as MemoryWaiter;
        this.#usedBytes += waiter.bytes;
        waiter.go();
      }
    } finally {
      this.#granting = false;
    }
  }
}
