// The app users hold: the runtime's instance, the embedded broker where no other is named, and the query server.
// Owns: the order in which the three start and stop.  Never: decides anything about records.
import {
  explainError,
  isSpawnedThread,
  jsonLogger,
  type MetricSnapshot,
  MillraceError,
  nodeDisk,
  nodeNetwork,
  nodeThreads,
  type Ports,
  type Serde,
  systemChance,
  systemClock,
  systemTimers,
} from '@millrace/core';
import type { KeyValueHandle, SessionHandle, TopicSource, Topology, VersionedHandle, WindowHandle } from '@millrace/dsl';
import { createQueryServer, type QueryServer } from '@millrace/query';
import { type AppEvent, type AppState, createRunningApp, type Feed, type RunningApp, type AppOptions as RuntimeOptions } from '@millrace/runtime';
import { installedEngines } from './engines.ts';
import { queryHostOf } from './query-host.ts';
import { createSharedBroker, type SharedBroker } from './shared-broker.ts';
import { type KeyValueView, keyValueViewOf, type VersionedView, versionedViewOf, type WindowView, windowViewOf } from './views.ts';

/** Where queries are served; the routes are in docs/http.md. */
export interface HttpOptions {
  /** 7070; if it was not set and is taken, any free port. */
  readonly port?: number;
  /** Loopback only: the API has no authentication yet. */
  readonly host?: '127.0.0.1' | '::1';
}

/** Every option has a default, which its comment gives. Wrong ones are refused by `createApp` with ERR_OPTION. */
export interface AppOptions extends RuntimeOptions {
  /** On, on loopback. False: no server, and other instances cannot ask this one. */
  readonly http?: false | HttpOptions;
}

/** A committed record as `history` gives it. */
export interface HistoryEntry<K, V> {
  readonly key: K;
  readonly value: V;
  /** Event time, ms since the epoch. */
  readonly timestamp: number;
  readonly partition: number;
  readonly offset: number;
}

/**
 * One instance of an application: `created` until `start`, then `rebalancing` and `running`, at last `stopped`, or `failed` with a reason.
 *
 * @example
 * ```ts
 * await using app = createApp(orderTotals, { module: import.meta.url });
 * app.events.subscribe((event) => console.log(event.kind));
 * await app.start();
 * await app.drained();
 * console.log(await app.store(totals).get('ada'));
 * ```
 */
