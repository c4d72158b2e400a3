// The application on this instance: the composition root that makes every part, leaves first, and the handle users hold.
// Nothing is assigned after construction; whoever needs a broker, threads or engines gets them from `AppEnvironment`.
// Never: speaks HTTP, starts a broker, reads the environment of the process.
import { createHash } from 'node:crypto';
import { type ConnectionOptions, createAdmin, createConsumer, createGroupMember, type LogAdmin } from '@millrace/client';
import { type ErasedSerde, explainError, type Logger, MetricRegistry, type MetricSnapshot, MillraceError, type Ports, type Threads } from '@millrace/core';
import type { ByteStoreEngine } from '@millrace/state';
import { type ErrorDecision, type Failure, hasPatterns, resolvePatterns, type Topology } from '@millrace/topology';
import { BufferGauges } from './buffer-gauges.ts';
import { waitUntilDrained } from './drain.ts';
import { type ChosenEngine, chooseEngine, chooseStoreEngines, type EngineCandidate, engineOf, type NamedEngines } from './engines.ts';
import { failureFromWire } from './failure-wire.ts';
import { type Feed, Publisher } from './feed.ts';
import { GLOBAL_TASK } from './global/global-rows.ts';
import type { KeptGlobals } from './global/keep-globals.ts';
import { openGlobals } from './global/open-globals.ts';
import { createGroupLeader, prepareTopics } from './group-leader.ts';
import { type HistoryRecord, readHistory } from './history.ts';
import { Instance } from './instance.ts';
import type { TaskView } from './instance-parts.ts';
import { type AppState, canReach, Lifecycle } from './lifecycle.ts';
import { type AppOptions, type AppSettings, settingsOf } from './options.ts';
import { createReadFacade, type ReadFacade } from './read-facade.ts';
import { openStateDirectory, type StateDirectory } from './state-directory.ts';
import { createTaskDatabases, type TaskDatabases } from './task-databases.ts';
import { topicsMatched } from './topics-matched.ts';
import { startThreadWorker } from './worker-host.ts';
import { startInlineWorker } from './worker-inline.ts';
import type { WorkerBlueprint, WorkerNews } from './worker-messages.ts';

/** What an instance tells of itself; `failed` states carry their reason in `failure` and in the rejection of `finished()`. */
export type AppEvent =
  | { readonly kind: 'state'; readonly from: AppState; readonly to: AppState }
  | { readonly kind: 'assigned' | 'revoked' | 'lost'; readonly tasks: readonly string[] }
  | {
      readonly kind: 'restoreProgress';
      readonly store: string;
      readonly partition: number;
      readonly restored: number;
      readonly remaining: number;
      readonly etaMs: number | undefined;
    }
  /** A record failed and a policy has decided, the default included; of a flood, 100 a second and worker. */
  | { readonly kind: 'failure'; readonly failure: Failure; readonly decision: ErrorDecision }
  | { readonly kind: 'workerFailed'; readonly worker: string; readonly error: Error }
  /** User code has held a worker for this long. */
  | { readonly kind: 'blocked'; readonly worker: string; readonly blockedMs: number };

/** What the facade hands in: the machine, and what is installed. */
export interface AppEnvironment {
  readonly ports: Ports;
  readonly threads: Threads;
  readonly engines: readonly EngineCandidate[];
  /** Bootstrap addresses, and whether the broker is the embedded one. */
  readonly brokers: readonly string[];
  readonly embedded: boolean;
  /** `host:port` of this instance's query server once it listens. */
  readonly address: () => string | undefined;
}

export interface RunningApp {
  readonly id: string;
  readonly instanceId: string;
  readonly state: AppState;
  readonly states: Feed<AppState>;
  readonly events: Feed<AppEvent>;
  readonly metrics: MetricRegistry;
  readonly reads: ReadFacade;
  start(): Promise<void>;
  waitFor(state: AppState, options?: { readonly signal?: AbortSignal }): Promise<void>;
  drained(options?: { readonly signal?: AbortSignal }): Promise<void>;
  history(topic: string, key: ErasedSerde, value: ErasedSerde): AsyncGenerator<HistoryRecord>;
  tasks(): readonly TaskView[];
  close(options?: { readonly leave?: 'auto' | 'leave' | 'stay' }): Promise<void>;
  /** Why the state is failing or failed. */
  readonly failure: Error | undefined;
}

/** Builds the app; nothing runs and nothing is locked before `start`. Throws ERR_OPTION and its like for wrong options. */
export function createRunningApp(topology: Topology, options: AppOptions, environment: AppEnvironment): RunningApp {
  return new AppOnInstance(topology, settingsOf(topology, options, environment.embedded), environment, options.log ?? environment.ports.log);
}

