// One client connection: frames in, answers out in request order, never more under way than the bounds allow.
// Owns: the queue of answers, the pauses, the time a peer has to log in.  Never: decodes requests (the router does), keeps a frame after its
// handler has answered.
// N1 answers leave in the order of their requests, whenever their handlers finish.  N2 no request is begun while its connection has too many
// or too large ones under way, the peer does not take what was written, or the broker's memory for requests is used up: a slow or greedy
// client costs bounded memory and nobody else.  N3 after the end nothing is written.  N4 a fetch is alone on its connection: its answer may
// be as large as `fetchBytesMax`, and there is never a second one in memory.  N5 before the login one small request at a time.
import { type Clock, type Counter, explainError, type Logger, MillraceError, type Socket, type SocketEvents, type Timer, type Timers } from '@millrace/core';
import type { ClientConnection } from '../handler.ts';
import { Login, type LoginRules } from '../security/login.ts';
import type { SpareBuffers } from '../spare-buffers.ts';
import { type Request, RequestIntake } from './request-intake.ts';
import type { RequestMemory } from './request-memory.ts';

/** An answer as pieces for one writev. `taken` is called once the system has them all. */
export interface Answer {
  readonly pieces: readonly Buffer[];
  readonly taken: (() => void) | undefined;
}
/** undefined: the request gets none. */
export type AnswerOrNone = Answer | undefined;

/** What a connection needs of the router. A rejection or throw ends the connection. */
export interface RequestSink {
  handle(frame: Buffer, connection: ClientConnection): AnswerOrNone | Promise<AnswerOrNone>;
}

export interface ConnectionLimits {
  readonly frameBytesMax: number;
  readonly inFlightMax: number;
  /** Of the requests under way on one connection; one request alone may be larger. */
  readonly inFlightBytesMax: number;
  readonly loginFrameBytesMax: number;
  readonly loginRequestsMax: number;
  /** From the first byte to the login. */
  readonly loginMs: number;
}

/** What all connections of a listener share. */
export interface ConnectionHost {
  readonly sink: RequestSink;
  readonly limits: ConnectionLimits;
  readonly memory: RequestMemory;
  readonly spare: SpareBuffers;
  readonly login: LoginRules | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  readonly gone: (connection: Connection) => void;
  readonly requests: Counter;
  readonly receivedBytes: Counter;
  readonly sentBytes: Counter;
}

/** How long a peer whose login was refused may take to read the refusal. */
const LINGER_MS = 1_000;

interface Slot {
  ready: boolean;
  answer: AnswerOrNone;
  readonly bytes: number;
  readonly isFetch: boolean;
  /** The request's memory, if nobody needs it once the answer is there. */
  readonly spent: Buffer | undefined;
}

export class Connection implements ClientConnection {
  readonly id: number;
  readonly host: string;
  readonly login: Login;
  readonly #shared: ConnectionHost;
  readonly #socket: Socket;
  readonly #intake: RequestIntake;
  readonly #slots: Slot[] = [];
  readonly #closeHooks = new Set<() => void>();
  #loginTimer: Timer | undefined;
  #muteTimer: Timer | undefined;
  #mutedUntilMs = 0;
  #requests = 0;
  #inFlightBytes = 0;
  /** Of answers the peer has not taken. */
  #answerBytes = 0;
  #closed = false;
  #blocked = false;
  #paused = false;
  #pumping = false;
  #lastUsedMs: number;
  #lastBuffered = 0;

  constructor(id: number, socket: Socket, shared: ConnectionHost) {
    const { limits, timers, clock } = shared;
    this.id = id;
    this.host = socket.remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
    this.login = new Login(shared.login, this.host, socket.peerName);
    this.#shared = shared;
    this.#socket = socket;
    const frameBytesMax = this.login.isDone ? limits.frameBytesMax : Math.min(limits.loginFrameBytesMax, limits.frameBytesMax);
    this.#intake = new RequestIntake(frameBytesMax, limits.inFlightBytesMax, shared.memory, shared.spare, () => this.#pump());
    this.#lastUsedMs = clock.monotonicMs();
    if (!this.login.isDone) this.#loginTimer = timers.after(limits.loginMs, () => this.#refuse(`no login within ${limits.loginMs} ms`));
  }

  get closed(): boolean {
    return this.#closed;
  }
  get principal(): string {
    return this.login.principal;
  }
  /** Since when nothing has come; undefined while something is in flight, unless the peer could not be heard if it went. */
  get idleSinceMs(): number | undefined {
    return this.#slots.length > 0 && !this.#paused ? undefined : this.#lastUsedMs;
  }
  /** Since when the peer has owed us bytes, or has not taken ours, without any progress; undefined: it owes nothing. */
  stalledSinceMs(): number | undefined {
    const buffered = this.#socket.bufferedBytes;
    const moved = buffered < this.#lastBuffered;
    this.#lastBuffered = buffered;
    if (moved) this.#lastUsedMs = this.#shared.clock.monotonicMs();
    const owes = this.#blocked || (this.#intake.halfSinceMs !== undefined && !this.#paused);
    return owes ? this.#lastUsedMs : undefined;
  }
  /** Since when a request has been coming in; undefined: none is. */
  get halfFrameSinceMs(): number | undefined {
    return this.#paused ? undefined : this.#intake.halfSinceMs;
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
  /** Begins nothing for this long: what a quota asks for. Of several the longest counts. */
  mute(ms: number): void {
    const untilMs = this.#shared.clock.monotonicMs() + ms;
    if (this.#closed || ms <= 0 || (this.#muteTimer !== undefined && untilMs <= this.#mutedUntilMs)) return;
    this.#muteTimer?.cancel();
    this.#mutedUntilMs = untilMs;
    this.#muteTimer = this.#shared.timers.after(ms, () => {
      this.#muteTimer = undefined;
      this.#pump();
    });
  }

