// The embedded broker of a folder, shared by every process that uses the folder: the first one runs it, the others connect
// to it, and when its process dies one of them takes it over on the same port, so that nobody needs a new address.
// Owns: the address file beside the log, and the watch on the present host.
// Invariant: the broker's own lock decides who runs it; the address file is only a hint.
import { errorFromWire, explainError, type Logger, MillraceError, nodeThreads, type Ports, type Socket, sleep, type Thread } from '@millrace/core';
import type { BrokerThreadData, FromBrokerThread } from './broker-thread.ts';

const ADDRESS_FILE = 'address.json';
const ATTEMPTS_MAX = 100;
const RETRY_MS = 100;
/** The port of the last run may be taken for a moment; whoever else uses the folder looks for the broker there. */
const PORT_ATTEMPTS_MAX = 20;
/** A first port below the range from which systems draw the ports of outgoing connections: a client that knocks while the broker is away must not come to hold its port. */
const PORT_FIRST = 20_000;
const PORT_COUNT = 10_000;

export interface SharedBroker {
  /** Starts or joins the broker of the folder. Throws ERR_DATA_DIR, ERR_PORT_IN_USE, ERR_BROKER_UNREACHABLE. */
  open(): Promise<void>;
  /** `127.0.0.1:port`; stays the same when another process takes the broker over. */
  readonly address: string;
  /** True where this process runs it now. */
  readonly hosting: boolean;
  /** Also while `open` is under way: then nothing is left of it. */
  close(): Promise<void>;
}

export interface SharedBrokerOptions {
  readonly dataDir: string;
  /** 0: the port of the last run if it is free, else any. */
  readonly port: number;
  /** Partitions of a topic whose creator does not say. */
  readonly partitions: number;
}

export type SharedBrokerPorts = Pick<Ports, 'chance' | 'disk' | 'network' | 'timers'> & { readonly log: Logger };

/** Nothing happens before `open`; `close` may be called while it is under way. */
export function createSharedBroker(options: SharedBrokerOptions, ports: SharedBrokerPorts): SharedBroker {
  return new FolderBroker(options, ports);
}

class FolderBroker implements SharedBroker {
  readonly #options: SharedBrokerOptions;
  readonly #ports: SharedBrokerPorts;
  #thread: Thread | undefined;
  #threadEnded: Promise<void> = Promise.resolve();
  #watch: Socket | undefined;
  #opening: Promise<void> = Promise.resolve();
  #port = 0;
  #portRefused = 0;
  #closed = false;

  constructor(options: SharedBrokerOptions, ports: SharedBrokerPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }
  get hosting(): boolean {
    return this.#thread !== undefined;
  }

  /** Host it or find its host; between the death of one host and the next one's start both may fail for a moment. */
  async open(): Promise<void> {
    this.#opening = this.#open(ATTEMPTS_MAX);
    await this.#opening;
  }

  /** The host is gone. Somebody has to be the next one, however long it takes: without a broker nobody here can go on. */
  #openAgain(): void {
    this.#opening = this.#open(Number.POSITIVE_INFINITY).catch((error: unknown) => {
      if (!this.#closed) this.#ports.log.error({ error: explainError(error) }, 'the embedded broker could not be taken over');
    });
  }

  async #open(attemptsMax: number): Promise<void> {
    let last: unknown;
    for (let attempt = 0; attempt < attemptsMax && !this.#closed; attempt++) {
      try {
        return await this.#host();
      } catch (error) {
        if (!isPassing(error)) throw error;
        last = error;
      }
      if (await this.#join()) return;
      await sleep(this.#ports.timers, RETRY_MS);
    }
    throw new MillraceError(
      'ERR_BROKER_UNREACHABLE',
      `another process holds the broker data in ${this.#options.dataDir} but its broker cannot be reached: ${explainError(last)}. Stop that process, or use another data directory.`,
      { path: this.#options.dataDir },
      last,
    );
  }

  async #host(): Promise<void> {
    const { port: asked } = this.#options;
    const former = asked !== 0 ? asked : (this.#formerPort() ?? 0);
    try {
      await this.#startThread(former !== 0 ? former : PORT_FIRST + this.#ports.chance.integer(PORT_COUNT));
    } catch (error) {
      if (asked !== 0 || !MillraceError.is(error) || error.code !== 'ERR_PORT_IN_USE') throw error;
      if (former !== 0 && ++this.#portRefused < PORT_ATTEMPTS_MAX) throw new PortTaken(error);
      await this.#startThread(0);
    }
    this.#portRefused = 0;
    this.#ports.disk.replaceWhole(this.#addressPath(), Buffer.from(JSON.stringify({ port: this.#port })));
  }

  async #startThread(port: number): Promise<void> {
    const data: BrokerThreadData = { dataDir: this.#options.dataDir, port, partitions: this.#options.partitions };
    let markEnded: () => void = () => {};
    this.#threadEnded = new Promise((resolve) => {
      markEnded = resolve;
    });
    const thread = await new Promise<Thread>((resolve, reject) => {
      const started: Thread = nodeThreads.spawn(new URL('./broker-thread.js', import.meta.url).href, data, {
        onMessage: (raw) => {
          const message = raw as FromBrokerThread;
          if (message.kind === 'failed') reject(errorFromWire(message.error));
          if (message.kind === 'ready') {
            this.#port = message.port;
            resolve(started);
          }
        },
        onExit: (error) => {
          markEnded();
          reject(error ?? new MillraceError('ERR_CLOSED', 'the embedded broker ended before it was ready'));
          if (this.#thread === started && !this.#closed) {
            this.#thread = undefined;
            this.#ports.log.error({ error: explainError(error) }, 'the embedded broker has failed and is started again');
            this.#openAgain();
          }
        },
      });
    });
    this.#thread = thread;
  }

  /** Connects to whoever hosts it and keeps the connection as a watch: its end means the host is gone. */
  async #join(): Promise<boolean> {
    const port = this.#formerPort();
    if (port === undefined) return false;
    try {
      this.#watch = await this.#ports.network.connect(
        { host: '127.0.0.1', port, timeoutMs: 1000 },
        {
          onData() {},
          onClose: () => {
            this.#watch = undefined;
            if (!this.#closed) this.#openAgain();
          },
        },
      );
    } catch {
      return false;
    }
    this.#port = port;
    return true;
  }

  #addressPath(): string {
    return this.#ports.disk.join(this.#options.dataDir, ADDRESS_FILE);
  }

  #formerPort(): number | undefined {
    try {
      const port = (JSON.parse(Buffer.from(this.#ports.disk.readWhole(this.#addressPath())).toString('utf8')) as { readonly port?: unknown }).port;
      return Number.isInteger(port) ? (port as number) : undefined;
    } catch {
      return undefined; // never hosted here, or the hint is unreadable
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.destroy();
    await this.#opening.catch(() => undefined); // told to whoever opened; one that is just being started is ended below
    this.#watch?.destroy();
    if (this.#thread === undefined) return;
    this.#thread.post({ kind: 'close' });
    await this.#threadEnded;
  }
}

/** Worth another look in a moment: another process holds the folder, or the port. */
function isPassing(error: unknown): boolean {
  return error instanceof PortTaken || (MillraceError.is(error) && error.code === 'ERR_DATA_DIR' && error.where.locked !== undefined);
}

class PortTaken extends Error {
  constructor(cause: unknown) {
    super(explainError(cause), { cause });
  }
}
