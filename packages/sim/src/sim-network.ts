// The network of the simulation: connections with latency that break, stall, and lose answers to requests that were carried out.
// Owns: what is on the way, which hosts reach each other, the faults aimed at the next request of a kind.  Never: knows the protocol beyond
// the length and the API key at the head of a frame.
// N1 the bytes of one direction arrive in the order written, or not at all.  N2 a chunk is copied when written.
// N3 what a process wrote before it died may still arrive; what comes for a dead process is lost.
import { type Chance, type ConnectOptions, type Listener, MillraceError, type Network, type Socket, type SocketEvents, whenAborted } from '@millrace/core';
import { flipBatch } from './flip-batch.ts';
import { FrameWatch } from './frame-watch.ts';
import { Link, type LinkHost } from './link.ts';
import { MOVES, type Move, REFUSALS } from './refusals.ts';
import type { SimProcess, World } from './sim-process.ts';

/** What happens to the next request of an API that a client writes. */
export interface Aim {
  readonly apiKey: number;
  /**
   * `loseAnswer`: it arrives and is carried out; the connection ends before the answer. `noAnswer`: the same, and the connection stays silent.
   * `late`: the client loses the connection at once; the request arrives `delayMs` later all the same. `lose`: it never arrives.
   * `hold`: it, and what follows on its connection, arrives `delayMs` later.
   */
  readonly fate: 'loseAnswer' | 'noAnswer' | 'late' | 'lose' | 'hold';
  readonly delayMs: number;
}

/** The machine that writes the inputs and looks at the cluster. */
export const OBSERVER_HOST = 'observer';
const LATENCY_MS = { least: 0.1, spread: 0.8, slowOnceIn: 200, slowMs: 30 };

export class SimNetwork implements LinkHost {
  readonly world: World;
  readonly #chance: Chance;
  readonly #listeners = new Map<string, { readonly owner: SimProcess; readonly accept: (socket: Socket) => SocketEvents }>();
  readonly #links = new Set<Link>();
  /** The first living process of each host: a machine without one is off. */
  readonly #running = new Map<string, SimProcess>();
  /** `from>to` pairs of hosts whose packets do not arrive. */
  readonly #blocked = new Set<string>();
  readonly #slowMs = new Map<string, number>();
  /** Hosts whose answers come at so many bytes a ms. */
  readonly #bandwidth = new Map<string, number>();
  /** Requests that the broker refuses, by API key: the code of the next one. */
  readonly #refusals = new Map<number, number>();
  /** What is elsewhere now, and with which code it says so. */
  readonly #moves = new Map<Move, number>();
  /** What is still on its way from clients that have gone on: a member that joins now may be a ghost for a session timeout. */
  readonly #late = new Set<() => void>();
  readonly #lateArrivals = new Map<number, number>();
  /** Connections on which a request is held. Their clients may have gone on or died meanwhile. */
  readonly #holding = new Set<Link>();
  #aims: Aim[] = [];
  /** Hosts of which the next record batch, sent or received, arrives with a bit turned. */
  readonly #corrupted = new Set<string>();
  #nextPort = 40_000;

  constructor(world: World, chance: Chance) {
    this.world = world;
    this.#chance = chance;
  }

