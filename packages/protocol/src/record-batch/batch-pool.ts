// Buffers for batches, used again and again: without a pool the garbage collector pays for every batch sent.
// Owns: the idle buffers, at most idleBytesMax of them.  Never: clears a buffer, hands one out twice.
import { BatchBuilder, type BatchMemory } from './batch-builder.ts';

export interface BatchPoolOptions {
  /** Size of a fresh buffer (16 KiB). */
  readonly initialBytes?: number;
  /** Idle memory kept (8 MiB); what would exceed it goes to the garbage collector. */
  readonly idleBytesMax?: number;
}

export class BatchPool implements BatchMemory {
  readonly #initialBytes: number;
  /** Most bytes of idle buffers kept. */
  readonly idleBytesMax: number;
  readonly #idle: Buffer[] = [];
  #idleBytes = 0;

  constructor(options: BatchPoolOptions = {}) {
    this.#initialBytes = Math.max(256, options.initialBytes ?? 16 * 1024);
    this.idleBytesMax = options.idleBytesMax ?? 8 * 1024 * 1024;
  }

  /** Bytes of idle buffers. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** An empty builder; give it back with `release`. */
  take(): BatchBuilder {
    const idle = this.#idle.pop();
    if (idle !== undefined) this.#idleBytes -= idle.length;
    return new BatchBuilder(idle ?? Buffer.allocUnsafeSlow(this.#initialBytes), this);
  }

  /** @internal A buffer of at least `needed` bytes with the first `used` bytes of `buffer`, which becomes idle. */
  larger(buffer: Buffer, used: number, needed: number): Buffer {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2));
    buffer.copy(grown, 0, 0, used);
    this.giveBack(buffer);
    return grown;
  }

  /** @internal */
  giveBack(buffer: Buffer): void {
    if (this.#idleBytes + buffer.length > this.idleBytesMax) return;
    this.#idle.push(buffer);
    this.#idleBytes += buffer.length;
  }
}
