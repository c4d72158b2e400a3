// Buffers for received frames, reused: without a pool a fetching worker spends a fifth more CPU and twice the memory.
// Owns: the free buffers, in power-of-two sizes, bounded in bytes.  Never: hands one buffer out twice at a time.
import { assert } from '@millrace/core';

const CLASS_BYTES_MIN = 16 * 1024;
/** Frames beyond this are rare and go to the garbage collector. */
const CLASS_BYTES_MAX = 16 * 1024 * 1024;

/** A frame's memory and how many parts of it are still looked at. */
export class PooledFrame {
  readonly buffer: Buffer;
  readonly #pool: FramePool | undefined;
  #holders = 1;

  constructor(buffer: Buffer, pool: FramePool | undefined) {
    this.buffer = buffer;
    this.#pool = pool;
  }

  /** One more part holds the frame. */
  hold(): void {
    assert(this.#holders > 0, 'frame held after its last release');
    this.#holders++;
  }

  /** The memory goes back to the pool with the last release. */
  release(): void {
    assert(this.#holders > 0, 'frame released more often than held');
    this.#holders--;
    if (this.#holders === 0) this.#pool?.recycle(this.buffer);
  }
}

export class FramePool {
  readonly #freeBySize = new Map<number, Buffer[]>();
  readonly #freeBytesMax: number;
  #freeBytes = 0;

  /** `freeBytesMax`: most memory kept while nobody uses it. */
  constructor(freeBytesMax: number) {
    this.#freeBytesMax = freeBytesMax;
  }

  /** Kept while nobody uses it, bytes. */
  get idleBytes(): number {
    return this.#freeBytes;
  }

  /** A buffer of at least `size` bytes. */
  take(size: number): PooledFrame {
    if (size > CLASS_BYTES_MAX) return new PooledFrame(Buffer.allocUnsafeSlow(size), undefined);
    let bytes = CLASS_BYTES_MIN;
    while (bytes < size) bytes *= 2;
    const free = this.#freeBySize.get(bytes)?.pop();
    if (free !== undefined) this.#freeBytes -= bytes;
    return new PooledFrame(free ?? Buffer.allocUnsafeSlow(bytes), this);
  }

  /** For `PooledFrame.release` only. */
  recycle(buffer: Buffer): void {
    if (this.#freeBytes + buffer.length > this.#freeBytesMax) return;
    this.#freeBytes += buffer.length;
    const free = this.#freeBySize.get(buffer.length);
    if (free === undefined) this.#freeBySize.set(buffer.length, [buffer]);
    else free.push(buffer);
  }
}
