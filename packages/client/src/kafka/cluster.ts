// The cluster as one client sees it: which node leads what, who coordinates what, and a connection to each by purpose.
// Owns: connections, metadata cache, coordinator cache.  Never: retries a caller's request (retry.ts), keeps data of partitions.
// K1 connections are apart by purpose: a parked fetch or join never holds back a commit or a metadata request.
// K2 one metadata request at a time; everybody who wants one meanwhile gets its answer or the next one's.
// K3 metadata never goes back: an older leader epoch of the same topic id is ignored.
import { backoffMs, MillraceError, sleep } from '@millrace/core';
import { APIS, NO_UUID, type ResponseBody } from '@millrace/protocol';
import { checkConnectionOptions, parseBrokerAddress } from '../options.ts';
import type { ConnectionOptions } from '../port.ts';
import { type BrokerAddress, BrokerConnection, type ConnectionPorts, isConnectionFailure } from './connection.ts';
import { kafkaCodeOf, kafkaFailure, responseTo } from './error-response.ts';
import type { FramePool } from './frame-pool.ts';

/** What a connection is for; each purpose has its own to each node. */
export type Purpose = 'admin' | 'coordinator' | 'probe' | 'leave' | 'produce' | 'fetch' | 'fetch-extra';
export type CoordinatorKind = 'group' | 'transaction';

export interface PartitionLeader {
  readonly nodeId: number;
  /** -1: unknown. */
  readonly epoch: number;
}
export interface TopicMetadata {
  readonly name: string;
  /** Base64url; NO_UUID when the broker does not know topic ids. */
  readonly topicId: string;
  readonly internal: boolean;
  /** By partition; undefined where no leader is known. */
  readonly leaders: readonly (PartitionLeader | undefined)[];
}

const REFRESH_AGE_MS = 300_000;
const REFRESH_GAP_MS = 50;
const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 1_000;
const UNKNOWN_TOPIC = 3;

type MetadataBody = ResponseBody<typeof APIS.metadata>;

export class KafkaCluster {
  readonly options: ConnectionOptions;
  readonly ports: ConnectionPorts;
  readonly #bootstrap: readonly BrokerAddress[];
  readonly #pool: FramePool | undefined;
  readonly #nodes = new Map<number, BrokerAddress>();
  readonly #connections = new Map<string, Promise<BrokerConnection>>();
  readonly #topics = new Map<string, TopicMetadata>();
  /** Topics the broker has called unknown in its last answer. */
  readonly #missing = new Set<string>();
  readonly #wanted = new Set<string>();
  readonly #coordinators = new Map<string, number>();
  readonly #closing = new AbortController();
  #started: Promise<void> | undefined;
  #refreshing: Promise<void> | undefined;
  #refreshedAtMs = Number.NEGATIVE_INFINITY;
  #nextNode = 0;

  /** `pool`: where the frames of fetch connections come from. Throws ERR_OPTION. */
  constructor(options: ConnectionOptions, ports: ConnectionPorts, pool?: FramePool) {
    checkConnectionOptions(options);
    this.options = options;
    this.ports = ports;
    this.#pool = pool;
    this.#bootstrap = options.brokers.map(parseBrokerAddress);
    if (typeof options.ssl === 'object' && (options.ssl as { readonly rejectUnauthorized?: unknown }).rejectUnauthorized === false)
      ports.log.warn(
        { brokers: options.brokers },
        'certificates of brokers are not checked (ssl.rejectUnauthorized is false): anybody in between can read and change everything',
      );
  }

