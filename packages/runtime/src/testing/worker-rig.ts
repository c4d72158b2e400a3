// A worker over the memory log, with a counting topology, a recorded trace, and waits for events in place of sleeps.
// The stores outlive a worker, as a disk would, so a test can start another worker on them.
import { type ErrorCode, MillraceError, serde, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool } from '@millrace/protocol';
import { type KeyValueStore, META_STORE, memoryEngine, type OpenDatabase } from '@millrace/state';
import { type ErrorPolicy, type Failure, GraphBuilder, type NodeContext, type Topology } from '@millrace/topology';
import type { WorkerTiming } from '../options.ts';
import { createWorker } from '../worker.ts';
import type { BufferFact, CommitFacts, RestoreProgress, TaskState, WorkerAssignment, WorkerOptions, WorkerSeat } from '../worker-ports.ts';
import { MemoryLog } from './memory-log.ts';

export const APPLICATION = 'app';
export const CHANGELOG = 'app-counts-changelog';

/** Counts values per key; value `boom` throws; what is forwarded is the count. */
export function countTopology(
  options: { readonly changelog?: false; readonly onError?: ErrorPolicy; readonly during?: (context: NodeContext, value: string) => void } = {},
): Topology {
  const graph = new GraphBuilder();
  graph.addSource({
    name: 'lines',
    topics: [{ name: 'in', internal: false }],
    key: serde.string() as never,
    value: serde.string() as never,
    nullValues: 'serde',
    timestamp: 'record',
    onInvalidTimestamp: 'fail',
    startFrom: 'earliest',
    onError: undefined,
  });
  graph.addStore({
    kind: 'keyValue',
    name: 'counts',
    key: serde.string() as never,
    value: serde.safeInt() as never,
    changelog: options.changelog ?? { config: {} },
    queryable: true,
  });
  graph.addProcessor({
    name: 'count',
    parents: ['lines'],
    stores: ['counts'],
    onError: options.onError,
    create(context) {
      const store = context.store('counts') as KeyValueStore<string, number>;
      return {
        process(key, value) {
          if (value === 'boom') throw new Error('boom');
          options.during?.(context, value as string);
          const count = (store.get(key as string) ?? 0) + 1;
          store.put(key as string, count);
          context.forward(key, `${key as string}=${count}`);
        },
      };
    },
  });
  graph.addSink({ name: 'results', parents: ['count'], topic: { name: 'out', internal: false }, key: serde.string() as never, value: serde.string() as never });
  return graph.build('counting');
}

export interface Rig {
  readonly log: MemoryLog;
  readonly worker: WorkerSeat;
  readonly running: Promise<void>;
  readonly steps: { readonly step: number; readonly span: number; readonly detail: unknown }[];
  readonly points: string[];
  readonly states: [task: string, state: TaskState][];
  readonly restores: RestoreProgress[];
  readonly commits: CommitFacts[];
  readonly failures: Failure[];
  readonly drops: [node: string, reason: string, count: number][];
  buffers: readonly BufferFact[];
  lost: Error | undefined;
  /** What `run` rejected with. */
  ended(): Promise<MillraceError | undefined>;
}

export interface RigOptions {
  readonly log?: MemoryLog;
  readonly topology?: Topology;
  readonly partitions?: number;
  readonly guarantee?: 'exactly-once' | 'at-least-once';
  readonly timing?: Partial<WorkerTiming>;
  readonly disk?: Disk;
  readonly errors?: WorkerOptions['errors'];
  readonly warn?: (fields: object, text: string) => void;
  readonly onPoint?: (name: string) => void;
  readonly onStep?: (step: number, span: number, detail: unknown) => void;
}

/** Databases by task that stay when a worker goes. */
export class Disk {
  readonly #open = new Map<string, OpenDatabase>();
  async of(taskId: string, stores: readonly string[] = ['counts']): Promise<OpenDatabase> {
    const known = this.#open.get(taskId);
    if (known !== undefined) return known;
    const database = await memoryEngine.open({ directory: `rig-${disks++}`, stores: [META_STORE, ...stores], cacheBytes: 0 });
    this.#open.set(taskId, database);
    return database;
  }
}
let disks = 0;

