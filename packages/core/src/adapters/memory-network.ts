// Sockets inside one process, for tests and simulation: every chunk travels through the timers, in order, with delay and cuts on demand.
// Under virtual time nothing moves until time is driven, so a history repeats exactly.
// TLS options are passed over: bytes travel as they are.
// M1 bytes of one direction arrive in the order written.  M2 a chunk is copied when written: what the writer does later is not seen.
// M3 every connection reports its end once on each side.
import { MillraceError } from '../errors.ts';
import type { Listener, ListenOptions, Network, Socket, SocketEvents } from '../network.ts';
import type { Timers } from '../timers.ts';
import { whenAborted } from '../when-aborted.ts';

/** Which connections a fault concerns: those to that listening port; undefined: all. */
export type PortChoice = number | undefined;

export interface MemoryNetwork extends Network {
  /** Breaks the connections to `port`: both sides see ERR_CONNECTION; what was on the way is lost. */
  cut(port?: PortChoice): void;
  /** From now on every chunk and connection attempt to or from `port` takes `ms`. */
  delay(ms: number, port?: PortChoice): void;
  /** Half-open: connections to `port` stay, nothing gets through, new ones time out, until `release`. */
  hold(port?: PortChoice): void;
  release(): void;
}

/** Bytes on the way in one direction above which `write` returns false. */
const WRITE_MARK = 256 * 1024;
const FIRST_FREE_PORT = 20_000;

interface Link {
  readonly port: number;
  readonly ends: [End, End];
  readonly release: () => void;
}

export function memoryNetwork(timers: Timers): MemoryNetwork {
  const listeners = new Map<number, { readonly admit: ListenOptions['admit']; readonly accept: (socket: Socket) => SocketEvents }>();
  const links = new Set<Link>();
  const delays = new Map<PortChoice, number>();
  const held = new Set<PortChoice>();
  let nextPort = FIRST_FREE_PORT;
  let nextClientPort = 50_000;

  const delayFor = (port: number): number => delays.get(port) ?? delays.get(undefined) ?? 0;
  const isHeld = (port: number): boolean => held.has(port) || held.has(undefined);
  const route: Route = { timers, delayFor, isHeld, ended: (link) => void (links.delete(link) && link.release()) };

  return {
    connect: (options, events) =>
      new Promise((resolve, reject) => {
        const { host, port } = options;
        const fail = (what: string): void => {
          over();
          reject(
            new MillraceError('ERR_CONNECTION', `Could not connect to ${host}:${port}: ${what}. Check the address and that a broker runs there.`, {
              host,
              port,
            }),
          );
        };
        const arrive = (): void => {
          const listener = listeners.get(port);
          if (listener === undefined) return void fail('nothing listens there');
          const release = listener.admit === undefined ? () => {} : listener.admit('127.0.0.1');
          if (release === undefined) return void fail('the other side closed it');
          const clientPort = nextClientPort++;
          const near = new End(route, host, port);
          const far = new End(route, '127.0.0.1', clientPort);
          const link: Link = { port, ends: [near, far], release };
          links.add(link);
          near.join(link, far, events);
          far.join(link, near, listener.accept(far));
          over();
          resolve(near);
        };
        const attempt = isHeld(port)
          ? timers.after(options.timeoutMs, () => fail(`no answer within ${options.timeoutMs} ms`))
          : timers.after(delayFor(port), arrive);
        const over = whenAborted(options.signal, () => {
          attempt.cancel();
          fail('it was given up');
        });
      }),
    async listen(options, accept): Promise<Listener> {
      while (options.port === 0 && listeners.has(nextPort)) nextPort++;
      const port = options.port === 0 ? nextPort++ : options.port;
      if (listeners.has(port))
        throw new MillraceError('ERR_PORT_IN_USE', `Port ${port} on ${options.host} is in use. Choose another port, or 0 for any free one.`, {
          host: options.host,
          port,
        });
      const listener = { admit: options.admit, accept };
      listeners.set(port, listener);
      return {
        port,
        host: options.host,
        async close() {
          if (listeners.get(port) === listener) listeners.delete(port);
        },
      };
    },
    cut(port) {
      for (const link of [...links]) if (port === undefined || link.port === port) for (const end of link.ends) end.break();
    },
    delay: (ms, port) => void delays.set(port, ms),
    hold: (port) => void held.add(port),
    release() {
      held.clear();
      for (const link of links) for (const end of link.ends) end.pump();
    },
  };
}