export interface App {
  /** The application: instances of one id share the work. */
  readonly id: string;
  /** This instance among them; empty before `start` unless it was set. */
  readonly instanceId: string;
  readonly state: AppState;
  /** Every state from now on; ends with the app. */
  readonly states: Feed<AppState>;
  /** Assignments, restore progress, failures of workers; ends with the app. */
  readonly events: Feed<AppEvent>;
  /** What this instance has counted so far; docs/metrics.md lists the names. */
  readonly metrics: { snapshot(): MetricSnapshot };
  /** Bootstrap addresses of the broker in use; empty before `start`. */
  readonly brokers: readonly string[];
  /** Base address of the queries, `http://127.0.0.1:7070`; empty before `start` and with `http: false`. */
  readonly url: string;
  /**
   * Resolves once workers are up and the instance is on its way into its group; it is `running` when all its tasks are. Rejects with what is
   * wrong: ERR_CLOSED (started before), ERR_STATE_LOCKED, ERR_STATE_DIR, ERR_BROKER_UNREACHABLE, ERR_TOPIC_MISSING, ERR_PORT_IN_USE, ERR_MODULE.
   */
  start(): Promise<void>;
  /** Rejects if the state can no longer be reached (with the failure, or ERR_CLOSED), and with ERR_ABORTED on the signal. */
  waitFor(state: AppState, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Resolves when all that was in the input topics at the call has been processed and committed, and is on disk here. */
  drained(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Every committed record of a topic from its start to its end as of the call; records of one key are in order. Rejects with ERR_TOPIC_MISSING. */
  history<K, V>(topic: TopicSource<K, V> & { readonly key: Serde<K>; readonly value: Serde<V, never> }): AsyncIterable<HistoryEntry<K, V>>;
  /** This instance's partitions; committed data, at most `settleInterval` old. */
  store<K, V>(handle: KeyValueHandle<K, V>): KeyValueView<K, V>;
  store<K, V>(handle: WindowHandle<K, V> | SessionHandle<K, V>): WindowView<K, V>;
  store<K, V>(handle: VersionedHandle<K, V>): VersionedView<K, V>;
  /** The tasks of this instance: `subtopology_partition`, what they do, and where. */
  tasks(): readonly { readonly id: string; readonly state: string; readonly worker: string }[];
  /** Resolves when `signal` aborts or the app is closed; rejects when it has failed. */
  finished(signal?: AbortSignal): Promise<void>;
  /** Finishes, commits, closes, leaves (`auto`: unless `instanceId` was set, so that a restart finds its place). Idempotent. */
  close(options?: { readonly leave?: 'auto' | 'leave' | 'stay' }): Promise<void>;
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Attach listeners, then `start()`. Without `brokers` the embedded broker of the state directory is used: started here, or
 * joined where another process of the same folder runs it already.
 *
 * @example
 * ```ts
 * const app = createApp(orderTotals, { module: new URL('./orders.js', import.meta.url) });
 * await app.start();
 * ```
 */
export function createApp(topology: Topology, options: AppOptions = {}): App {
  return new FacadeApp(topology, options);
}

const DEFAULT_HTTP_PORT = 7070;

/** A worker thread imports the module of the topology; a module that starts the app as it is loaded would start it in there again. */
export function refuseInWorker(call: string): void {
  if (!isSpawnedThread()) return;
  throw new MillraceError(
    'ERR_RUN_IN_WORKER',
    `${call} was called in a worker thread: the worker imports your module to get the topology. Guard the call: if (isMain(import.meta)) await run(…).`,
  );
}

/** Before the broker is started: a port that cannot be is no reason to find out seconds later. */
function checkHttp(http: unknown): void {
  if (http === undefined || http === false) return;
  const { port } = Object(http) as { readonly port?: unknown };
  if (typeof http !== 'object' || http === null)
    throw new MillraceError('ERR_OPTION', `http is ${JSON.stringify(http)}; it must be false, or settings: http: { port: 8080 }.`, { option: 'http' });
  if (port !== undefined && !(typeof port === 'number' && Number.isInteger(port) && port >= 0 && port < 65_536))
    throw new MillraceError('ERR_OPTION', `http.port is ${JSON.stringify(port)}; it must be a whole number from 0 (any free port) to 65535.`, {
      option: 'http.port',
    });
}

class FacadeApp implements App {
  readonly #topology: Topology;
  readonly #options: AppOptions;
  readonly #ports: Ports;
  readonly #running: RunningApp;
  #brokers: readonly string[];
  #shared: SharedBroker | undefined;
  #server: QueryServer | undefined;
  #started = false;
  #closing: Promise<void> | undefined;

  constructor(topology: Topology, options: AppOptions) {
    if (typeof (topology as Partial<Topology> | undefined)?.describe !== 'function') {
      throw new MillraceError('ERR_TOPOLOGY', "The app was given no topology. Pass what topology('name', …) returns: createApp(orders) or run(orders).");
    }
    const embedded = options.brokers === undefined;
    if (embedded && process.env.NODE_ENV === 'production') {
      throw new MillraceError(
        'ERR_OPTION',
        "NODE_ENV is production and no brokers are given. Set brokers: ['host:port', …]; the embedded broker is for development and single machines (unset NODE_ENV to use it).",
        { option: 'brokers' },
      );
    }
    checkHttp(options.http);
    this.#topology = topology;
    this.#options = options;
    this.#brokers = options.brokers ?? [];
    const log =
      options.log ??
      jsonLogger(
        'warn',
        (line) => process.stderr.write(`${line}\n`),
        () => systemClock.nowMs(),
      );
    this.#ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log };
    const brokers = (): readonly string[] => this.#brokers;
    this.#running = createRunningApp(topology, options, {
      ports: this.#ports,
      threads: nodeThreads,
      engines: installedEngines(),
      get brokers() {
        return brokers();
      },
      embedded,
      address: () => (this.#server === undefined ? undefined : this.#server.url.slice('http://'.length)),
    });
  }

  get id(): string {
    return this.#running.id;
  }
  get instanceId(): string {
    return this.#running.instanceId;
  }
  get state(): AppState {
    return this.#running.state;
  }
  get states(): Feed<AppState> {
    return this.#running.states;
  }
  get events(): Feed<AppEvent> {
    return this.#running.events;
  }
  get metrics(): { snapshot(): MetricSnapshot } {
    return this.#running.metrics;
  }
  get brokers(): readonly string[] {
    return this.#brokers;
  }
  get url(): string {
    return this.#server?.url ?? '';
  }

  async start(): Promise<void> {
    refuseInWorker('app.start()');
    // Before the try: a second call is a mistake of its caller and no reason to stop what the first one started.
    if (this.#closing !== undefined) throw new MillraceError('ERR_CLOSED', 'the app has been closed, and an app is started once. Create another one.');
    if (this.#started) throw new MillraceError('ERR_CLOSED', `the app is ${this.state}; an app is started once. Create another one.`);
    this.#started = true;
    try {
      if (this.#options.brokers === undefined) {
        const dataDir = this.#ports.disk.join(this.#options.stateDir ?? './.millrace', '$broker');
        this.#shared = createSharedBroker({ dataDir, port: 0, partitions: 4 }, this.#ports);
        await this.#shared.open().catch((error: unknown) => {
          throw inStateDir(error, this.#options.stateDir ?? './.millrace');
        });
        this.#refuseIfClosing();
        this.#brokers = [this.#shared.address];
      }
      if (this.#options.http !== false) {
        const http = this.#options.http ?? {};
        this.#server = await createQueryServer(
          { host: http.host ?? '127.0.0.1', port: http.port ?? DEFAULT_HTTP_PORT, portFallback: http.port === undefined },
          queryHostOf(this.#running, this.#topology),
          this.#ports,
        );
        this.#showLoadOf(this.#server);
        if (this.#closing !== undefined) await this.#server.close();
      }
      this.#refuseIfClosing();
      await this.#running.start();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** As with the buffers of workers: what is held, and the bound. */
  #showLoadOf(server: QueryServer): void {
    const { metrics } = this.#running;
    const labels = { thread_id: 'main', buffer: 'http' };
    metrics.gauge('millrace_buffer_bytes', () => server.load().unsentBytes, labels);
    metrics.gauge('millrace_buffer_bytes_max', () => server.load().unsentBytesMax, labels);
    metrics.gauge('millrace_buffer_items', () => server.load().requests, labels);
    metrics.gauge('millrace_buffer_items_max', () => server.load().requestsMax, labels);
  }

  #refuseIfClosing(): void {
    if (this.#closing !== undefined) throw new MillraceError('ERR_CLOSED', 'the app was closed while it started');
  }

  waitFor(state: AppState, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#running.waitFor(state, options);
  }
  async drained(options?: { readonly signal?: AbortSignal }): Promise<void> {
    if (!this.#started && this.#closing === undefined) throw new MillraceError('ERR_CLOSED', 'the app has not been started: call start() before drained().');
    return this.#running.drained(options);
  }
  history<K, V>(
    topic: TopicSource<K, V> & { readonly name: string; readonly key: Serde<K>; readonly value: Serde<V, never> },
  ): AsyncIterable<HistoryEntry<K, V>> {
    // Sound: the topic's own serdes decode its own records.
    return this.#running.history(topic.name, topic.key as never, topic.value as never) as AsyncIterable<HistoryEntry<K, V>>;
  }
  store<K, V>(handle: KeyValueHandle<K, V>): KeyValueView<K, V>;
  store<K, V>(handle: WindowHandle<K, V> | SessionHandle<K, V>): WindowView<K, V>;
  store<K, V>(handle: VersionedHandle<K, V>): VersionedView<K, V>;
  store<K, V>(
    handle: KeyValueHandle<K, V> | WindowHandle<K, V> | SessionHandle<K, V> | VersionedHandle<K, V>,
  ): KeyValueView<K, V> | WindowView<K, V> | VersionedView<K, V> {
    this.#checkStore(handle);
    const { reads } = this.#running;
    if (handle.kind === 'keyValue') return keyValueViewOf<K, V>(reads, handle.name);
    return handle.kind === 'versioned' ? versionedViewOf<K, V>(reads, handle.name) : windowViewOf<K, V>(reads, handle.name);
  }

  /** A handle that no operator keeps rows under is a mistake, not a partition that lives elsewhere. */
  #checkStore({ name }: { readonly name: string }): void {
    const { name: topology, stores } = this.#topology;
    if (stores.has(name)) return;
    const there = [...stores.keys()].join(', ');
    throw new MillraceError(
      'ERR_STORE_NOT_CONNECTED',
      name === undefined
        ? `store() takes the handle that store.keyValue(…) and its like return, not a name. Topology '${topology}' has ${there || 'no stores'}.`
        : `Topology '${topology}' has no store '${name}'; it has ${there || 'none'}. Give one of its operators this handle: { store }.`,
      name === undefined ? {} : { store: name },
    );
  }

  tasks(): readonly { readonly id: string; readonly state: string; readonly worker: string }[] {
    return this.#running.tasks();
  }

  async finished(signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const subscription = this.states.subscribe({ next() {}, complete: resolve });
      signal?.addEventListener(
        'abort',
        () => {
          subscription.unsubscribe();
          resolve();
        },
        { once: true },
      );
      if (signal?.aborted) resolve();
    });
    if (this.#running.failure !== undefined) throw this.#running.failure;
  }

  async close(options: { readonly leave?: 'auto' | 'leave' | 'stay' } = {}): Promise<void> {
    this.#closing ??= this.#shut(options);
    await this.#closing;
  }

  /** The instance first: its last commit needs the broker. */
  async #shut(options: { readonly leave?: 'auto' | 'leave' | 'stay' }): Promise<void> {
    await this.#running.close(options);
    await this.#server?.close().catch((error: unknown) => this.#ports.log.warn({}, `while closing the query server: ${explainError(error)}`));
    await this.#shared?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Whoever set `stateDir` need not know that the embedded broker keeps its data below it. */
function inStateDir(error: unknown, stateDir: string): unknown {
  if (!MillraceError.is(error) || error.code !== 'ERR_DATA_DIR') return error;
  const message = `${error.message} It is the folder of the embedded broker, below stateDir (${stateDir}): give another one with stateDir (or --data-dir), or name brokers to do without it.`;
  return new MillraceError('ERR_DATA_DIR', message, { ...error.where, stateDir }, error.cause);
}