  /** The network as one process sees it. */
  of(process: SimProcess): Network {
    if (this.#running.get(process.host)?.ended !== undefined || !this.#running.has(process.host)) this.#running.set(process.host, process);
    return {
      connect: (options, events) => this.#connect(process, options, events),
      listen: async (options, accept) => this.#listen(process, options, accept),
    };
  }

  // ---- faults ---------------------------------------------------------------------------------------------------------

  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
  }
  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`);
    for (const link of this.#links) link.pump();
  }
  slow(host: string, ms: number): void {
    if (ms === 0) this.#slowMs.delete(host);
    else this.#slowMs.set(host, ms);
  }
  /** 0: as wide as any. */
  narrow(host: string, bytesPerMs: number): void {
    if (bytesPerMs === 0) this.#bandwidth.delete(host);
    else this.#bandwidth.set(host, bytesPerMs);
  }
  /** The next request of a chosen API is refused; says which, and with what. */
  refuseNext(chance: Chance): string {
    const apis = Object.keys(REFUSALS).map(Number);
    const apiKey = apis[chance.integer(apis.length)] as number;
    const codes = REFUSALS[apiKey] as readonly number[];
    const code = codes[chance.integer(codes.length)] as number;
    this.#refusals.set(apiKey, code);
    return `${apiKey} with ${code}`;
  }
  /** All that goes to coordinators, or to leaders, is refused, until `moved`. */
  move(what: Move, chance: Chance): void {
    const { codes } = MOVES[what];
    this.#moves.set(what, codes[chance.integer(codes.length)] as number);
  }
  moved(what: Move): void {
    this.#moves.delete(what);
  }
  /** Everything gets through again. */
  heal(): void {
    this.#blocked.clear();
    this.#slowMs.clear();
    this.#bandwidth.clear();
    this.#refusals.clear();
    this.#moves.clear();
    this.#aims = [];
    this.#corrupted.clear();
    for (const arrive of [...this.#late]) arrive();
    // A side that lost packets for good answers the next one with a reset.
    for (const link of [...this.#links]) if (link.deaf) link.reset(false);
    for (const link of this.#holding) link.release();
    this.#holding.clear();
    for (const link of this.#links) link.pump();
  }
  aim(aim: Aim): void {
    this.#aims.push(aim);
  }
  corruptNext(host: string): void {
    this.#corrupted.add(host);
  }
  /** Breaks connections of a host; of what is on the way some arrives. */
  cut(host: string): void {
    for (const link of [...this.#links]) if (link.near.host === host || link.far.host === host) link.reset(this.#chance.float() < 0.5);
  }
  /** Requests of an API that have arrived so far after their client had gone on. */
  lateArrivals(apiKey: number): number {
    return this.#lateArrivals.get(apiKey) ?? 0;
  }
  /** Connections that involve a host. */
  linksOf(host: string): number {
    return [...this.#links].filter((link) => link.near.host === host || link.far.host === host).length;
  }

  // ---- for links ------------------------------------------------------------------------------------------------------

  reaches(from: string, to: string): boolean {
    return !this.#blocked.has(`${from}>${to}`);
  }
  isUp(host: string): boolean {
    return this.#running.get(host)?.ended === undefined;
  }
  latencyMs(from: string, to: string): number {
    const slow = Math.max(this.#slowMs.get(from) ?? 0, this.#slowMs.get(to) ?? 0);
    const lost = this.#chance.integer(LATENCY_MS.slowOnceIn) === 0 ? LATENCY_MS.slowMs : 0; // a packet that was sent again
    return LATENCY_MS.least + this.#chance.float() * LATENCY_MS.spread + slow * this.#chance.float() + lost;
  }
  arriveLate(apiKey: number, delayMs: number, arrive: () => void): void {
    const once = (): void => {
      if (!this.#late.delete(once)) return;
      this.#lateArrivals.set(apiKey, this.lateArrivals(apiKey) + 1);
      arrive();
    };
    this.#late.add(once);
    this.world.time.timers.after(delayMs, once);
  }
  /** Some request might be refused. The machine that writes the inputs is left alone. */
  refuses(host: string): boolean {
    return (this.#refusals.size > 0 || this.#moves.size > 0) && host !== OBSERVER_HOST;
  }
  /** The code that a request is refused with, if that is its fate. */
  takeRefusal(apiKey: number): number | undefined {
    for (const [what, code] of this.#moves) if (MOVES[what].apiKeys.has(apiKey)) return code;
    const code = this.#refusals.get(apiKey);
    this.#refusals.delete(apiKey);
    return code;
  }
  /** What the way to a host costs this many bytes, ms. */
  passageMs(to: string, bytes: number): number {
    const width = this.#bandwidth.get(to);
    return width === undefined ? 0 : bytes / width;
  }
  takeAim(apiKey: number): Aim | undefined {
    const at = this.#aims.findIndex((aim) => aim.apiKey === apiKey);
    return at < 0 ? undefined : this.#aims.splice(at, 1)[0];
  }
  corrupt(one: string, other: string, bytes: Buffer): void {
    if (this.#corrupted.size === 0) return;
    const struck = this.#corrupted.has(one) ? one : other;
    if (!this.#corrupted.has(struck) || !flipBatch(bytes, this.#chance)) return;
    this.#corrupted.delete(struck);
    this.world.trace.note('network', `a bit of a batch from ${one} to ${other} is turned`);
  }
  holds(link: Link): void {
    this.#holding.add(link);
  }
  gone(link: Link): void {
    this.#links.delete(link);
  }

  // ---- ports ----------------------------------------------------------------------------------------------------------

  #connect(process: SimProcess, options: ConnectOptions, events: SocketEvents): Promise<Socket> {
    const { host, port } = options;
    return new Promise((resolve, reject) => {
      if (!process.effect(`connect ${host}:${port}`)) return;
      const fail = (what: string): void => {
        over();
        reject(
          new MillraceError('ERR_CONNECTION', `Could not connect to ${host}:${port}: ${what}. Check the address and that a broker runs there.`, { host, port }),
        );
      };
      const arrive = (): void => {
        const listener = this.#listeners.get(`${host}:${port}`);
        if (listener === undefined || listener.owner.ended !== undefined) return void fail('nothing listens there');
        const link = new Link(this, process, listener.owner, { host, port, clientPort: this.#nextPort++ }, new FrameWatch());
        this.#links.add(link);
        link.open(events, listener.accept);
        over();
        resolve(link.near);
      };
      const attempt =
        this.reaches(process.host, host) && this.reaches(host, process.host)
          ? process.timers.after(this.latencyMs(process.host, host), arrive)
          : process.timers.after(options.timeoutMs, () => fail(`no answer within ${options.timeoutMs} ms`));
      const over = whenAborted(options.signal, () => {
        attempt.cancel();
        fail('it was given up');
      });
    });
  }

  #listen(process: SimProcess, options: { readonly host: string; readonly port: number }, accept: (socket: Socket) => SocketEvents): Listener {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    const key = `${process.host}:${port}`;
    const taken = this.#listeners.get(key);
    if (taken !== undefined && taken.owner.ended === undefined)
      throw new MillraceError('ERR_PORT_IN_USE', `Port ${port} on ${process.host} is in use.`, { host: process.host, port });
    const mine = { owner: process, accept };
    this.#listeners.set(key, mine);
    return {
      port,
      host: process.host,
      close: async () => {
        if (this.#listeners.get(key) === mine) this.#listeners.delete(key);
      },
    };
  }
}
