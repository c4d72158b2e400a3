// Cuts the byte stream of a connection into frames. A frame that lies whole in one chunk is not copied (pooled mode apart: there the chunk would pin it).
// Owns: the frame being filled.  Never: allocates before the declared length was checked.
// F1 a frame is given out once and never touched again by this side.
import { MillraceError } from '@millrace/core';
import type { FramePool, PooledFrame } from './frame-pool.ts';

/** A TLS alert or an HTTP answer read as a length lies far above this; Kafka's own limit for requests is 100 MiB. */
export const FRAME_BYTES_MAX = 128 * 1024 * 1024;

export interface FrameSink {
  /** `frame` without its length; `pooled` is set in pooled mode and must be released. */
  onFrame(frame: Buffer, pooled: PooledFrame | undefined): void;
}

export class FrameAssembler {
  readonly #sink: FrameSink;
  readonly #pool: FramePool | undefined;
  /** The length field, while it is incomplete. */
  readonly #lengthBytes = Buffer.alloc(4);
  #lengthFilled = 0;
  #frame: Buffer | undefined;
  #pooled: PooledFrame | undefined;
  #frameFilled = 0;

  constructor(sink: FrameSink, pool: FramePool | undefined) {
    this.#sink = sink;
    this.#pool = pool;
  }

  /** Throws ERR_PROTOCOL when the bytes cannot be Kafka's; the connection is then useless. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#frame !== undefined) {
        at = this.#fill(this.#frame, chunk, at);
        continue;
      }
      if (this.#lengthFilled === 0 && chunk.length - at >= 4) {
        const size = checkLength(chunk.readInt32BE(at));
        at += 4;
        if (this.#pool === undefined && chunk.length - at >= size) {
          this.#sink.onFrame(chunk.subarray(at, at + size), undefined);
          at += size;
        } else this.#begin(size);
        continue;
      }
      this.#lengthBytes[this.#lengthFilled++] = chunk[at++] as number;
      if (this.#lengthFilled === 4) {
        this.#lengthFilled = 0;
        this.#begin(checkLength(this.#lengthBytes.readInt32BE(0)));
      }
    }
  }

  /** Gives up the frame being filled (the connection is over). */
  drop(): void {
    this.#pooled?.release();
    this.#pooled = undefined;
    this.#frame = undefined;
  }

  #begin(size: number): void {
    this.#frameFilled = 0;
    if (this.#pool === undefined) {
      this.#frame = Buffer.allocUnsafe(size);
      return;
    }
    this.#pooled = this.#pool.take(size);
    this.#frame = this.#pooled.buffer.subarray(0, size);
  }

  #fill(frame: Buffer, chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + frame.length - this.#frameFilled);
    chunk.copy(frame, this.#frameFilled, from, end);
    this.#frameFilled += end - from;
    if (this.#frameFilled === frame.length) {
      const pooled = this.#pooled;
      this.#frame = undefined;
      this.#pooled = undefined;
      this.#sink.onFrame(frame, pooled);
    }
    return end;
  }
}

function checkLength(size: number): number {
  if (size >= 4 && size <= FRAME_BYTES_MAX) return size;
  throw new MillraceError(
    'ERR_PROTOCOL',
    `The other side does not speak Kafka's protocol (it announced a message of ${size} bytes). Check the port, and whether it expects TLS (\`ssl\`).`,
    { frameBytes: size },
  );
}
