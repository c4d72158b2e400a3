// One client connection: frames in, answers out in request order, never more in flight than the bounds allow.
// Owns: the queue of answers, the pauses.  Never: decodes requests (the router does), keeps a frame after its handler has answered.
// N1 answers leave in the order of their requests, whenever their handlers finish.  N2 no request is begun while `inFlightMax` wait or the
// peer does not take what was written: a slow or greedy client costs bounded memory and nobody else.  N3 after the end nothing is written.
import { type Clock, explainError, type Logger, MillraceError, type Socket, type SocketEvents } from '@millrace/core';
import type { ClientConnection } from '../handler.ts';
import { FrameReader } from './frame-reader.ts';

/** An answer as pieces for one writev; undefined: the request gets none. */
export type Answer = readonly Buffer[] | undefined;

/** What a connection needs of the router. A rejection or throw ends the connection. */
export interface RequestSink {
  handle(frame: Buffer, connection: ClientConnection): Answer | Promise<Answer>;
}

export interface ConnectionLimits {
  readonly frameBytesMax: number;
  readonly inFlightMax: number;
}

interface Slot {
  ready: boolean;
  answer: Answer;
}

export class Connection implements ClientConnection {
  readonly id: number;
  readonly host: string;
  readonly #socket: Socket;
  readonly #sink: RequestSink;
  readonly #limits: ConnectionLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #frames: FrameReader;
  readonly #slots: Slot[] = [];
  readonly #closeHooks = new Set<() => void>();
  readonly #gone: (connection: Connection) => void;
  #closed = false;
  #blocked = false;
  #paused = false;
  #pumping = false;
  #lastUsedMs: number;

  constructor(
    id: number,
    socket: Socket,
    sink: RequestSink,
    limits: ConnectionLimits,
    ports: { readonly clock: Clock; readonly log: Logger },
    gone: (connection: Connection) => void,
  ) {
    this.id = id;
    this.host = socket.remoteAddress;
    this.#socket = socket;
    this.#sink = sink;
    this.#limits = limits;
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#frames = new FrameReader(limits.frameBytesMax);
    this.#gone = gone;
    this.#lastUsedMs = ports.clock.monotonicMs();
  }

  get closed(): boolean {
    return this.#closed;
  }
  /** Since when nothing was asked; undefined while something is in flight. */
  get idleSinceMs(): number | undefined {
    return this.#slots.length > 0 ? undefined : this.#lastUsedMs;
  }

  onClose(run: () => void): () => void {
    if (this.#closed) {
      run();
      return () => {};
    }
    this.#closeHooks.add(run);
    return () => void this.#closeHooks.delete(run);
  }
  close(): void {
    if (!this.#closed) this.#socket.destroy();
  }

  // ---- socket events --------------------------------------------------------------------------------------------------

  /** What the socket calls. Separate from `onClose`, which is for handlers. */
  readonly socketEvents: SocketEvents = {
    onData: (chunk) => {
      if (this.#closed) return;
      this.#lastUsedMs = this.#clock.monotonicMs();
      this.#frames.push(chunk);
      this.#pump();
    },
    onDrain: () => {
      this.#blocked = false;
      this.#pump();
    },
    onClose: (error) => this.#finish(error),
  };

  // ---- requests -------------------------------------------------------------------------------------------------------

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#closed && !this.#blocked && this.#slots.length < this.#limits.inFlightMax) {
        const frame = this.#frames.next();
        if (frame === undefined) break;
        this.#begin(frame);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#pumping = false;
    }
    const full = this.#blocked || this.#slots.length >= this.#limits.inFlightMax;
    if (this.#closed || full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  #begin(frame: Buffer): void {
    const slot: Slot = { ready: false, answer: undefined };
    this.#slots.push(slot);
    const result = this.#sink.handle(frame, this);
    if (!(result instanceof Promise)) {
      this.#answered(slot, result);
      return;
    }
    result.then(
      (answer) => {
        this.#answered(slot, answer);
        this.#pump();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #answered(slot: Slot, answer: Answer): void {
    slot.ready = true;
    slot.answer = answer;
    if (this.#slots[0] !== slot || this.#closed) return;
    this.#socket.cork();
    while (this.#slots[0]?.ready === true) {
      const { answer: pieces } = this.#slots.shift() as Slot;
      for (const piece of pieces ?? []) if (!this.#socket.write(piece)) this.#blocked = true;
    }
    this.#socket.uncork();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    // A peer that speaks nonsense is its own trouble; anything else is a defect of ours and worth an alarm.
    const fields = { connection: this.id, host: this.host, error: explainError(error) };
    if (MillraceError.is(error)) this.#log.warn(fields, 'closing a connection that broke the protocol');
    else this.#log.error({ ...fields, stack: error instanceof Error ? error.stack : undefined }, 'closing a connection: its request failed');
    this.#socket.destroy();
    this.#finish(undefined);
  }

  #finish(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (error !== undefined) this.#log.debug({ connection: this.id, host: this.host, error: error.message }, 'connection lost');
    this.#slots.length = 0;
    for (const run of this.#closeHooks) run();
    this.#closeHooks.clear();
    this.#gone(this);
  }
}
