// One connection to one broker: requests go out pipelined, answers are matched by correlation id.
// Owns: the socket, what awaits an answer, the versions agreed on.  Never: retries, knows what a request means, chooses a broker.
// C1 correlation ids wrap after 2^31-1 and are never given to two living requests.
// C2 an answer that comes after its request timed out is dropped and the connection goes on; one that was never asked for ends it.
// C3 one timer per connection, armed only while something awaits an answer, for the earliest deadline of all or before.
// C4 two time-outs in a row without a single byte between them: the other side is gone though TCP has not noticed, and the connection ends.
// C5 every rejection says whether the request was written (`wasSent`): an unsent one may be repeated blindly.
// C6 a login that runs out is renewed before it does; what is to be sent meanwhile waits, in order. Source: KIP-368.
import { assert, MillraceError, type Ports, type Socket, type SocketEvents, type Timer, whenAborted } from '@millrace/core';
import { APIS, type Api, correlationIdOf, decodeResponse, encodeRequestPieces, type RequestInput, type ResponseBody } from '@millrace/protocol';
import type { ConnectionOptions } from '../port.ts';
import { FrameAssembler, type FrameSink } from './frame-assembler.ts';
import type { FramePool, PooledFrame } from './frame-pool.ts';
import { createLatch, type Latch } from './latch.ts';
import { authenticate } from './sasl.ts';
import { agreeVersion, type BrokerVersions, negotiateVersions } from './versions.ts';

export type ConnectionPorts = Pick<Ports, 'clock' | 'timers' | 'chance' | 'network' | 'log'>;

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export interface OpenOptions {
  /** Where received frames come from (fetching). */
  readonly pool?: FramePool | undefined;
  /** Default 0. */
  readonly firstCorrelationId?: number | undefined;
  /** Aborted before the connection is open: it is given up at once. */
  readonly signal?: AbortSignal | undefined;
}

export interface RequestOptions {
  /** Default: the highest version both sides speak, at most this. */
  readonly versionMax?: number;
  /** Default: the connection's `requestTimeoutMs`. A parked request needs its parking time on top. */
  readonly timeoutMs?: number;
}

interface Pending {
  readonly api: Api;
  readonly version: number;
  readonly deadlineMs: number;
  readonly keepFrame: boolean;
  readonly latch: Latch<PooledAnswer<Api>>;
}

export interface PooledAnswer<A extends Api> {
  readonly body: ResponseBody<A>;
  /** The memory that the body's data fields look at, in pooled mode; the caller releases it. */
  readonly frame: PooledFrame | undefined;
}

/** Answers nobody waits for any more; past this the broker is considered dead. */
const ABANDONED_MAX = 256;
const SILENT_TIMEOUTS_MAX = 2;
/** A login is renewed after 85 to 95 % of its time. */
const RENEW_FROM = 0.85;
const RENEW_SPREAD = 0.1;
const CORRELATION_ID_MAX = 0x7fff_ffff;

export class BrokerConnection implements SocketEvents, FrameSink {
  readonly address: BrokerAddress;
  readonly #options: ConnectionOptions;
  readonly #ports: ConnectionPorts;
  readonly #assembler: FrameAssembler;
  readonly #pending = new Map<number, Pending>();
  readonly #abandoned = new Set<number>();
  #socket: Socket | undefined;
  #versions: BrokerVersions | undefined;
  #nextCorrelationId: number;
  #timer: Timer | undefined;
  /** When it rings; infinity without one. */
  #timerAtMs = Number.POSITIVE_INFINITY;
  #corked = false;
  /** Times at which requests expired since the last byte came. */
  #silentTimeouts = 0;
  #closeReason: MillraceError | undefined;
  #renewAtMs = Number.POSITIVE_INFINITY;
  #renewing: Promise<void> | undefined;

