// Makes a worker from its blueprint and serves the main thread's requests: the same on a thread of its own and inline.
// Owns: the answers to numbered requests and the news.  Never: knows how messages travel.
import { createAdmin, createConsumer, createProducer } from '@millrace/client';
import { type Clock, errorToWire, explainError, type Logger, MillraceError, type Ports } from '@millrace/core';
import { BatchPool } from '@millrace/protocol';
import { type ByteStoreEngine, type Database, META_STORE, memoryEngine } from '@millrace/state';
import { isDeadLetter, type Topology } from '@millrace/topology';
import { engineOf, loadEngine } from './engines.ts';
import { createFailureGate, failureToWire } from './failure-wire.ts';
import { GLOBAL_TASK, GlobalRows } from './global/global-rows.ts';
import { globalViews } from './global/global-view.ts';
import { keepGlobals, type WorkerGlobals } from './global/keep-globals.ts';
import type { ErrorPolicies } from './options.ts';
import { readStore } from './store-reads.ts';
import { createWorker } from './worker.ts';
import type { FromWorker, ReadRow, SeatPlan, ToWorker, WorkerBlueprint, WorkerNews } from './worker-messages.ts';
import type { WorkerEvents, WorkerSeat } from './worker-ports.ts';

export interface WorkerServer {
  receive(message: ToWorker): void;
  /** Resolves when the worker has ended; rejects with what ended it. */
  readonly ended: Promise<void>;
}

export interface AssemblyOptions {
  readonly blueprint: WorkerBlueprint;
  readonly topology: Topology;
  readonly errors: ErrorPolicies;
  readonly ports: Ports;
  /** The engine, where it need not be loaded by the blueprint's module. */
  readonly engine?: ByteStoreEngine | undefined;
  readonly say: (message: FromWorker) => void;
}

/** Throws ERR_TOPOLOGY_MODULE_MISMATCH when the worker's topology is not the main thread's. */
export async function serveWorker(options: AssemblyOptions): Promise<WorkerServer> {
  const { blueprint, topology, say } = options;
  const mine = JSON.stringify(topology.toJSON());
  if (mine !== blueprint.topologyText) {
    throw new MillraceError(
      'ERR_TOPOLOGY_MODULE_MISMATCH',
      `module ${blueprint.module ?? ''} gives worker threads another topology than the one that was started: ${firstDifference(blueprint.topologyText, mine)}. Export the very topology you run as the module's default, and build it from the same values in every thread (environment variables are the same; arguments of a call are not).`,
    );
  }
  const engine = options.engine ?? (await loadEngines(blueprint, topology));
  const seats = new SeatPlans(engine, topology);
  const globals = await openGlobals(options, engine);
  const worker = createWorker(
    {
      applicationId: blueprint.applicationId,
      workerId: blueprint.workerId,
      transactionalId: blueprint.transactionalId,
      topology,
      guarantee: blueprint.guarantee,
      timing: blueprint.timing,
      errors: options.errors,
    },
    { ...workerPorts(options, seats), globalStore: globals?.view },
  );
  const ended = worker.run().finally(() => globals?.close());
  const databaseOf = (taskId: string): Database | undefined => (taskId === GLOBAL_TASK ? globals?.database : worker.databaseOf(taskId));
  return { ended, receive: (message) => void answer({ worker, seats, topology, databaseOf, say }, message) };
}

/** In a thread of its own: the app's engine and those of single stores, each loaded here. */
async function loadEngines({ engine, storeEngines }: WorkerBlueprint, topology: Topology): Promise<ByteStoreEngine> {
  const app = await loadEngine(engine);
  const named = new Map<string, ByteStoreEngine>();
  for (const source of storeEngines) named.set(source.wanted, source.module === engine.module ? app : await loadEngine(source));
  return engineOf(topology, app, named);
}

