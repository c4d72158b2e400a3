// The embedded broker of a folder, shared by every process that uses the folder: the first one runs it, the others connect
// to it, and when its process dies one of them takes it over on the same port, so that nobody needs a new address.
// Owns: the address file beside the log, and the watch on the present host.
// Invariant: the broker's own lock decides who runs it; the address file is only a hint.
import { errorFromWire, explainError, type Logger, MillraceError, nodeThreads, type Ports, type Socket, sleep, type Thread } from '@millrace/core';
import type { BrokerThreadData, FromBrokerThread } from './broker-thread.ts';

const ADDRESS_FILE = 'address.json';
const ATTEMPTS_MAX = 100;
const RETRY_MS = 100;

export interface SharedBroker {
  /** `127.0.0.1:port`; stays the same when another process takes the broker over. */
  readonly address: string;
  /** True where this process runs it now. */
  readonly hosting: boolean;
  close(): Promise<void>;
}

export interface SharedBrokerOptions {
  readonly dataDir: string;
  /** 0: the port of the last run if it is free, else any. */
  readonly port: number;
  /** Partitions of a topic whose creator does not say. */
  readonly partitions: number;
}

export type SharedBrokerPorts = Pick<Ports, 'disk' | 'network' | 'timers'> & { readonly log: Logger };

/** Starts or joins the broker of `dataDir`. Throws ERR_DATA_DIR, ERR_PORT_IN_USE, ERR_BROKER_UNREACHABLE. */
export async function openSharedBroker(options: SharedBrokerOptions, ports: SharedBrokerPorts): Promise<SharedBroker> {
  const broker = new FolderBroker(options, ports);
  await broker.open();
  return broker;
}

class FolderBroker implements SharedBroker {
  readonly #options: SharedBrokerOptions;
  readonly #ports: SharedBrokerPorts;
  #thread: Thread | undefined;
  #threadEnded: Promise<void> = Promise.resolve();
  #watch: Socket | undefined;
  #port = 0;
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
    let last: unknown;
    for (let attempt = 0; attempt < ATTEMPTS_MAX && !this.#closed; attempt++) {
      try {
        return await this.#host();
      } catch (error) {
        if (!MillraceError.is(error) || error.code !== 'ERR_DATA_DIR' || error.where['locked'] === undefined) throw error;
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
    const former = this.#options.port !== 0 ? this.#options.port : (this.#formerPort() ?? 0);
    try {
      await this.#startThread(former);
    } catch (error) {
      // The port of the last run went to somebody else: any will do, unless it was asked for.
      if (this.#options.port !== 0 || former === 0 || !MillraceError.is(error) || error.code !== 'ERR_PORT_IN_USE') throw error;
      await this.#startThread(0);
    }
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
            void this.open().catch((failure: unknown) =>
              this.#ports.log.error({ error: explainError(failure) }, 'the embedded broker could not be started again'),
            );
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
            if (!this.#closed)
              void this.open().catch((error: unknown) => this.#ports.log.error({ error: explainError(error) }, 'the embedded broker could not be taken over'));
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
    if (this.#thread === undefined) return;
    this.#thread.post({ kind: 'close' });
    await this.#threadEnded;
  }
}
