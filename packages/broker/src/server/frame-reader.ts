// Cuts a byte stream into frames: a 4-byte length, then that many bytes.
// Owns: the bytes that have come and are not handed out.  Never: decodes, allocates on a peer's word alone.
// P1 a length below the least request or above the cap is an error before anything is allocated.  P2 a frame inside one chunk is a view;
// one that spans chunks is copied once, into a lent buffer that grows with what has really come.
import { MillraceError } from '@millrace/core';
import type { SpareBuffers } from '../spare-buffers.ts';

const LENGTH_BYTES = 4;
/** API key, version, correlation id: nothing shorter is a request. */
const FRAME_BYTES_MIN = 8;
const FIRST_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export class FrameReader {
  /** Larger frames are an error; may be raised between frames (after a login). */
  frameBytesMax: number;
  readonly #spare: SpareBuffers | undefined;
  readonly #chunks: Buffer[] = [];
  #current: Buffer = NOTHING;
  #at = 0;
  /** The frame being filled; its declared length, and how much of it is there. */
  #frame: Buffer | undefined;
  #frameLength = 0;
  #filled = 0;

  constructor(frameBytesMax: number, spare?: SpareBuffers) {
    this.frameBytesMax = frameBytesMax;
    this.#spare = spare;
  }

  push(chunk: Buffer): void {
    if (this.#at === this.#current.length) {
      this.#current = chunk;
      this.#at = 0;
    } else this.#chunks.push(chunk);
  }

  /** True while a part of a frame is here and the rest is not. */
  get isHalf(): boolean {
    return this.#frame !== undefined || this.#at < this.#current.length || this.#chunks.length > 0;
  }

  /** How long the next frame says it is; undefined when not even that has come. Throws ERR_PROTOCOL on an impossible length. */
  nextLength(): number | undefined {
    if (this.#frame !== undefined) return this.#frameLength;
    if (!this.#holds(LENGTH_BYTES)) return undefined;
    const length = this.#current.readInt32BE(this.#at);
    if (length >= FRAME_BYTES_MIN && length <= this.frameBytesMax) return length;
    throw new MillraceError(
      'ERR_PROTOCOL',
      `a request says it has ${length} bytes; ${FRAME_BYTES_MIN} to ${this.frameBytesMax} are accepted. Is the peer a Kafka client, and do both sides agree on TLS?`,
      { length },
    );
  }

  /** The next whole frame without its length; undefined when more bytes are needed. Throws ERR_PROTOCOL on an impossible length. */
  next(): Buffer | undefined {
    if (this.#frame === undefined) {
      const length = this.nextLength();
      if (length === undefined) return undefined;
      this.#at += LENGTH_BYTES;
      if (this.#current.length - this.#at >= length) {
        const frame = this.#current.subarray(this.#at, this.#at + length);
        this.#at += length;
        return frame;
      }
      this.#frameLength = length;
      this.#filled = 0;
      this.#frame = this.#lend(Math.min(length, FIRST_BYTES));
    }
    return this.#fill() ? this.#take() : undefined;
  }

  /** True when the current chunk holds `bytes` bytes; joins it with the next ones if that is what it takes. */
  #holds(bytes: number): boolean {
    while (this.#current.length - this.#at < bytes) {
      const next = this.#chunks.shift();
      if (next === undefined) return false;
      this.#current = this.#at === this.#current.length ? next : Buffer.concat([this.#current.subarray(this.#at), next]);
      this.#at = 0;
    }
    return true;
  }

  #fill(): boolean {
    for (;;) {
      const take = Math.min(this.#frameLength - this.#filled, this.#current.length - this.#at);
      this.#makeRoom(this.#filled + take);
      this.#current.copy(this.#frame as Buffer, this.#filled, this.#at, this.#at + take);
      this.#filled += take;
      this.#at += take;
      if (this.#filled === this.#frameLength) return true;
      const next = this.#chunks.shift();
      if (next === undefined) {
        this.#current = NOTHING; // the chunk is used up: do not keep its memory
        this.#at = 0;
        return false;
      }
      this.#current = next;
      this.#at = 0;
    }
  }

  #makeRoom(bytes: number): void {
    const frame = this.#frame as Buffer;
    if (bytes <= frame.length) return;
    const larger = this.#lend(Math.min(this.#frameLength, Math.max(bytes, frame.length * 2)));
    frame.copy(larger, 0, 0, this.#filled);
    this.#spare?.giveBack(frame);
    this.#frame = larger;
  }

  #lend(bytes: number): Buffer {
    return this.#spare?.lend(bytes) ?? Buffer.allocUnsafe(bytes);
  }

  #take(): Buffer {
    const frame = this.#frame as Buffer;
    this.#frame = undefined;
    return frame;
  }
}
