// From the bytes of one connection to the next request that may begin: cuts frames, reserves memory for large ones before they are read.
// Owns: what has come and has not begun, and what was promised for it.  Never: knows answers, sockets or the login.
// I1 a request is reserved whole before any of it is kept, so two halves never wait for each other.  I2 a fetch is handed out only when
// nothing else is under way and there is memory for answers.  I3 whatever way it ends, what was promised is given back.
import { APIS } from '@millrace/protocol';
import type { SpareBuffers } from '../spare-buffers.ts';
import { FrameReader } from './frame-reader.ts';
import { type MemoryWaiter, type RequestMemory, UNCOUNTED_BYTES } from './request-memory.ts';

export interface Request {
  readonly frame: Buffer;
  readonly isFetch: boolean;
  /** Nothing of the frame is kept once it is answered: its memory may be used again. */
  readonly passes: boolean;
}

/** What is under way on the connection. */
export interface UnderWay {
  readonly requests: number;
  readonly bytes: number;
}

export class RequestIntake {
  readonly #frames: FrameReader;
  readonly #memory: RequestMemory;
  readonly #inFlightBytesMax: number;
  readonly #again: () => void;
  /** Read, and may not begin yet. */
  #held: Request | undefined;
  /** Length of the frame whose memory is granted or waited for; undefined: the next one has not asked. */
  #asked: number | undefined;
  #waiter: MemoryWaiter | undefined;
  #fetchGranted = false;
  /** The next request would be too much beside those under way. */
  #crowded = false;
  #sinceMs = 0;

  /** `again` is called, in a turn of its own, when memory was granted. */
  constructor(frameBytesMax: number, inFlightBytesMax: number, memory: RequestMemory, spare: SpareBuffers, again: () => void) {
    this.#frames = new FrameReader(frameBytesMax, spare);
    this.#inFlightBytesMax = inFlightBytesMax;
    this.#memory = memory;
    this.#again = again;
  }

  push(chunk: Buffer): void {
    this.#frames.push(chunk);
  }

  /** From now on, larger ones are an error. */
  allowFrames(bytesMax: number): void {
    this.#frames.frameBytesMax = bytesMax;
  }

  /** True when reading more would not help. */
  get isBlocked(): boolean {
    return this.#held !== undefined || this.#waiter !== undefined || this.#crowded;
  }

  /** True when nothing has come that waits to begin. */
  get isEmpty(): boolean {
    return this.#held === undefined && !this.#frames.isHalf;
  }

  /** Since when a request has been coming in that is not whole; undefined: there is none. */
  get halfSinceMs(): number | undefined {
    return this.#frames.isHalf ? this.#sinceMs : undefined;
  }

  /** The next request that may begin. Throws ERR_PROTOCOL on an impossible length. */
  next(underWay: UnderWay, nowMs: number): Request | undefined {
    if (this.#waiter !== undefined) return undefined;
    const request = this.#held ?? this.#read(underWay, nowMs);
    this.#held = undefined;
    if (request === undefined || !request.isFetch || this.#mayFetch(underWay)) return request;
    this.#held = request;
    return undefined;
  }

  /** A request of this connection is answered. */
  answered(bytes: number): void {
    this.#crowded = false;
    if (bytes > UNCOUNTED_BYTES) this.#memory.release(bytes);
  }

  /** The connection is over. */
  close(): void {
    const counted = this.#held?.frame.length ?? (this.#waiter === undefined ? this.#asked : undefined);
    if (this.#waiter !== undefined) this.#memory.forget(this.#waiter);
    if (counted !== undefined && counted > UNCOUNTED_BYTES) this.#memory.release(counted);
    this.#waiter = undefined;
    this.#held = undefined;
    this.#asked = undefined;
  }

  #mayFetch(underWay: UnderWay): boolean {
    if (underWay.requests > 0) return false;
    if (!this.#fetchGranted && !this.#reserve(0)) return false;
    this.#fetchGranted = false;
    return true;
  }

  #read(underWay: UnderWay, nowMs: number): Request | undefined {
    if (this.#asked === undefined) {
      const length = this.#frames.nextLength();
      if (length === undefined) return undefined;
      if (underWay.requests > 0 && underWay.bytes + length > this.#inFlightBytesMax) {
        this.#crowded = true;
        return undefined;
      }
      this.#asked = length;
      this.#sinceMs = nowMs;
      if (length > UNCOUNTED_BYTES && !this.#reserve(length)) return undefined;
    }
    const frame = this.#frames.next();
    if (frame === undefined) return undefined;
    this.#asked = undefined;
    const apiKey = frame.readInt16BE(0);
    return { frame, isFetch: apiKey === APIS.fetch.key, passes: apiKey === APIS.produce.key };
  }

  #reserve(bytes: number): boolean {
    const waiter: MemoryWaiter = {
      bytes,
      go: () => {
        this.#waiter = undefined;
        this.#fetchGranted = bytes === 0;
        queueMicrotask(this.#again); // whoever made room finishes its turn first
      },
    };
    if (this.#memory.reserve(waiter)) return true;
    this.#waiter = waiter;
    return false;
  }
}