function workerPorts(options: AssemblyOptions, seats: SeatPlans) {
  const { blueprint, ports, say } = options;
  const exactlyOnce = blueprint.guarantee === 'exactly-once';
  const isolation = 'read_committed';
  const { timing } = blueprint;
  const connection = { ...blueprint.connection, clientId: `${blueprint.connection.clientId}-${blueprint.workerId}` };
  return {
    consumer: createConsumer(connection, { isolation, fetchBytesMax: timing.fetchBytesMax, bufferedBytesMax: timing.bufferedBytesMax }, ports),
    createRestoreConsumer: () =>
      createConsumer({ ...connection, clientId: `${connection.clientId}-restore` }, { isolation, bufferedBytesMax: timing.bufferedBytesMax }, ports),
    producer: createProducer(
      connection,
      exactlyOnce ? { transactionalId: blueprint.transactionalId, transactionTimeoutMs: timing.transactionTimeoutMs } : {},
      ports,
    ),
    admin: createAdmin({ ...connection, clientId: `${connection.clientId}-admin` }, {}, ports),
    batches: new BatchPool(),
    stateDirOf: (taskId: string) => ports.disk.join(blueprint.stateDir, 'tasks', taskId, 'files'),
    openDatabase: (taskId: string, stores: readonly string[]) => seats.openDatabase(taskId, stores),
    clock: ports.clock,
    timers: ports.timers,
    chance: ports.chance,
    log: newsLogger(say),
    events: newsEvents(say, ports.clock),
  };
}

/** Which ticket belongs to which task, as the last assignment said; and the databases a memory engine keeps here. */
class SeatPlans {
  readonly #engine: ByteStoreEngine;
  readonly #topology: Topology;
  #plan: SeatPlan | undefined;
  #opened = 0;

  constructor(engine: ByteStoreEngine, topology: Topology) {
    this.#engine = engine;
    this.#topology = topology;
  }

  take(plan: SeatPlan): void {
    this.#plan = plan;
  }

