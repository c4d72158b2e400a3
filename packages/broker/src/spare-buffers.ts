// Large buffers that are used again: what the log is read into for an answer, and what a large request is gathered in.
// One that is allocated anew each time is new memory of the system, page by page, and work for the garbage collector.
// Owns: the buffers that lie idle.  Never: holds on to a lent one: what does not come back is the garbage collector's.
// S1 memory is lent to one holder at a time.  S2 whoever gives it back says that nobody reads it any more: the system has the bytes of the
// answer, or the request that lay in it is answered.  S3 at most `idleBytesMax` lie idle.

/** Smaller ones are cheap to allocate. */
const LENT_BYTES_MIN = 128 * 1024;
/** Larger ones are rare. */
const LENT_BYTES_MAX = 4 * 1024 * 1024;
const IDLE_BYTES_MAX = 16 * 1024 * 1024;

export class SpareBuffers {
  readonly #idleBytesMax: number;
  /** By size, a power of two. What came back last is lent first: it is still in the processor's cache. */
  readonly #idle = new Map<number, ArrayBufferLike[]>();
  /** Lent and not given back: only these are taken. */
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #idleBytes = 0;

  constructor(idleBytesMax: number = IDLE_BYTES_MAX) {
    this.#idleBytesMax = idleBytesMax;
  }

  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** A buffer of exactly `bytes` bytes with whatever was in it. */
  lend(bytes: number): Buffer {
    if (bytes < LENT_BYTES_MIN || bytes > LENT_BYTES_MAX) return Buffer.allocUnsafe(bytes);
    const size = 2 ** Math.ceil(Math.log2(bytes));
    const idle = this.#idle.get(size)?.pop();
    if (idle !== undefined) this.#idleBytes -= size;
    const memory = idle ?? Buffer.allocUnsafeSlow(size).buffer;
    this.#lent.add(memory);
    return Buffer.from(memory, 0, bytes);
  }

  /** Takes back what `lend` gave, or any view of it. Whatever was not lent, or has come back before, is let go. */
  giveBack({ buffer: memory }: Buffer): void {
    if (!this.#lent.delete(memory) || this.#idleBytes + memory.byteLength > this.#idleBytesMax) return;
    const idle = this.#idle.get(memory.byteLength);
    if (idle === undefined) this.#idle.set(memory.byteLength, [memory]);
    else idle.push(memory);
    this.#idleBytes += memory.byteLength;
  }
}

/** What one answer has lent, to be given back in one go. */
export class Loan {
  readonly #spare: SpareBuffers;
  readonly #lent: Buffer[] = [];

  constructor(spare: SpareBuffers) {
    this.#spare = spare;
  }

  readonly lend = (bytes: number): Buffer => {
    const buffer = this.#spare.lend(bytes);
    this.#lent.push(buffer);
    return buffer;
  };

  /** Nobody reads any of it any more. */
  readonly end = (): void => {
    for (const buffer of this.#lent.splice(0)) this.#spare.giveBack(buffer);
  };
}