  private constructor(address: BrokerAddress, options: ConnectionOptions, ports: ConnectionPorts, pool: FramePool | undefined, firstCorrelationId: number) {
    this.address = address;
    this.#options = options;
    this.#ports = ports;
    this.#assembler = new FrameAssembler(this, pool);
    this.#nextCorrelationId = firstCorrelationId;
  }

  /**
   * Connects, agrees on versions, logs in. Rejects with ERR_CONNECTION (nobody there, closed at once, given up), ERR_PROTOCOL (not Kafka),
   * ERR_BROKER_VERSION, ERR_AUTHENTICATION; all within `connectionTimeoutMs`.
   */
  static async open(address: BrokerAddress, options: ConnectionOptions, ports: ConnectionPorts, opening: OpenOptions = {}): Promise<BrokerConnection> {
    const { pool, firstCorrelationId = 0, signal } = opening;
    const connection = new BrokerConnection(address, options, ports, pool, firstCorrelationId);
    const tls = options.ssl === undefined || options.ssl === false ? undefined : options.ssl === true ? {} : options.ssl;
    connection.#socket = await ports.network.connect({ ...address, timeoutMs: options.connectionTimeoutMs, tls, signal }, connection);
    const over = whenAborted(signal, () => connection.close());
    try {
      connection.#versions = await negotiateVersions(connection, options.connectionTimeoutMs);
      await connection.#logIn();
    } catch (error) {
      connection.close();
      throw signal?.aborted === true ? error : handshakeFailure(error, address, options);
    } finally {
      over();
    }
    return connection;
  }

  get closed(): boolean {
    return this.#closeReason !== undefined;
  }

  /** Requests that await an answer. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Level of a feature that the cluster has finalized; 0 when it has not. */
  featureLevel(name: string): number {
    return this.#versions?.features.get(name) ?? 0;
  }

  /** The version both sides speak, at most `versionMax`. Throws ERR_BROKER_VERSION, naming both ranges. */
  versionFor(api: Api, versionMax?: number): number {
    return agreeVersion(api, this.#versions, versionMax);
  }

  /** Sends a request and resolves with the body of its answer. */
  async request<A extends Api>(api: A, body: RequestInput<A>, options: RequestOptions = {}): Promise<ResponseBody<A>> {
    const answer = await this.#send(api, this.versionFor(api, options.versionMax), body, options.timeoutMs, false);
    return answer.body;
  }

  /** The same for answers with much data: the frame is the caller's to release. */
  requestPooled<A extends Api>(api: A, body: RequestInput<A>, options: RequestOptions = {}): Promise<PooledAnswer<A>> {
    return this.#send(api, this.versionFor(api, options.versionMax), body, options.timeoutMs, true);
  }

  /** A request of a fixed version, before versions are agreed on. */
  async requestAt<A extends Api>(api: A, version: number, body: RequestInput<A>, timeoutMs: number): Promise<ResponseBody<A>> {
    const answer = await this.#sendNow(api, version, body, timeoutMs, false);
    return answer.body;
  }

  // ---- login --------------------------------------------------------------------------------------------------------

  async #logIn(): Promise<void> {
    const { sasl, connectionTimeoutMs } = this.#options;
    if (sasl === undefined) return;
    const { chance, clock } = this.#ports;
    const lifetimeMs = await authenticate(this, sasl, chance, connectionTimeoutMs);
    // Early, and not all connections at once.
    this.#renewAtMs = lifetimeMs > 0 ? clock.monotonicMs() + lifetimeMs * (RENEW_FROM + RENEW_SPREAD * chance.float()) : Number.POSITIVE_INFINITY;
  }