  openDatabase(taskId: string, stores: readonly string[]): Promise<Database> | Database {
    const ticket = this.#plan?.tasks.find((task) => task.id === taskId)?.ticket;
    if (ticket !== undefined) return this.#engine.attach(ticket);
    if (this.#engine.shareable && stores.length > 0)
      throw new MillraceError('ERR_STORE_CLOSED', `task ${taskId} of '${this.#topology.name}' came without its database`, { task: taskId });
    // In memory, where the task lives: an engine that cannot be shared, or a task without stores. Each opening is fresh and empty.
    return memoryEngine.open({ directory: `${taskId}#${++this.#opened}`, stores: [META_STORE, ...stores], cacheBytes: 0 });
  }
}

/** The worker's global stores: those of the main thread, or, where nobody can share a database, its own copy, read to its end before it begins. */
async function openGlobals(options: AssemblyOptions, engine: ByteStoreEngine): Promise<WorkerGlobals | undefined> {
  const { blueprint, topology, ports, say } = options;
  if (topology.globals.length === 0) return undefined;
  if (blueprint.globals !== undefined) {
    const database = engine.attach(blueprint.globals);
    return { database, view: globalViews(topology, database), close: async () => database.detach() };
  }
  const connection = { ...blueprint.connection, clientId: `${blueprint.connection.clientId}-${blueprint.workerId}-global` };
  const { bufferedBytesMax } = blueprint.timing;
  return await keepGlobals({
    topology,
    applicationId: blueprint.applicationId,
    database: await memoryEngine.open({ directory: `${GLOBAL_TASK}-${blueprint.workerId}`, stores: GlobalRows.storesOf(topology), cacheBytes: 0 }),
    createConsumer: () => createConsumer(connection, { isolation: 'read_committed', bufferedBytesMax }, ports),
    admin: createAdmin(connection, {}, ports),
    errors: options.errors,
    ports,
    log: newsLogger(say),
    dropped: (node, reason) => say({ kind: 'news', news: { kind: 'dropped', taskId: GLOBAL_TASK, node, reason, count: 1 } }),
    failed: (error) => say({ kind: 'news', news: { kind: 'failed', error: errorToWire(error) } }),
  });
}

interface Desk {
  readonly worker: WorkerSeat;
  readonly seats: SeatPlans;
  readonly topology: Topology;
  readonly databaseOf: (taskId: string) => Database | undefined;
  readonly say: (message: FromWorker) => void;
}

async function answer({ worker, seats, topology, databaseOf, say }: Desk, message: ToWorker): Promise<void> {
  const { number, request } = message;
  try {
    let result: unknown;
    switch (request.kind) {
      case 'assign': {
        const { plan } = request;
        seats.take(plan);
        await worker.assign({
          group: plan.group,
          tasks: plan.tasks,
          fence: plan.fence,
          partitionCounts: new Map(Object.entries(plan.partitionCounts)),
          matched: plan.matched,
          recordBytesMax: new Map(Object.entries(plan.recordBytesMax)),
          outputRules: new Map(Object.entries(plan.outputRules)),
        });
        break;
      }
      case 'ping':
        break;
      case 'lost':
        await worker.lost();
        break;
      case 'settle':
        await worker.settleNow();
        break;
      case 'read':
        result = readHere(databaseOf(request.read.taskId), topology, request.read);
        break;
      case 'stop':
        await worker.stop(request.deadlineMs);
        break;
    }
    say({ kind: 'answer', number, result });
  } catch (error) {
    say({ kind: 'fault', number, error: errorToWire(error) });
  }
}

function readHere(
  database: Database | undefined,
  topology: Topology,
  read: { readonly taskId: string; readonly store: string; readonly query: Parameters<typeof readStore>[2] },
): readonly ReadRow[] {
  const spec = topology.stores.get(read.store);
  if (database === undefined || spec === undefined)
    throw new MillraceError('ERR_STORE_CLOSED', `task ${read.taskId} is not here any more`, { task: read.taskId, store: read.store });
  return readStore(database, spec, read.query);
}

const FAILURE_LINE_MS = 1000;

function newsEvents(say: (message: FromWorker) => void, clock: Clock): WorkerEvents {
  const tell = (news: WorkerNews): void => say({ kind: 'news', news });
  const toldMs = new Map<string, number>();
  const gate = createFailureGate(clock);
  let toldMetrics = false;
  return {
    taskState: (taskId, state) => tell({ kind: 'taskState', taskId, state }),
    restoreProgress: (progress) => tell({ kind: 'restoreProgress', ...progress }),
    dropped: (taskId, node, reason, count) => tell({ kind: 'dropped', taskId, node, reason, count }),
    failure(failure, decision) {
      if (gate()) tell({ kind: 'failure', failure: failureToWire(failure), decision });
      const { node, taskId: task, stage, source } = failure;
      if (decision === 'fail')
        return tell({ kind: 'log', level: 'error', fields: { node, task, stage, source }, text: `fail: ${explainError(failure.error)}` });
      // Records that are passed over may come by the thousand: one line a second and node, the rest are counted as drops.
      const nowMs = clock.monotonicMs();
      if (nowMs - (toldMs.get(node) ?? Number.NEGATIVE_INFINITY) < FAILURE_LINE_MS) return;
      toldMs.set(node, nowMs);
      const what = isDeadLetter(decision) ? `dead letter to ${decision.topic}` : decision;
      tell({ kind: 'log', level: 'warn', fields: { node, task, stage, source }, text: `${what}: ${explainError(failure.error)}` });
    },
    buffers: (buffers) => tell({ kind: 'buffers', buffers }),
    metrics(samples) {
      // Also when there are none any more: what is not told of has gone.
      if (samples.length > 0 || toldMetrics) tell({ kind: 'metrics', samples });
      toldMetrics = samples.length > 0;
    },
    committed: (facts) => tell({ kind: 'committed', records: facts.records }),
    settled: () => {},
    membershipLost(error) {
      tell({ kind: 'log', level: 'warn', fields: {}, text: `the coordinator no longer knows this member: ${explainError(error)}` });
      tell({ kind: 'membershipLost' });
    },
  };
}

function newsLogger(say: (message: FromWorker) => void): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: object, text: string): void =>
      say({ kind: 'news', news: { kind: 'log', level, fields: plain(fields), text } });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Fields as data that can travel: what JSON keeps of them. */
function plain(fields: object): object {
  return JSON.parse(JSON.stringify(fields)) as object;
}

function firstDifference(left: string, right: string): string {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  const from = Math.max(0, at - 40);
  return `they differ at …${left.slice(from, at + 40)}… against …${right.slice(from, at + 40)}…`;
}