  // ---- socket events --------------------------------------------------------------------------------------------------

  /** What the socket calls. Separate from `onClose`, which is for handlers. */
  readonly socketEvents: SocketEvents = {
    onData: (chunk) => {
      if (this.#closed) return;
      this.#lastUsedMs = this.#shared.clock.monotonicMs();
      this.#shared.receivedBytes.add(chunk.length);
      this.#intake.push(chunk);
      this.#pump();
    },
    onDrain: () => {
      this.#blocked = false;
      this.#lastUsedMs = this.#shared.clock.monotonicMs();
      this.#answersTaken();
      this.#pump();
    },
    onClose: (error) => this.#finish(error),
  };

  // ---- requests -------------------------------------------------------------------------------------------------------

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#closed && this.#mayBegin()) {
        const request = this.#intake.next({ requests: this.#slots.length, bytes: this.#inFlightBytes }, this.#lastUsedMs);
        if (request === undefined) break;
        this.#begin(request);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#pumping = false;
    }
    // With nothing to hold back it goes on reading: only so does it hear that the peer has gone while its request is parked.
    const full = !this.#intake.isEmpty && (this.#intake.isBlocked || !this.#mayBegin());
    if (this.#closed || full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  #mayBegin(): boolean {
    if (this.#blocked || this.#muteTimer !== undefined || this.login.isFailed) return false;
    if (this.#slots[0]?.isFetch === true) return false;
    return this.#slots.length < (this.login.isDone ? this.#shared.limits.inFlightMax : 1);
  }

  #begin({ frame, isFetch, passes }: Request): void {
    if (this.login.isDone) this.#requests = 0;
    else if (++this.#requests > this.#shared.limits.loginRequestsMax)
      throw new MillraceError('ERR_PROTOCOL', `a client sent more than ${this.#shared.limits.loginRequestsMax} requests without logging in`);
    const slot: Slot = { ready: false, answer: undefined, bytes: frame.length, isFetch, spent: passes ? frame : undefined };
    this.#shared.requests.add();
    this.#slots.push(slot);
    this.#inFlightBytes += frame.length;
    const result = this.#shared.sink.handle(frame, this);
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

  #answered(slot: Slot, answer: AnswerOrNone): void {
    if (this.#closed) return; // #finish has given back what was counted
    slot.ready = true;
    slot.answer = answer;
    if (slot.spent !== undefined) this.#shared.spare.giveBack(slot.spent);
    if (this.#slots[0] !== slot) return;
    this.#socket.cork();
    while (this.#slots[0]?.ready === true) {
      const { answer: next, bytes } = this.#slots.shift() as Slot;
      const answerBytes = next === undefined ? 0 : this.#write(next);
      this.#answerBytes += answerBytes;
      this.#shared.sentBytes.add(answerBytes);
      this.#shared.memory.add(answerBytes);
      this.#givenBack(bytes);
    }
    this.#socket.uncork();
    this.#lastBuffered = this.#socket.bufferedBytes;
    if (!this.#blocked) this.#answersTaken();
    if (this.login.isFailed) this.#endSoon();
    else if (this.#loginTimer !== undefined && this.login.isDone) this.#loggedIn();
  }

  /** Hands an answer over; how many bytes it has. */
  #write({ pieces, taken }: Answer): number {
    let bytes = 0;
    for (const [at, piece] of pieces.entries()) {
      bytes += piece.length;
      const fits = at === pieces.length - 1 && taken !== undefined ? this.#socket.write(piece, taken) : this.#socket.write(piece);
      if (!fits) this.#blocked = true;
    }
    return bytes;
  }

  #loggedIn(): void {
    this.#loginTimer?.cancel();
    this.#loginTimer = undefined;
    this.#intake.allowFrames(this.#shared.limits.frameBytesMax);
  }

  #givenBack(bytes: number): void {
    this.#inFlightBytes -= bytes;
    this.#intake.answered(bytes);
  }
  #answersTaken(): void {
    const bytes = this.#answerBytes;
    this.#answerBytes = 0;
    if (bytes > 0) this.#shared.memory.release(bytes);
  }

  /** The answer leaves; a peer that does not close then is closed. */
  #endSoon(): void {
    this.#socket.end();
    this.#loginTimer?.cancel();
    this.#loginTimer = this.#shared.timers.after(LINGER_MS, () => this.close());
  }

  // ---- the end --------------------------------------------------------------------------------------------------------

  #refuse(why: string): void {
    if (this.#closed) return;
    this.#shared.log.warn({ connection: this.id, host: this.host }, `closing a connection: ${why}`);
    this.#socket.destroy();
    this.#finish(undefined);
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    // A peer that speaks nonsense is its own trouble; anything else is a defect of ours and worth an alarm.
    const fields = { connection: this.id, host: this.host, error: explainError(error) };
    if (MillraceError.is(error)) this.#shared.log.warn(fields, 'closing a connection that broke the protocol');
    else this.#shared.log.error({ ...fields, stack: error instanceof Error ? error.stack : undefined }, 'closing a connection: its request failed');
    this.#socket.destroy();
    this.#finish(undefined);
  }

  #finish(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const { log, gone } = this.#shared;
    if (error !== undefined) log.debug({ connection: this.id, host: this.host, error: error.message }, 'connection lost');
    this.#loginTimer?.cancel();
    this.#muteTimer?.cancel();
    for (const { bytes } of this.#slots) this.#givenBack(bytes);
    this.#slots.length = 0;
    this.#intake.close();
    this.#answersTaken();
    for (const run of this.#closeHooks) run();
    this.#closeHooks.clear();
    gone(this);
  }
}
