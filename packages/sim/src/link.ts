// One connection: two ends, and what is on the way between them.
// Owns: the order of each direction, how the connection ends.  Never: decides when a fault happens.
// L1 each side hears of the end exactly once.  L2 what has not arrived when a connection breaks is lost, but for what `reset` lets through.
import { MillraceError, type Socket, type SocketEvents, type Timer } from '@millrace/core';
import type { FrameWatch } from './frame-watch.ts';
import { refuse } from './refusals.ts';
import type { Aim } from './sim-network.ts';
import type { SimProcess, World } from './sim-process.ts';

export interface LinkHost {
  readonly world: World;
  reaches(from: string, to: string): boolean;
  isUp(host: string): boolean;
  latencyMs(from: string, to: string): number;
  takeAim(apiKey: number): Aim | undefined;
  /** Runs it after the delay, or when everything gets through again. */
  arriveLate(apiKey: number, delayMs: number, arrive: () => void): void;
  refuses(host: string): boolean;
  takeRefusal(apiKey: number): number | undefined;
  passageMs(to: string, bytes: number): number;
  /** Turns a bit of what is written between two hosts, if that is its fate. */
  corrupt(one: string, other: string, bytes: Buffer): void;
  /** Something is held on its way to the server. */
  holds(link: Link): void;
  gone(link: Link): void;
}

/** Bytes on the way in one direction above which `write` returns false. */
const WRITE_MARK = 256 * 1024;
/** Sums of fractions do not always come out the same. */
const EPSILON_MS = 1e-6;

export class Link {
  readonly near: End;
  readonly far: End;
  readonly host: LinkHost;
  readonly #requests: FrameWatch;
  readonly #name: string;
  /** The client does not get what the server writes. */
  deaf = false;
  /** Pieces of a request that may be refused, until it is whole. */
  #gathered: Buffer | undefined;

  constructor(
    host: LinkHost,
    client: SimProcess,
    server: SimProcess,
    at: { readonly host: string; readonly port: number; readonly clientPort: number },
    requests: FrameWatch,
  ) {
    this.host = host;
    this.#requests = requests;
    this.#name = `${client.name}:${at.clientPort}`;
    this.near = new End(this, client, at.host, at.port);
    this.far = new End(this, server, client.host, at.clientPort);
    this.near.peer = this.far;
    this.far.peer = this.near;
    for (const [end, process] of [
      [this.near, client],
      [this.far, server],
    ] as const)
      process.onEnd((how) => {
        if (how !== 'powerLoss') end.destroyFromOutside();
        else host.gone(this); // the other side is not told: it finds out
      });
  }

  open(events: SocketEvents, accept: (socket: Socket) => SocketEvents): void {
    this.near.events = events;
    this.far.process.share.timers.after(0, () => {
      this.far.events = accept(this.far);
      this.pump();
    });
  }