interface Route {
  readonly timers: Timers;
  delayFor(port: number): number;
  isHeld(port: number): boolean;
  ended(link: Link): void;
}

/** One side of a connection. Holds what is on the way *to* it. */
class End implements Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #route: Route;
  readonly #incoming: (Buffer | 'end')[] = [];
  #incomingBytes = 0;
  #arrived = 0;
  #paused = false;
  #closed = false;
  #ending = false;
  #peerWaits = false;
  #link: Link | undefined;
  #peer: End | undefined;
  #events: SocketEvents | undefined;

  constructor(route: Route, remoteAddress: string, remotePort: number) {
    this.#route = route;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }
  join(link: Link, peer: End, events: SocketEvents): void {
    this.#link = link;
    this.#peer = peer;
    this.#events = events;
    this.pump();
  }
  write(bytes: Uint8Array, taken?: () => void): boolean {
    if (this.#closed || this.#ending || this.#peer === undefined) return false;
    const roomy = this.#peer.receive(Buffer.from(bytes));
    taken?.();
    return roomy;
  }
  get bufferedBytes(): number {
    return this.#peer?.incomingBytes ?? 0;
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
    this.#route.timers.after(0, () => this.pump());
  }
  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    this.#peer?.receive('end');
  }
  destroy(): void {
    if (this.#closed) return;
    this.#peer?.receive('end');
    this.finishLater(undefined);
  }
  break(): void {
    const where = { host: this.remoteAddress, port: this.remotePort };
    this.finishLater(new MillraceError('ERR_CONNECTION', `The connection with ${where.host}:${where.port} broke (cut).`, where));
  }
  /** Hands over what has arrived, unless reading is paused or the way is held. */
  pump(): void {
    if (this.#events === undefined || this.#link === undefined) return;
    while (!this.#closed && !this.#paused && this.#arrived > 0 && !this.#route.isHeld(this.#link.port)) {
      const chunk = this.#incoming.shift() as Buffer | 'end';
      this.#arrived--;
      if (chunk === 'end') {
        this.#peer?.finishLater(undefined); // our silence is its answer: both sides are done
        this.#finish(undefined);
        return;
      }
      this.#incomingBytes -= chunk.length;
      this.#events.onData(chunk);
      if (this.#peerWaits && this.#incomingBytes === 0) {
        this.#peerWaits = false;
        const peer = this.#peer;
        this.#route.timers.after(0, () => peer?.drained());
      }
    }
  }
  drained(): void {
    if (!this.#closed) this.#events?.onDrain?.();
  }
  receive(chunk: Buffer | 'end'): boolean {
    if (this.#closed) return false;
    this.#incoming.push(chunk);
    if (chunk !== 'end') this.#incomingBytes += chunk.length;
    this.#route.timers.after(this.#route.delayFor(this.#link?.port ?? 0), () => {
      this.#arrived++;
      this.pump();
    });
    if (this.#incomingBytes < WRITE_MARK) return true;
    this.#peerWaits = true;
    return false;
  }
  finishLater(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true; // nothing more comes in or goes out; the news follows in its own turn, as with real sockets
    this.#route.timers.after(0, () => this.#report(error));
  }
  #finish(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#report(error);
  }
  #report(error: Error | undefined): void {
    this.#incoming.length = 0;
    if (this.#link !== undefined) this.#route.ended(this.#link);
    this.#events?.onClose(error);
  }
}