  /** Starts the renewal when it is due; undefined: nothing stands between the caller and the socket. */
  #renewal(): Promise<void> | undefined {
    if (this.#renewing !== undefined || this.#closeReason !== undefined || this.#ports.clock.monotonicMs() < this.#renewAtMs) return this.#renewing;
    this.#renewing = this.#logIn().then(
      () => {
        this.#renewing = undefined;
      },
      (error: unknown) => this.#destroy('the login could not be renewed', error),
    );
    return this.#renewing;
  }

  // ---- sending ------------------------------------------------------------------------------------------------------

  #send<A extends Api>(api: A, version: number, body: RequestInput<A>, timeoutMs: number | undefined, keepFrame: boolean): Promise<PooledAnswer<A>> {
    const renewal = this.#renewal();
    const now = (): Promise<PooledAnswer<A>> => this.#sendNow(api, version, body, timeoutMs, keepFrame);
    return renewal === undefined ? now() : renewal.then(now);
  }

  #sendNow<A extends Api>(api: A, version: number, body: RequestInput<A>, timeoutMs: number | undefined, keepFrame: boolean): Promise<PooledAnswer<A>> {
    const socket = this.#socket;
    if (socket === undefined || this.#closeReason !== undefined) return Promise.reject(this.#failure('ERR_CONNECTION', api, 'the connection is closed', false));
    const correlationId = this.#takeCorrelationId();
    const pieces = encodeRequestPieces(api, version, { correlationId, clientId: this.#options.clientId }, body);
    const deadlineMs = this.#ports.clock.monotonicMs() + (timeoutMs ?? this.#options.requestTimeoutMs);
    const latch = createLatch<PooledAnswer<A>>();
    // Sound: the latch is resolved in #settle with what was decoded by this api and version.
    this.#pending.set(correlationId, { api, version, deadlineMs, keepFrame, latch: latch as unknown as Latch<PooledAnswer<Api>> });
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      queueMicrotask(() => {
        this.#corked = false;
        if (this.#closeReason === undefined) socket.uncork();
      });
    }
    for (const piece of pieces) socket.write(piece);
    if (deadlineMs < this.#timerAtMs) this.#armTimer(deadlineMs);
    return latch.promise;
  }

  #takeCorrelationId(): number {
    let id = this.#nextCorrelationId;
    while (this.#pending.has(id) || this.#abandoned.has(id)) id = id === CORRELATION_ID_MAX ? 0 : id + 1;
    this.#nextCorrelationId = id === CORRELATION_ID_MAX ? 0 : id + 1;
    return id;
  }

  // ---- what the socket reports --------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.#closeReason !== undefined) return;
    this.#silentTimeouts = 0;
    try {
      this.#assembler.push(chunk);
    } catch (error) {
      this.#destroy(error instanceof Error ? error.message : String(error), error);
    }
  }

  onClose(error: Error | undefined): void {
    this.#destroy(error === undefined ? 'the broker closed the connection' : error.message, error);
  }

  onFrame(frame: Buffer, pooled: PooledFrame | undefined): void {
    const correlationId = correlationIdOf(frame);
    const pending = this.#pending.get(correlationId);
    if (pending === undefined) {
      pooled?.release();
      if (this.#abandoned.delete(correlationId)) return;
      throw new MillraceError('ERR_PROTOCOL', `The broker at ${this.#place()} answered request ${correlationId}, which was never sent.`, { correlationId });
    }
    this.#pending.delete(correlationId);
    this.#settle(pending, frame, pooled);
  }

  #settle(pending: Pending, frame: Buffer, pooled: PooledFrame | undefined): void {
    let body: ResponseBody<Api>;
    try {
      // KIP-511: a broker that does not know our ApiVersions version answers in the form of version 0, error code first.
      const fallback = pending.api.key === APIS.apiVersions.key && frame.length >= 6 && frame.readInt16BE(4) === 35;
      body = decodeResponse(pending.api, fallback ? 0 : pending.version, frame).body;
    } catch (error) {
      pooled?.release();
      pending.latch.reject(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    // A handshake answer in pooled mode keeps its frame from the pool: its bytes fields are views that nobody releases.
    pending.latch.resolve({ body, frame: pending.keepFrame ? pooled : undefined });
  }

  // ---- time and end -------------------------------------------------------------------------------------------------

  /** The one that is armed for later is not waited for: a heartbeat has a second, the join before it had minutes. */
  #armTimer(atMs: number): void {
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    const delayMs = Math.max(1, Math.ceil(atMs - this.#ports.clock.monotonicMs()));
    this.#timer = this.#ports.timers.after(delayMs, () => {
      this.#timer = undefined;
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#expire();
      let earliestMs = Number.POSITIVE_INFINITY;
      for (const pending of this.#pending.values()) earliestMs = Math.min(earliestMs, pending.deadlineMs);
      if (earliestMs !== Number.POSITIVE_INFINITY) this.#armTimer(earliestMs); // #expire may have ended the connection; then nothing is pending
    });
  }

  #expire(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    let expired = 0;
    for (const [correlationId, pending] of this.#pending) {
      if (pending.deadlineMs > nowMs) continue;
      expired++;
      this.#pending.delete(correlationId);
      this.#abandoned.add(correlationId);
      pending.latch.reject(this.#failure('ERR_TIMEOUT', pending.api, 'no answer in time', true));
    }
    if (expired > 0) this.#silentTimeouts++;
    if (this.#silentTimeouts >= SILENT_TIMEOUTS_MAX || this.#abandoned.size > ABANDONED_MAX)
      this.#destroy(`${this.#abandoned.size} requests were never answered`, undefined);
  }

  /** Ends the connection; what awaits an answer is rejected. */
  close(): void {
    this.#destroy('the connection was closed here', undefined);
  }

  #destroy(reason: string, cause: unknown): void {
    if (this.#closeReason !== undefined) return;
    this.#closeReason = new MillraceError(
      'ERR_CONNECTION',
      `The connection to ${this.#place()} is over: ${reason}.`,
      { host: this.address.host, port: this.address.port },
      cause,
    );
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#assembler.drop();
    this.#socket?.destroy();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const each of pending) each.latch.reject(this.#failure('ERR_CONNECTION', each.api, reason, true, cause));
  }

  #failure(code: 'ERR_CONNECTION' | 'ERR_TIMEOUT', api: Api, reason: string, sent: boolean, cause?: unknown): MillraceError {
    const where = { host: this.address.host, port: this.address.port, api: api.name, sent: sent ? 1 : 0 };
    return new MillraceError(code, `${api.name} to ${this.#place()}: ${reason}.`, where, cause);
  }

  #place(): string {
    return `${this.address.host}:${this.address.port}`;
  }
}

/** True when the request behind this failure may have reached the broker: nobody knows whether it was carried out. */
export function wasSent(error: unknown): boolean {
  return MillraceError.is(error) && error.where.sent === 1;
}

/** True for failures of the way to the broker, as opposed to an answer from it. */
export function isConnectionFailure(error: unknown): boolean {
  return (
    MillraceError.is(error) &&
    (error.code === 'ERR_CONNECTION' || error.code === 'ERR_TIMEOUT' || error.code === 'ERR_PROTOCOL') &&
    error.where.kafkaCode === undefined
  );
}

function handshakeFailure(error: unknown, address: BrokerAddress, options: ConnectionOptions): unknown {
  assert(error instanceof Error, 'handshake threw something that is no error');
  if (!MillraceError.is(error) || error.code !== 'ERR_CONNECTION') return error;
  const tls = options.ssl === undefined || options.ssl === false ? 'set `ssl` if the port expects TLS' : 'leave `ssl` out if the port is plain';
  const login = options.sasl === undefined ? 'set `sasl` if it expects a login, or `ssl.cert` and `ssl.key` if it asks for a certificate' : 'check `sasl`';
  const message = `${address.host}:${address.port} accepted the connection and then dropped it: ${tls}, ${login}.`;
  return new MillraceError('ERR_CONNECTION', message, { host: address.host, port: address.port }, error);
}