  /** A whole request that goes on to the server; undefined while it is not whole, or when it has been refused. Its pieces come in one turn. */
  sift(bytes: Buffer): Buffer | undefined {
    if (this.#gathered === undefined && !this.host.refuses(this.near.host)) return bytes;
    const frame = this.#gathered === undefined ? bytes : Buffer.concat([this.#gathered, bytes]);
    const whole = frame.length >= 4 && frame.length >= 4 + frame.readInt32BE(0);
    this.#gathered = whole ? undefined : frame;
    if (!whole) return undefined;
    const apiKey = frame.readInt16BE(4);
    const code = this.host.takeRefusal(apiKey);
    if (code === undefined) return frame;
    this.host.world.trace.note(this.#name, `request ${apiKey}: refused with ${code}`);
    this.near.arrive(refuse(frame, code), this.host.latencyMs(this.near.host, this.far.host) + this.host.latencyMs(this.far.host, this.near.host));
    return undefined;
  }

  /** What the aimed faults make of bytes that the client writes: 'taken' (they are on their way, or never will be), or how long they are held, ms. */
  intercept(bytes: Buffer): 'taken' | number {
    for (const apiKey of this.#requests.push(bytes)) {
      const aim = this.host.takeAim(apiKey);
      if (aim === undefined) continue;
      this.host.world.trace.note(this.#name, `request ${apiKey}: ${aim.fate} ${Math.round(aim.delayMs)}`);
      if (aim.fate === 'lose') {
        this.reset(false);
        return 'taken';
      }
      if (aim.fate === 'hold') {
        this.host.holds(this);
        return aim.delayMs;
      }
      this.deaf = true;
      if (aim.fate === 'noAnswer') return 0;
      if (aim.fate === 'loseAnswer') {
        this.host.world.time.timers.after(aim.delayMs, () => this.near.fail('cut'));
        return 0;
      }
      this.near.fail('cut');
      this.host.arriveLate(apiKey, aim.delayMs, () => {
        this.far.arrive(bytes, 0);
        this.far.arrive('end', 1);
      });
      return 'taken';
    }
    return 0;
  }

  /** Both sides see the connection break; `deliver`: what the client has written still reaches the server. */
  reset(deliver: boolean): void {
    if (deliver) this.far.flush();
    this.near.fail('cut');
    this.far.fail('cut');
  }
  /** What is held arrives now. */
  release(): void {
    this.far.hurry();
  }
  pump(): void {
    this.near.pump();
    this.far.pump();
  }
}

/** One side of a connection. Holds what is on the way *to* it. */
export class End implements Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly process: SimProcess;
  readonly #link: Link;
  peer!: End;
  events: SocketEvents | undefined;
  readonly #incoming: { readonly chunk: Buffer | 'end'; dueMs: number; readonly timer: Timer }[] = [];
  #incomingBytes = 0;
  #lastDueMs = 0;
  #paused = false;
  #closed = false;
  #ending = false;
  #told = false;
  #peerWaits = false;

  constructor(link: Link, process: SimProcess, remoteAddress: string, remotePort: number) {
    this.#link = link;
    this.process = process;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  get host(): string {
    return this.process.host;
  }

  // ---- Socket ---------------------------------------------------------------------------------------------------------

  write(bytes: Uint8Array, taken?: () => void): boolean {
    if (this.#closed || this.#ending || !this.process.effect('a network write')) return false;
    if (this.peer.process.ended !== undefined) return this.#writeToNobody();
    let copy: Buffer = Buffer.from(bytes);
    taken?.();
    const { host } = this.#link;
    host.world.trace.bytes(this.process.name, copy);
    if (this === this.#link.near) {
      const whole = this.#link.sift(copy);
      if (whole === undefined) return true;
      copy = whole;
    }
    host.corrupt(this.host, this.peer.host, copy);
    const heldMs = this === this.#link.near ? this.#link.intercept(copy) : 0;
    if (heldMs === 'taken') return false;
    if (this === this.#link.far && this.#link.deaf) return true;
    return this.peer.arrive(copy, heldMs + host.latencyMs(this.host, this.peer.host) + host.passageMs(this.peer.host, copy.length));
  }
  /** The machine came back without this connection: it says so. One that is still off says nothing. */
  #writeToNobody(): boolean {
    const { host } = this.#link;
    if (host.isUp(this.peer.host) && host.reaches(this.host, this.peer.host) && host.reaches(this.peer.host, this.host))
      this.process.share.timers.after(host.latencyMs(this.host, this.peer.host) * 2, () => this.fail('reset'));
    return false;
  }
  get bufferedBytes(): number {
    return this.peer.incomingBytes;
  }
  get incomingBytes(): number {
    return this.#incomingBytes;
  }
  cork(): void {}
  uncork(): void {}
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.process.share.timers.after(0, () => this.pump());
  }
  end(): void {
    if (this.#closed || this.#ending || this.process.ended !== undefined) return;
    this.#ending = true;
    this.peer.arrive('end', this.#link.host.latencyMs(this.host, this.peer.host));
  }
  destroy(): void {
    if (this.#closed || this.process.ended !== undefined) return;
    this.peer.arrive('end', this.#link.host.latencyMs(this.host, this.peer.host));
    this.#finish(undefined);
  }
  /** Its process is gone; the system says so to the other side. */
  destroyFromOutside(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.peer.arrive('end', this.#link.host.latencyMs(this.host, this.peer.host));
    this.#link.host.gone(this.#link);
  }
  fail(why: string): void {
    const where = { host: this.remoteAddress, port: this.remotePort };
    this.#finish(new MillraceError('ERR_CONNECTION', `The connection with ${where.host}:${where.port} broke (${why}).`, where));
  }

  // ---- arriving -------------------------------------------------------------------------------------------------------

  arrive(chunk: Buffer | 'end', latencyMs: number): boolean {
    if (this.#closed) return false;
    const { time } = this.#link.host.world;
    const dueMs = Math.max(this.#lastDueMs, time.clock.monotonicMs() + latencyMs);
    this.#lastDueMs = dueMs;
    const timer = this.process.share.timers.after(dueMs - time.clock.monotonicMs(), () => this.pump());
    this.#incoming.push({ chunk, dueMs, timer });
    if (chunk !== 'end') this.#incomingBytes += chunk.length;
    if (this.#incomingBytes < WRITE_MARK) return true;
    this.#peerWaits = true;
    return false;
  }
  /** Hands over what has arrived, unless reading is paused or the way is blocked. */
  pump(): void {
    const { host } = this.#link;
    const nowMs = host.world.time.clock.monotonicMs();
    while (this.events !== undefined && !this.#closed && !this.#paused && host.reaches(this.peer.host, this.host)) {
      const first = this.#incoming[0];
      if (first === undefined || first.dueMs > nowMs + EPSILON_MS) return;
      this.#incoming.shift();
      first.timer.cancel();
      this.#hand(first.chunk);
    }
  }
  /** All that is on the way is due now. */
  hurry(): void {
    const nowMs = this.#link.host.world.time.clock.monotonicMs();
    for (const one of this.#incoming) one.dueMs = Math.min(one.dueMs, nowMs);
    this.#lastDueMs = nowMs;
    this.process.share.timers.after(0, () => this.pump());
  }
  /** All that is on the way arrives now. */
  flush(): void {
    while (this.events !== undefined && !this.#closed && !this.process.frozen && this.process.ended === undefined) {
      const first = this.#incoming.shift();
      if (first === undefined) return;
      first.timer.cancel();
      this.#hand(first.chunk);
    }
  }

  #hand(chunk: Buffer | 'end'): void {
    if (chunk === 'end') {
      this.peer.closeLater(); // our silence is its answer: both sides are done
      this.#finish(undefined);
      return;
    }
    this.#incomingBytes -= chunk.length;
    this.events?.onData(chunk);
    if (!this.#peerWaits || this.#incomingBytes > 0) return;
    this.#peerWaits = false;
    const { peer } = this;
    peer.process.share.timers.after(0, () => peer.drained());
  }
  drained(): void {
    if (!this.#closed) this.events?.onDrain?.();
  }
  closeLater(): void {
    if (!this.#closed) this.#finish(undefined);
  }
  #finish(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true; // nothing more comes in or goes out; the news follows in its own turn, as with real sockets
    for (const { timer } of this.#incoming) timer.cancel(); // what is still on its way keeps no process alive
    this.process.share.timers.after(0, () => {
      if (this.#told) return;
      this.#told = true;
      this.#incoming.length = 0;
      this.events?.onClose(error);
    });
    this.#link.host.gone(this.#link);
  }
}