  /** Memory of frames that nobody uses just now, kept for the next ones. */
  get idleFrameBytes(): number {
    return this.#pool?.idleBytes ?? 0;
  }
  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the cluster is closed: what waits should stop. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The first contact. Rejects with ERR_BROKER_UNREACHABLE when no broker answered within `connectionTimeoutMs`; call again to try again. */
  start(): Promise<void> {
    this.#started ??= this.#firstContact().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  // ---- metadata -----------------------------------------------------------------------------------------------------

  /** Names topics whose metadata is to be kept; the next refresh brings them. */
  want(topics: Iterable<string>): void {
    for (const topic of topics) this.#wanted.add(topic);
  }

  /** As of the last refresh. */
  topic(name: string): TopicMetadata | undefined {
    return this.#topics.get(name);
  }

  /** True when the last refresh said that the topic does not exist. */
  isMissing(name: string): boolean {
    return this.#missing.has(name);
  }

  /** Asks again for all wanted topics. Rejects when no broker can be reached. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** True when the cache is old enough to be refreshed in passing. */
  get stale(): boolean {
    return this.ports.clock.monotonicMs() - this.#refreshedAtMs > REFRESH_AGE_MS;
  }

  /** Leader of a partition, from the cache; refreshes once when it is unknown. Rejects with a retriable error when it stays so. */
  async leader(topic: string, partition: number): Promise<PartitionLeader> {
    this.#wanted.add(topic);
    let known = this.#topics.get(topic)?.leaders[partition];
    if (known === undefined) {
      await this.refresh();
      known = this.#topics.get(topic)?.leaders[partition];
    }
    if (known === undefined)
      throw kafkaFailure(this.#missing.has(topic) ? UNKNOWN_TOPIC : 5, `Looking up the leader of ${topic}-${partition}`, { topic, partition });
    return known;
  }

  /** One metadata request past the cache. `names` undefined: all topics. */
  async fetchMetadata(names: readonly string[] | undefined): Promise<MetadataBody> {
    const connection = await this.anyConnection();
    const topics = names === undefined ? null : names.map((name) => ({ topicId: NO_UUID, name }));
    const asked = { topics, allowAutoTopicCreation: false, includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false };
    try {
      const body = await connection.request(APIS.metadata, asked);
      this.#adopt(body);
      return body;
    } catch (error) {
      this.#nextNode++; // another node may be better off
      throw error;
    }
  }

  async #refreshOnce(): Promise<void> {
    const gapMs = this.#refreshedAtMs + REFRESH_GAP_MS - this.ports.clock.monotonicMs();
    if (gapMs > 0) await sleep(this.ports.timers, Math.ceil(gapMs), this.closing);
    await this.fetchMetadata([...this.#wanted]);
    this.#refreshedAtMs = this.ports.clock.monotonicMs();
  }

  #adopt(body: MetadataBody): void {
    for (const broker of body.brokers) this.#nodes.set(broker.nodeId, { host: broker.host, port: broker.port });
    for (const topic of body.topics) {
      const name = topic.name;
      if (name === null || !this.#wanted.has(name)) continue;
      if (topic.errorCode === UNKNOWN_TOPIC) {
        this.#missing.add(name);
        this.#topics.delete(name);
      }
      if (topic.errorCode !== 0) continue;
      this.#missing.delete(name);
      const before = this.#topics.get(name);
      const known = before?.topicId === topic.topicId ? before.leaders : [];
      const leaders: (PartitionLeader | undefined)[] = [];
      for (const partition of topic.partitions) {
        const old = known[partition.partitionIndex];
        const fresh = partition.leaderId < 0 ? undefined : { nodeId: partition.leaderId, epoch: partition.leaderEpoch };
        leaders[partition.partitionIndex] = old !== undefined && fresh !== undefined && old.epoch > fresh.epoch ? old : fresh;
      }
      this.#topics.set(name, { name, topicId: topic.topicId, internal: topic.isInternal, leaders });
    }
  }

  // ---- connections --------------------------------------------------------------------------------------------------

  /** The connection to a node for a purpose; opened when there is none. Rejects with ERR_CONNECTION and the like. */
  connectionTo(nodeId: number, purpose: Purpose): Promise<BrokerConnection> {
    const address = this.#nodes.get(nodeId);
    if (address === undefined) return Promise.reject(new MillraceError('ERR_CONNECTION', `Node ${nodeId} is not known to the cluster.`, { nodeId, sent: 0 }));
    return this.#connection(`${nodeId}/${purpose}`, address, purpose);
  }

  /** A connection for requests that any node can answer. */
  async anyConnection(): Promise<BrokerConnection> {
    const nodes = [...this.#nodes.keys()];
    let failure: unknown;
    for (let tried = 0; tried < nodes.length; tried++) {
      const nodeId = nodes[this.#nextNode % nodes.length] as number;
      try {
        return await this.connectionTo(nodeId, 'admin');
      } catch (error) {
        failure = error;
        this.#nextNode++;
      }
    }
    for (const [index, address] of this.#bootstrap.entries()) {
      try {
        return await this.#connection(`bootstrap/${index}`, address, 'admin');
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #connection(key: string, address: BrokerAddress, purpose: Purpose): Promise<BrokerConnection> {
    for (;;) {
      if (this.closed) throw new MillraceError('ERR_CLOSED', 'The client is closed.', { sent: 0 });
      let opening = this.#connections.get(key);
      if (opening === undefined) {
        const pool = purpose === 'fetch' || purpose === 'fetch-extra' ? this.#pool : undefined;
        opening = BrokerConnection.open(address, this.options, this.ports, { pool, signal: this.closing });
        this.#connections.set(key, opening);
        opening.catch(() => this.#forget(key, opening));
      }
      const connection = await opening.catch((error: unknown) => {
        throw unsent(error);
      });
      if (this.closed) connection.close();
      else if (!connection.closed) return connection;
      this.#forget(key, opening);
    }
  }

  #forget(key: string, opening: Promise<BrokerConnection> | undefined): void {
    if (this.#connections.get(key) === opening) this.#connections.delete(key);
  }

  /** Drops the connection to a node for a purpose, with all that waits on it. */
  dropConnection(nodeId: number, purpose: Purpose): void {
    const key = `${nodeId}/${purpose}`;
    const opening = this.#connections.get(key);
    this.#connections.delete(key);
    opening?.then(
      (connection) => connection.close(),
      () => {},
    );
  }

  /** Drops every connection: others are made when they are needed. */
  dropConnections(): void {
    const dropped = [...this.#connections.values()];
    this.#connections.clear();
    for (const opening of dropped)
      opening.then(
        (connection) => connection.close(),
        () => {},
      );
  }

  async #firstContact(): Promise<void> {
    const { clock, timers, chance } = this.ports;
    const deadlineMs = clock.monotonicMs() + this.options.connectionTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.refresh();
      } catch (error) {
        if (!mayPass(error)) throw error;
        const waitMs = backoffMs(chance, attempt, FIRST_WAIT_MS, WAIT_MS_MAX);
        if (clock.monotonicMs() + waitMs >= deadlineMs) throw this.#unreachable(error);
        await sleep(timers, waitMs, this.closing);
        if (this.closed) throw new MillraceError('ERR_CLOSED', 'The client was closed while it was connecting.');
      }
    }
  }

  #unreachable(cause: unknown): MillraceError {
    const addresses = this.options.brokers.join(', ');
    const message = `No broker answered at ${addresses} within ${this.options.connectionTimeoutMs} ms. Check that a broker is running there, that the address is right and reachable from this machine, and \`ssl\` if the port expects TLS.`;
    return new MillraceError('ERR_BROKER_UNREACHABLE', message, { brokers: addresses }, cause);
  }

  // ---- coordinators -------------------------------------------------------------------------------------------------

  /**
   * The node that coordinates a group or a transactional id. Rejects with [15] and the like while the cluster has none.
   * `timeoutMs`: for the answer, in place of `requestTimeoutMs`.
   */
  async coordinator(kind: CoordinatorKind, key: string, timeoutMs?: number): Promise<number> {
    const cached = this.#coordinators.get(`${kind}/${key}`);
    if (cached !== undefined) return cached;
    const connection = await this.anyConnection();
    const question = { keyType: kind === 'group' ? 0 : 1, coordinatorKeys: [key] };
    const body = await connection.request(APIS.findCoordinator, question, timeoutMs === undefined ? {} : { timeoutMs });
    const found = body.coordinators[0];
    if (found === undefined) throw new MillraceError('ERR_PROTOCOL', `FindCoordinator for ${kind} "${key}" came back empty.`, { kafkaCode: -1 });
    if (found.errorCode !== 0) throw kafkaFailure(found.errorCode, `Finding the coordinator of ${kind} "${key}"`, { [kind]: key, sent: 0 }, found.errorMessage);
    this.#nodes.set(found.nodeId, { host: found.host, port: found.port });
    this.#coordinators.set(`${kind}/${key}`, found.nodeId);
    return found.nodeId;
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}/${key}`);
  }

  /** Closes every connection, also those that are just being made; what waits on one is rejected. */
  close(): void {
    this.#closing.abort();
    for (const opening of this.#connections.values()) {
      opening.then(
        (connection) => connection.close(),
        () => {},
      );
    }
    this.#connections.clear();
  }
}

/** A broker that comes up refuses connections first, and then, for a moment, requests. */
function mayPass(error: unknown): boolean {
  const code = kafkaCodeOf(error);
  if (code !== undefined) return responseTo(code).reaction !== 'fail';
  return isConnectionFailure(error) && !(MillraceError.is(error) && error.code === 'ERR_PROTOCOL');
}

/** A request that failed because no connection could be opened was certainly not sent. */
function unsent(error: unknown): unknown {
  if (!MillraceError.is(error)) return error;
  return new MillraceError(error.code, error.message, { ...error.where, sent: 0 }, error);
}