interface InstanceNeeds extends Pick<Parts, 'directory' | 'databases' | 'admin' | 'globals'> {
  readonly engine: ChosenEngine;
  /** Of the tasks: the app's, or several. */
  readonly taskEngine: ByteStoreEngine;
  readonly storeEngines: NamedEngines;
  readonly connection: ConnectionOptions;
  readonly threads: Threads;
  readonly matched: ReadonlyMap<string, number>;
}

interface Parts {
  readonly globals: KeptGlobals | undefined;
  readonly directory: StateDirectory;
  readonly databases: TaskDatabases;
  readonly admin: LogAdmin;
  readonly instance: Instance;
}

class AppOnInstance implements RunningApp {
  readonly id: string;
  readonly states = new Publisher<AppState>();
  readonly events = new Publisher<AppEvent>();
  readonly metrics = new MetricRegistry();
  readonly #buffers = new BufferGauges(this.metrics);
  /** What user code counts, by worker, as last told. */
  readonly #userMetrics = new Map<string, MetricSnapshot>();
  readonly reads: ReadFacade;
  readonly #topology: Topology;
  readonly #settings: AppSettings;
  readonly #environment: AppEnvironment;
  readonly #log: Logger;
  readonly #lifecycle: Lifecycle;
  #parts: Parts | undefined;
  #assembling: Promise<Parts> | undefined;
  /** The first that talks to a broker. */
  #firstAdmin: LogAdmin | undefined;
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(topology: Topology, settings: AppSettings, environment: AppEnvironment, log: Logger) {
    this.id = settings.applicationId;
    this.#topology = topology;
    this.#settings = settings;
    this.#environment = environment;
    this.#log = log;
    this.#lifecycle = new Lifecycle((from, to) => {
      this.events.publish({ kind: 'state', from, to });
      this.states.publish(to);
    });
    this.metrics.include(() => [...this.#userMetrics.values()].flat());
    this.reads = createReadFacade(topology, settings.applicationId, () => this.#parts);
  }

  get state(): AppState {
    return this.#lifecycle.state;
  }
  get instanceId(): string {
    return this.#parts?.directory.instanceId ?? this.#settings.instanceId ?? '';
  }
  get failure(): Error | undefined {
    return this.#failure;
  }

  async start(): Promise<void> {
    if (this.state !== 'created') throw new MillraceError('ERR_CLOSED', `the app is ${this.state}; an app is started once. Create another one.`);
    this.#lifecycle.move('rebalancing');
    try {
      this.#assembling = this.#assemble();
      const parts = await this.#assembling;
      if (this.#closing !== undefined) await this.#letGo(parts);
      else {
        this.#parts = parts;
        await parts.instance.start();
      }
      if (this.#closing !== undefined) throw new MillraceError('ERR_CLOSED', 'the app was closed while it started');
    } catch (error) {
      await this.#giveUp(error as Error, 'told'); // by the rejection
      throw error;
    }
  }

  async #assemble(): Promise<Parts> {
    const { ports, engines, threads } = this.#environment;
    const settings = this.#settings;
    const directory = openStateDirectory(
      { stateDir: settings.stateDir, applicationId: settings.applicationId, instanceId: settings.instanceId },
      ports.disk,
      ports.chance,
    );
    let admin: LogAdmin | undefined;
    let globals: KeptGlobals | undefined;
    try {
      const engine = await chooseEngine(settings.engine, engines, this.#log);
      const storeEngines = await chooseStoreEngines(this.#topology, engines, this.#log);
      const named = new Map([...storeEngines].map(([name, chosen]) => [name, chosen.engine]));
      const taskEngine = engineOf(this.#topology, engine.engine, named);
      const connection = this.#connection(directory.instanceId);
      admin = createAdmin(connection, {}, ports);
      this.#firstAdmin = admin;
      const { matched } = await prepareTopics(this.#topology, settings, admin); // a missing topic is told at start, not in the first rebalance
      const databases = createTaskDatabases({
        topology: this.#topology,
        engine: taskEngine,
        directory,
        cacheBytes: 16 * 1024 * 1024,
        nowMs: () => ports.clock.nowMs(),
        quarantined: (taskId, path, reason) =>
          this.#log.warn(
            { task: taskId, path },
            `the local state of task ${taskId} could not be opened, or cannot be read (${explainError(reason)}); it is kept in ${path} and rebuilt from the changelog`,
          ),
      });
      // Before any task runs: what they look up is whole.
      globals = await openGlobals({
        topology: this.#topology,
        settings,
        engine: engine.engine,
        directory,
        connection,
        ports,
        log: this.#log,
        dropped: (reason) => this.metrics.counter('dropped-records-total', { thread_id: 'main', task_id: GLOBAL_TASK, reason }).add(1),
        failed: (error) => void this.#giveUp(error),
        abandoned: () => this.#closing !== undefined,
      });
      return {
        directory,
        databases,
        admin,
        globals,
        instance: this.#createInstance({ directory, databases, admin, engine, taskEngine, storeEngines, connection, threads, globals, matched }),
      };
    } catch (error) {
      await globals?.close();
      await admin?.close();
      directory.release();
      throw error;
    }
  }

  #connection(instanceId: string): ConnectionOptions {
    const { clientId, ...rest } = this.#settings.connection;
    return { ...rest, brokers: this.#environment.brokers, clientId: clientId ?? `${this.#settings.applicationId}-${instanceId}` };
  }

  #createInstance({ directory, databases, admin, engine, taskEngine, storeEngines, connection, threads, globals, matched }: InstanceNeeds): Instance {
    const { ports } = this.#environment;
    const settings = this.#settings;
    const topologyText = JSON.stringify(this.#topology.toJSON());
    const topologyHash = createHash('sha256').update(topologyText).digest('hex');
    const transactionalId = (index: number): string => `${settings.applicationId}-${directory.instanceId}-${index}`;
    const blueprint = (index: number): WorkerBlueprint => ({
      workerId: `worker-${index}`,
      applicationId: settings.applicationId,
      transactionalId: transactionalId(index),
      stateDir: directory.path,
      module: settings.module,
      topologyText,
      guarantee: settings.guarantee,
      connection,
      engine: engine.source,
      storeEngines: [...storeEngines].map(([wanted, { source }]) => ({ ...source, wanted })),
      timing: settings.timing,
      globals: globals?.database.ticket,
      errors: Object.fromEntries(
        (['decode', 'process', 'produce'] as const).flatMap((stage) => (typeof settings.errors[stage] === 'string' ? [[stage, settings.errors[stage]]] : [])),
      ),
    });
    const leader = createGroupLeader(this.#topology, topologyHash, settings, admin, directory.instanceId);
    const instance: Instance = new Instance({
      topology: this.#topology,
      topologyHash,
      settings,
      directory,
      databases,
      admin,
      leader,
      matched,
      address: () => settings.advertise ?? this.#environment.address(),
      startWorker: (index, events, abandoned) =>
        settings.workers === 0
          ? startInlineWorker(blueprint(index), this.#topology, settings.errors, taskEngine, ports, events)
          : startThreadWorker(blueprint(index), threads, events, abandoned),
      createMember: (hooks) =>
        createGroupMember(
          connection,
          { groupId: settings.applicationId, instanceId: settings.instanceId, topics: [], sessionTimeoutMs: settings.sessionTimeoutMs },
          { ...hooks, topics: () => instance.inputs, assign: (members) => leader.assign(members) },
          ports,
        ),
      transactionalId,
      ports,
      log: this.#log,
      events: {
        assigned: (tasks) => this.events.publish({ kind: 'assigned', tasks }),
        revoked: (tasks) => this.events.publish({ kind: 'revoked', tasks }),
        lost: (tasks) => this.events.publish({ kind: 'lost', tasks }),
        settledDown: (allRunning) => void this.#lifecycle.moveIfAllowed(allRunning ? 'running' : 'rebalancing'),
        news: (worker, news) => this.#hear(worker, news),
        blocked: (worker, blockedMs) => this.events.publish({ kind: 'blocked', worker, blockedMs }),
        workerFailed: (worker, error) => {
          this.#userMetrics.delete(worker);
          this.events.publish({ kind: 'workerFailed', worker, error });
        },
        failed: (error) => void this.#giveUp(error),
      },
    });
    return instance;
  }

  #hear(worker: string, news: WorkerNews): void {
    switch (news.kind) {
      case 'restoreProgress': {
        const partition = Number(news.taskId.slice(news.taskId.indexOf('_') + 1));
        this.events.publish({ kind: 'restoreProgress', store: news.store, partition, restored: news.restored, remaining: news.remaining, etaMs: news.etaMs });
        return;
      }
      case 'failure':
        this.events.publish({ kind: 'failure', failure: failureFromWire(news.failure), decision: news.decision });
        return;
      case 'dropped':
        this.metrics.counter('dropped-records-total', { thread_id: worker, task_id: news.taskId, reason: news.reason }).add(news.count);
        return;
      case 'committed':
        this.metrics.counter('process-total', { thread_id: worker }).add(news.records);
        this.metrics.counter('commit-total', { thread_id: worker }).add(1);
        return;
      case 'buffers':
        this.#buffers.told(worker, news.buffers);
        return;
      case 'metrics':
        this.#userMetrics.set(
          worker,
          news.samples.map((sample) => ({ ...sample, labels: { ...sample.labels, thread_id: worker } })),
        );
        return;
      case 'log':
        this.#log[news.level]({ worker, ...news.fields }, news.text);
        return;
      case 'taskState':
      case 'failed':
      case 'membershipLost':
        return; // the instance acts on these
    }
  }

  async waitFor(state: AppState, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.state === state) return;
    await new Promise<void>((resolve, reject) => {
      const check = (): boolean => {
        if (this.state === state) resolve();
        else if (!canReach(this.state, state))
          reject(this.#failure ?? new MillraceError('ERR_CLOSED', `the app is ${this.state} and cannot become ${state} any more`));
        else if (options.signal?.aborted) reject(new MillraceError('ERR_ABORTED', `stopped while waiting for the app to be ${state}`));
        else return false;
        return true;
      };
      if (check()) return;
      const subscription = this.states.subscribe(() => {
        if (check()) subscription.unsubscribe();
      });
      options.signal?.addEventListener('abort', () => void (check() && subscription.unsubscribe()), { once: true });
    });
  }

  async drained(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.waitFor('running', options);
    const { instance, admin, globals } = this.#running();
    await globals?.caughtUp();
    await waitUntilDrained({
      topology: this.#topology,
      resolved: hasPatterns(this.#topology)
        ? (existing) => resolvePatterns(this.#topology, [...topicsMatched(this.#topology, this.#settings, existing).keys()])
        : undefined,
      applicationId: this.id,
      admin,
      timers: this.#environment.ports.timers,
      signal: options.signal ?? new AbortController().signal,
      check: () => {
        if (this.#failure !== undefined) throw this.#failure;
      },
    });
    await instance.settle();
  }

  history(topic: string, key: ErasedSerde, value: ErasedSerde): AsyncGenerator<HistoryRecord> {
    const { admin, directory } = this.#running();
    const { ports } = this.#environment;
    return readHistory({
      topic,
      key,
      value,
      admin,
      openConsumer: () => createConsumer(this.#connection(directory.instanceId), { isolation: 'read_committed' }, ports),
    });
  }

  tasks(): readonly TaskView[] {
    return this.#parts?.instance.tasks() ?? [];
  }

  #running(): Parts {
    if (this.#parts === undefined) throw new MillraceError('ERR_CLOSED', `the app is ${this.state}; call start() first`);
    return this.#parts;
  }

  async close(options: { readonly leave?: 'auto' | 'leave' | 'stay' } = {}): Promise<void> {
    this.#closing ??= this.#shut(options.leave ?? 'auto', 'stopping', 'stopped');
    await this.#closing;
  }

  /** A failure that nobody can mend: everything stops in order, and the reason stays readable. */
  async #giveUp(error: Error, caller: 'told' | 'away' = 'away'): Promise<void> {
    if (this.#failure !== undefined || this.#closing !== undefined) return;
    this.#failure = error;
    if (caller === 'away') this.#log.error({ error: explainError(error) }, 'the instance stops');
    this.#closing = this.#shut('auto', 'failing', 'failed');
    await this.#closing;
  }

  async #letGo(parts: Parts): Promise<void> {
    await parts.globals?.close().catch((error: unknown) => this.#log.warn({}, `while closing the global stores: ${explainError(error)}`));
    await parts.admin.close().catch(() => undefined);
    parts.directory.release();
  }

  async #shut(leave: 'auto' | 'leave' | 'stay', during: 'stopping' | 'failing', end: 'stopped' | 'failed'): Promise<void> {
    if (!this.#lifecycle.moveIfAllowed(during)) return;
    const parts = this.#parts;
    if (parts !== undefined) {
      // A static member stays in the group over a restart; a dynamic one has no identity to come back to.
      await parts.instance
        .close(leave === 'leave' || (leave === 'auto' && this.#settings.instanceId === undefined))
        .catch((error: unknown) => this.#log.warn({}, `while closing: ${explainError(error)}`));
      await this.#letGo(parts);
    } else {
      // Still on its way: what it waits for may be long in coming, a broker that is not there for instance.
      await this.#firstAdmin?.close().catch(() => undefined);
      await this.#assembling?.catch(() => undefined); // told by `start`
    }
    this.#lifecycle.move(end);
    this.states.end();
    this.events.end();
  }
}
