// Listens, accepts, and closes what is idle.
// Owns: the listener and the live connections.  Never: looks into frames.
import type { Listener, Ports, Timer } from '@millrace/core';
import { Connection, type ConnectionLimits, type RequestSink } from './connection.ts';

export interface ServerOptions extends ConnectionLimits {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly connectionsMax: number;
  readonly idleMs: number;
}

const SWEEP_MS_MAX = 60_000;

export class Server {
  readonly #options: ServerOptions;
  readonly #ports: Pick<Ports, 'clock' | 'timers' | 'network' | 'log'>;
  readonly #sink: RequestSink;
  readonly #connections = new Set<Connection>();
  #listener: Listener | undefined;
  #sweep: Timer | undefined;
  #nextId = 1;

  constructor(options: ServerOptions, ports: Pick<Ports, 'clock' | 'timers' | 'network' | 'log'>, sink: RequestSink) {
    this.#options = options;
    this.#ports = ports;
    this.#sink = sink;
  }

  /** Resolves with the bound port. Rejects with ERR_PORT_IN_USE. */
  async listen(): Promise<number> {
    const { host, port, idleMs } = this.#options;
    this.#listener = await this.#ports.network.listen({ host, port }, (socket) => {
      const connection = new Connection(this.#nextId++, socket, this.#sink, this.#options, this.#ports, (gone) => this.#connections.delete(gone));
      if (this.#connections.size >= this.#options.connectionsMax) {
        this.#ports.log.warn({ host: socket.remoteAddress, connectionsMax: this.#options.connectionsMax }, 'refused a connection: too many are open');
        socket.destroy();
      } else this.#connections.add(connection);
      return connection.socketEvents;
    });
    this.#sweep = this.#ports.timers.every(Math.min(idleMs, SWEEP_MS_MAX), () => this.#closeIdle());
    return this.#listener.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async close(): Promise<void> {
    this.#sweep?.cancel();
    await this.#listener?.close();
    for (const connection of [...this.#connections]) connection.close();
    this.#connections.clear();
  }

  #closeIdle(): void {
    const before = this.#ports.clock.monotonicMs() - this.#options.idleMs;
    for (const connection of [...this.#connections]) {
      const since = connection.idleSinceMs;
      if (since !== undefined && since < before) connection.close();
    }
  }
}