export function createLog(partitions = 1): MemoryLog {
  const log = new MemoryLog();
  log.createTopic('in', partitions);
  log.createTopic('out', 1);
  log.createTopic(CHANGELOG, partitions);
  return log;
}

const TIMING: WorkerTiming = {
  commitIntervalMs: 5,
  settleIntervalMs: 0,
  pollWaitMs: 10,
  idleWaitMs: 0,
  timestampAheadMaxMs: Number.POSITIVE_INFINITY,
  taskTimeoutMs: 60_000,
  transactionTimeoutMs: 10_000,
  purgeIntervalMs: 30_000,
  stagedBytesMax: 8 * 1024 * 1024,
  cacheBytesMax: 1024 * 1024,
  bufferedBytesMax: 8 * 1024 * 1024,
  fetchBytesMax: 1024 * 1024,
  recordBytesMax: 1024 * 1024,
};

export function startRig(options: RigOptions = {}): Rig {
  const log = options.log ?? createLog(options.partitions);
  const disk = options.disk ?? new Disk();
  const guarantee = options.guarantee ?? 'exactly-once';
  const rig = { log, steps: [], points: [], states: [], restores: [], commits: [], failures: [], drops: [], buffers: [], lost: undefined } as unknown as {
    -readonly [P in keyof Rig]: Rig[P];
  };
  const worker = createWorker(
    {
      applicationId: APPLICATION,
      workerId: 'w',
      transactionalId: 'app-w',
      topology: options.topology ?? countTopology(),
      guarantee,
      timing: { ...TIMING, ...options.timing },
      errors: options.errors,
    },
    {
      consumer: log.createConsumer(),
      createRestoreConsumer: () => log.createConsumer(),
      producer: log.createProducer(guarantee === 'exactly-once' ? 'app-w' : undefined),
      admin: log.createAdmin(),
      batches: new BatchPool(),
      openDatabase: (taskId, stores) => disk.of(taskId, stores),
      clock: systemClock,
      timers: systemTimers,
      chance: systemChance,
      log: options.warn === undefined ? silentLogger : { ...silentLogger, warn: options.warn },
      events: {
        taskState: (task, state) => void rig.states.push([task, state]),
        restoreProgress: (progress) => void rig.restores.push(progress),
        dropped: (_task, node, reason, count) => void rig.drops.push([node, reason, count]),
        failure: (failure) => void rig.failures.push(failure),
        buffers: (buffers) => {
          rig.buffers = buffers;
        },
        committed: (facts) => void rig.commits.push(facts),
        settled: () => undefined,
        membershipLost: (error) => {
          rig.lost = error;
        },
      },
      trace: {
        onStep(step, span, detail) {
          rig.steps.push({ step, span, detail });
          options.onStep?.(step, span, detail);
        },
        onPoint(name) {
          rig.points.push(name);
          options.onPoint?.(name);
        },
      },
    },
  );
  rig.worker = worker;
  const running = worker.run();
  running.catch(() => undefined);
  rig.running = running;
  rig.ended = async () => {
    try {
      await running;
      return undefined;
    } catch (error) {
      return error as MillraceError;
    }
  };
  return rig;
}

export function assignmentOf(log: MemoryLog, tasks: readonly string[], generation = 1, memberId = 'm'): WorkerAssignment {
  return {
    group: { groupId: APPLICATION, memberId, generation, instanceId: undefined },
    tasks: tasks.map((id) => ({ id })),
    fence: [],
    partitionCounts: log.partitionCounts(),
  };
}

/** Waits, turn by turn of the event loop, until `condition` holds. The test's own time-out is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A latch for gates: `hold` is awaited by the log, `open` lets it go on. */
export function createHold(): { readonly hold: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const hold = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { hold, open: () => open() };
}

export function refuse(code: ErrorCode): never {
  throw new MillraceError(code, `refused by the test: ${code}`);
}

/** `count` lines with keys a, b, c in turn. */
export function lines(count: number, from = 0): { key: string; value: string; at: number }[] {
  return Array.from({ length: count }, (_, index) => ({ key: 'abc'[(from + index) % 3] as string, value: `v${from + index}`, at: 1000 + from + index }));
}
