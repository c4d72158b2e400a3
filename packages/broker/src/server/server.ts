// Listens, accepts, and ends the connections that are idle or do not get on.
// Owns: the listener, the live connections, the slots.  Never: looks into frames.
// L1 a connection counts from its first packet on, before any TLS handshake.  L2 a peer that sends half a request or does not take its answer
// is closed after `stallMs`; while others wait for memory after a tenth of that.
import type { Counter, Listener, MetricFactory, Ports, Timer } from '@millrace/core';
import type { LoginRules } from '../security/login.ts';
import type { SpareBuffers } from '../spare-buffers.ts';
import { Connection, type ConnectionHost, type ConnectionLimits, type RequestSink } from './connection.ts';
import { ConnectionSlots } from './connection-slots.ts';
import { RequestMemory } from './request-memory.ts';

export interface ServerOptions extends ConnectionLimits {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Options of node:tls; undefined: plain. */
  readonly tls: object | undefined;
  readonly login: LoginRules | undefined;
  readonly spare: SpareBuffers;
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  readonly requestMemoryBytesMax: number;
  readonly idleMs: number;
  readonly stallMs: number;
  /** How long a new connection from this address has to wait for its first request (a quota); 0: not at all. */
  readonly connectionDelayMs?: (address: string) => number;
}

type ServerPorts = Pick<Ports, 'clock' | 'timers' | 'network' | 'log'>;

const SWEEP_MS_MAX = 60_000;
const SHORT_SWEEP_MS = 1_000;
const SHORT_DIVISOR = 10;
const LOG_GAP_MS = 10_000;

export class Server {
  readonly #options: ServerOptions;
  readonly #ports: ServerPorts;
  readonly #connections = new Set<Connection>();
  readonly #slots: ConnectionSlots;
  readonly #memory: RequestMemory;
  readonly #host: ConnectionHost;
  readonly #refused: Counter;
  readonly #accepted: Counter;
  #listener: Listener | undefined;
  #sweep: Timer | undefined;
  #shortSweep: Timer | undefined;
  #nextId = 1;
  #loggedRefusalMs = Number.NEGATIVE_INFINITY;

  constructor(options: ServerOptions, ports: ServerPorts, sink: RequestSink, metrics: MetricFactory) {
    this.#options = options;
    this.#ports = ports;
    this.#slots = new ConnectionSlots(options.connectionsMax, options.connectionsPerAddressMax);
    this.#memory = new RequestMemory(options.requestMemoryBytesMax, () => this.#becameShort());
    const { clock, timers, log } = ports;
    const gone = (connection: Connection): void => void this.#connections.delete(connection);
    this.#host = {
      sink,
      limits: options,
      memory: this.#memory,
      spare: options.spare,
      login: options.login,
      clock,
      timers,
      log,
      gone,
      requests: metrics.counter('requests_total'),
      receivedBytes: metrics.counter('received_bytes_total'),
      sentBytes: metrics.counter('sent_bytes_total'),
    };
    this.#accepted = metrics.counter('connections_accepted_total');
    this.#refused = metrics.counter('connections_refused_total');
    metrics.gauge('connections', () => this.#slots.taken);
    metrics.gauge('request_memory_bytes', () => this.#memory.usedBytes);
  }

  /** Resolves with the bound port. Rejects with ERR_PORT_IN_USE, ERR_OPTION. */
  async listen(): Promise<number> {
    const { host, port, tls, idleMs, stallMs, connectionDelayMs } = this.#options;
    this.#listener = await this.#ports.network.listen({ host, port, tls, admit: (address) => this.#admit(address) }, (socket) => {
      const connection = new Connection(this.#nextId++, socket, this.#host);
      this.#connections.add(connection);
      connection.mute(connectionDelayMs?.(connection.host) ?? 0);
      return connection.socketEvents;
    });
    this.#sweep = this.#ports.timers.every(Math.min(idleMs, stallMs, SWEEP_MS_MAX), () => this.#closeIdle());
    return this.#listener.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** New connections get these certificates. Throws ERR_OPTION. */
  renewTls(tls: object): void {
    this.#listener?.renewTls?.(tls);
  }

  async close(): Promise<void> {
    this.#sweep?.cancel();
    this.#shortSweep?.cancel();
    await this.#listener?.close();
    for (const connection of [...this.#connections]) connection.close();
    this.#connections.clear();
  }

  #admit(address: string): (() => void) | undefined {
    const slot = this.#slots.take(address);
    if (typeof slot === 'function') {
      this.#accepted.add();
      return slot;
    }
    this.#refused.add();
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#loggedRefusalMs >= LOG_GAP_MS) {
      this.#loggedRefusalMs = nowMs; // a flood of connections must not become a flood of lines
      const { connectionsMax, connectionsPerAddressMax } = this.#options;
      this.#ports.log.warn(
        { host: address, connectionsMax, connectionsPerAddressMax },
        `refused a connection: too many are open ${slot === 'total' ? 'in all' : 'from this address'}`,
      );
    }
    return undefined;
  }

  #closeIdle(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const { idleMs, stallMs } = this.#options;
    for (const connection of [...this.#connections]) {
      const since = connection.idleSinceMs;
      const halfSince = connection.halfFrameSinceMs;
      if ((since !== undefined && since < nowMs - idleMs) || (halfSince !== undefined && halfSince < nowMs - idleMs)) connection.close();
    }
    this.#closeStalled(nowMs, stallMs);
  }

  #closeStalled(nowMs: number, stallMs: number): void {
    for (const connection of [...this.#connections]) {
      const since = connection.stalledSinceMs();
      if (since === undefined || since > nowMs - stallMs) continue;
      this.#ports.log.info({ connection: connection.id, host: connection.host }, 'closing a connection that does not get on');
      connection.close();
    }
  }

  /** Somebody waits for memory: whoever holds it and does not get on goes sooner. */
  #becameShort(): void {
    this.#shortSweep ??= this.#ports.timers.after(SHORT_SWEEP_MS, () => {
      this.#shortSweep = undefined;
      this.#closeStalled(this.#ports.clock.monotonicMs(), this.#options.stallMs / SHORT_DIVISOR);
      if (this.#memory.isShort) this.#becameShort();
    });
  }
}
