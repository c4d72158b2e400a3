// One task: a subtopology at work on one partition. Feeds records through the graph, synchronously, depth first.
// Owns: queues, stores, timers, graph; what it did since the last close.  Never: awaits, sends, commits, judges a failure.
// A task has lives: `revive` begins one (new processors, positions as committed), `drop` ends it with nothing kept but the disk.
//
//   created ─→ restoring ─revive→ running ─suspend→ suspended ─→ closed
//                  ↑                 └──── drop ────┘ │            every state may go to closed
//                  └──────────────────────────────────┘
import { assert, type Logger, type MetricFactory, MetricRegistry, MillraceError, noHeaders } from '@millrace/core';
import type { Database } from '@millrace/state';
import {
  type DropReason,
  type EarlierRecord,
  type ErrorPolicy,
  idleAfterOf,
  type OutsideWork,
  type Punctuation,
  type SinkNode,
  type SourceNode,
  type Subtopology,
  topicName,
} from '@millrace/topology';
import { RECORD_BYTES_MAX } from '../options.ts';
import type { OutputLane } from '../outbox.ts';
import type { TaskState } from '../worker-ports.ts';
import { createChoosingSink } from './choosing-sink.ts';
import { TaskCursor } from './cursor.ts';
import { createDecoder } from './decode.ts';
import { createGraph, type GraphHost, sourcesOf, type TaskGraph } from './graph.ts';
import { IdleClock } from './idle-clock.ts';
import type { OutputRule } from './output-rule.ts';
import { Outside } from './outside.ts';
import { PartitionGroup } from './partition-group.ts';
import { Punctuations } from './punctuations.ts';
import { type QueueHost, RecordQueue } from './record-queue.ts';
import { createSink, type SinkHost } from './sink.ts';
import { earlierRecord, type FailureHost, TaskFailures } from './task-failures.ts';
import type { StepBudget, TaskHost } from './task-host.ts';
import { TaskStores } from './task-stores.ts';

export const TASK_MOVES: Readonly<Record<TaskState, readonly TaskState[]>> = {
  created: ['restoring', 'closed'],
  restoring: ['running', 'suspended', 'closed'],
  running: ['suspended'],
  suspended: ['restoring', 'closed'],
  closed: [],
};

const EMIT_INTERVAL_MS = 1000;
/** Progress beside that of operators: the stream time that silence has moved the task to. No operator can have the name. */
const IDLE_TIME = '$idle';
/** Rows of a store with `ttl` that may go before a record is processed, and in each turn. */
const EXPIRED_PER_RECORD = 64;
const EXPIRED_PER_TURN = 1000;
/** The clock is looked at once in so many records. */
const CLOCK_EVERY = 31;

export class Task implements GraphHost, QueueHost, SinkHost, FailureHost {
  readonly id: string;
  readonly subtopology: Subtopology;
  readonly partition: number;
  readonly stores: TaskStores;
  readonly group: PartitionGroup;
  readonly cursor: TaskCursor;
  readonly log: Logger;
  readonly emitIntervalMs: number;
  /** Undefined: stream time stands still while input is silent. */
  readonly idle: IdleClock | undefined;
  /** The queue of the record in hand; undefined between records and below a timer. */
  input: RecordQueue | undefined = undefined;
  /** Records, firings and passed-over offsets since the last close. */
  records = 0;
  fired = 0;
  #commitsAgain = false;
  /** Grows when a life ends: what was begun for an older one is not wanted any more. */
  life = 0;
  /** Stores that turned out corrupt: they are rebuilt before the next life. */
  readonly distrusted = new Set<string>();
  /** What operators keep beside the input offsets: last emit times by store. */
  readonly progress = new Map<string, number>();
  readonly failures: TaskFailures;
  #state: TaskState = 'created';
  readonly #host: TaskHost;
  readonly #punctuations = new Punctuations();
  readonly #outside = new Outside();
  readonly #closedPositions: number[] = [];
  #closedProgress: ReadonlyMap<string, number> = new Map();
  #graph: TaskGraph | undefined;
  #enter: ((key: unknown, value: unknown) => void)[] = [];
  #keyless = 0;
  /** Time that silence had moved in an earlier life, until the graph has been told; else -1. */
  #untoldTime = -1;

  constructor(id: string, subtopology: Subtopology, partition: number, database: Database, host: TaskHost) {
    this.id = id;
    this.subtopology = subtopology;
    this.partition = partition;
    this.#host = host;
    this.log = host.log;
    this.emitIntervalMs = host.emitIntervalMs ?? EMIT_INTERVAL_MS;
    this.cursor = new TaskCursor(id);
    this.failures = new TaskFailures(this, host.events);
    const idleAfterMs = idleAfterOf(host.topology, subtopology);
    this.idle = idleAfterMs === undefined ? undefined : new IdleClock(idleAfterMs);
    this.stores = new TaskStores({
      applicationId: host.applicationId,
      topology: host.topology,
      names: subtopology.stores,
      partition,
      database,
      cursor: this.cursor,
      lane: (topic, index) => host.lane(topic, index, true),
      logsEveryWrite: (store) => host.logsEveryWrite?.(store) ?? false,
      onExpired: (store) => this.drop(store, 'expired', undefined),
    });
    this.group = new PartitionGroup(this.#createQueues(), host.ends, host.idleWaitMs);
    host.events.taskState(id, 'created');
  }

  get state(): TaskState {
    return this.#state;
  }
  get running(): boolean {
    return this.#state === 'running';
  }
  get applicationId(): string {
    return this.#host.applicationId;
  }
  get timestampAheadMaxMs(): number {
    return this.#host.timestampAheadMaxMs ?? Number.POSITIVE_INFINITY;
  }
  get taskId(): string {
    return this.id;
  }
  get stateDir(): string {
    return this.#host.stateDirOf?.(this.id) ?? '.';
  }
  metricsOf(node: string): MetricFactory {
    return this.#host.userMetrics?.of(this.id, node) ?? new MetricRegistry();
  }

  // ---- lives --------------------------------------------------------------------------------------------------------

  move(to: TaskState): void {
    if (to === this.#state) return;
    assert(TASK_MOVES[this.#state].includes(to), `task ${this.id} cannot go from ${this.#state} to ${to}`);
    this.#state = to;
    this.#host.events.taskState(this.id, to);
  }

  /** Begins a life: stores are restored, each queue stands at its committed position (`start` was called on it). */
  revive(): void {
    assert(this.#state === 'restoring', `task ${this.id} begins a life while ${this.#state}`);
    this.#untoldTime = this.progress.get(IDLE_TIME) ?? -1;
    this.group.streamTime = Math.max(this.#untoldTime, ...this.group.queues.map((queue) => queue.partitionTime));
    this.idle?.disturbed();
    this.#resetCursor(-1);
    this.cursor.streamTime = this.group.streamTime;
    const graph = createGraph(this.#host.topology, this.subtopology, this.cursor, this.#host.errors.process ?? 'fail', this);
    this.#graph = graph;
    this.#enter = this.group.queues.map((queue) => graph.enter(queue.source.name));
    this.#rememberPositions();
    this.records = 0;
    this.fired = 0;
    this.#commitsAgain = false;
    this.distrusted.clear();
    this.move('running');
  }

  /** No more records or timers; positions and staging stay for the last commit. */
  suspend(): void {
    if (this.#state === 'running' || this.#state === 'restoring') this.move('suspended');
  }

  /** The store is rebuilt before the next life; all of them where it is not said which. */
  distrust(store: unknown): void {
    const names = this.stores.all.map(({ spec }) => spec.name);
    for (const name of names) if (name === store || !names.includes(store as string)) this.distrusted.add(name);
  }

  /** True while there is a life whose positions mean something: it has begun and was not dropped. */
  get alive(): boolean {
    return this.#graph !== undefined;
  }

  /** Ends a life: nothing that was not settled is kept. */
  dropLife(): void {
    this.suspend();
    this.#endLife();
    this.stores.drop();
  }

  /** Last call: nodes closed, database let go. The caller has settled what should stay. */
  close(): void {
    if (this.#state !== 'closed') this.handOver().detach();
  }

  /** The last call where another task takes this one's place: as `close`, but the database stays open. */
  handOver(): Database {
    this.suspend();
    this.#endLife();
    this.#host.userMetrics?.forget(this.id);
    this.move('closed');
    return this.stores.database;
  }

  /** Does it read what the topology reads as of now? False once a pattern stands for other topics. */
  get readsAsPlanned(): boolean {
    const planned = new Set(this.#inputs().map(({ topic }) => topic));
    return planned.size === this.group.queues.length && this.group.queues.every(({ topic }) => planned.has(topic));
  }

  #endLife(): void {
    this.life += 1;
    for (const queue of this.group.queues) queue.clear();
    this.#punctuations.clear();
    this.#outside.clear();
    const graph = this.#graph;
    this.#graph = undefined;
    this.input = undefined;
    this.#setProgress(this.#closedProgress);
    try {
      graph?.close();
    } catch (error) {
      this.log.warn({ task: this.id, error: String(error) }, 'a processor threw while it was closed');
    }
  }

  // ---- steps 4 and 5 ------------------------------------------------------------------------------------------------

  /** Processes what is queued within the budget; returns how many records. Throws ERR_TASK_FAILED, or what no policy may judge. */
  process(budget: StepBudget): number {
    const { group, cursor } = this;
    const { turnMs } = this.#host;
    const queues = group.queues;
    let count = 0;
    this.idle?.disturbed();
    if (this.#untoldTime >= 0) this.#tellTime(this.#untoldTime);
    try {
      while (count < budget.records && !this.#outside.full) {
        const queue = group.choose(turnMs);
        if (queue === undefined) break;
        group.take(queue);
        if (this.stores.expiring.length > 0) this.#expire(EXPIRED_PER_RECORD);
        cursor.timestamp = queue.timestamp;
        cursor.headers = queue.headers();
        cursor.streamTime = group.streamTime;
        cursor.source = queue.at;
        this.input = queue;
        const enter = queues.length === 1 ? this.#enter[0] : this.#enter[queues.indexOf(queue)];
        (enter as (key: unknown, value: unknown) => void)(queue.key, queue.value);
        this.stores.endRows();
        count += 1;
        if ((count & CLOCK_EVERY) === 0 && this.#host.monotonicMs() >= budget.deadlineMs) break;
      }
    } catch (error) {
      throw this.failures.unjudged(error, 'process');
    } finally {
      this.records += count;
      this.input = undefined;
    }
    return count;
  }

  /** Fires timers that are due; returns how many. */
  punctuate(nowMs: number): number {
    const { streamTime } = this.group;
    if (this.#untoldTime >= 0) this.#tellTime(this.#untoldTime);
    try {
      let fired = this.stores.expiring.length > 0 ? this.#expire(EXPIRED_PER_TURN) : 0;
      if (streamTime >= 0) {
        this.#resetCursor(streamTime);
        fired = this.#punctuations.fireStreamTime(streamTime);
      }
      this.#punctuations.wallClockIs(nowMs);
      if (this.#punctuations.nextWallClockMs <= nowMs) {
        this.#resetCursor(nowMs);
        fired += this.#punctuations.fireWallClock(nowMs);
      }
      this.stores.endRows();
      this.fired += fired;
      return fired;
    } catch (error) {
      throw this.failures.unjudged(error, 'punctuate');
    }
  }
  /** With `idleAfter`: is there something to process, or does a silence begin or go on? */
  noteSilence(nowMs: number): void {
    const { idle } = this;
    if (idle === undefined || !this.running) return;
    if (this.pendingOutside > 0 || this.group.queues.some((queue) => queue.hasMore)) idle.disturbed();
    else idle.silent(nowMs, this.group.streamTime);
  }
  /** Input has been silent up to `seenMs`, wall clock, and nothing from before is still to come: stream time moves, and what waited for it goes on. */
  silentUpTo(seenMs: number): void {
    const to = this.idle?.moveTo(seenMs);
    if (to === undefined || to <= this.group.streamTime) return;
    this.drain(); // what is above and not yet emitted belongs to the time before
    this.group.streamTime = to;
    this.progress.set(IDLE_TIME, to);
    this.#tellTime(to);
    this.fired += 1;
  }
  /** What is due goes before anything else sees the time that has come. */
  #expire(rowsMax: number): number {
    this.input = undefined;
    this.#resetCursor(this.group.streamTime);
    return this.stores.expire(rowsMax);
  }
  #tellTime(streamTime: number): void {
    this.#untoldTime = -1;
    this.#resetCursor(streamTime);
    try {
      this.#graph?.timeMoved(streamTime);
      this.stores.endRows();
    } catch (error) {
      throw this.failures.unjudged(error, 'punctuate');
    }
  }

  /** Applies outcomes of work outside the turn; returns how many. */
  takeOutcomes(): number {
    try {
      const applied = this.#outside.turn();
      this.stores.endRows();
      this.fired += applied;
      return applied;
    } catch (error) {
      throw this.failures.unjudged(error, 'async');
    }
  }
  /** Records that went into such work and whose outcome has not been applied. */
  get pendingOutside(): number {
    return this.#outside.pending;
  }
  get callingOutside(): number {
    return this.#outside.calling;
  }
  /** For metrics: what nodes work at outside the turn, and what nodes hold back. */
  get outsideWorks(): Outside['works'] {
    return this.#outside.works;
  }
  get holdings(): TaskGraph['holdings'] {
    return this.#graph?.holdings ?? [];
  }
  get nextTimerMs(): number {
    return this.#punctuations.nextWallClockMs;
  }

  /** True if something fetched waits and may be taken, as far as is known. */
  get hasWork(): boolean {
    return this.running && !this.#outside.full && this.group.queues.some((queue) => queue.hasMore);
  }

  // ---- step 6 -------------------------------------------------------------------------------------------------------

  /** True if this task took part in the open span. */
  get touched(): boolean {
    if (!this.alive) return false;
    if (this.records > 0 || this.fired > 0 || this.stores.dirty || this.#commitsAgain) return true;
    const { queues } = this.group;
    for (let index = 0; index < queues.length; index++) if (queues[index]?.position !== this.#closedPositions[index]) return true;
    return false;
  }

  /** It takes part in the open span, whatever it does: its positions are to be committed, also where they have not moved. */
  commitAgain(): void {
    this.#commitsAgain = true;
  }

  /** Emit buffers forward what they hold. */
  drain(): void {
    this.input = undefined;
    this.#resetCursor(Math.max(0, this.group.streamTime));
    try {
      this.#graph?.drain();
    } catch (error) {
      throw this.failures.unjudged(error, 'process');
    }
  }

  /** The open span of this task is frozen: what comes now counts for the next. */
  spanClosed(): void {
    this.records = 0;
    this.fired = 0;
    this.#commitsAgain = false;
    if (this.progress.size > 0) this.#closedProgress = new Map(this.progress);
    this.#rememberPositions();
  }

  /** The innermost node at work, as far as is known. */
  get currentNode(): string {
    return this.#graph?.currentNode ?? this.id;
  }

  // ---- what nodes, queues and sinks ask -----------------------------------------------------------------------------

  wallClockMs(): number {
    return this.#host.turnMs;
  }
  store(name: string): unknown {
    return this.stores.get(name);
  }
  schedule(everyMs: number, by: 'streamTime' | 'wallClock', run: (atMs: number) => void, startAtMs: number | undefined): Punctuation {
    return this.#punctuations.schedule(everyMs, by, run, this.#host.turnMs, startAtMs);
  }
  requestCommit(): void {
    this.#host.requestCommit();
  }
  drop(node: string, reason: DropReason, detail: string | undefined): void {
    this.failures.drop(node, reason, detail);
  }
  partitionsOf(topic: string): number {
    return this.#host.partitionsOf(topic);
  }
  recordBytesMax(topic: string): number {
    return this.#host.recordBytesMax?.(topic) ?? RECORD_BYTES_MAX;
  }
  outputRule(topic: string): OutputRule | undefined {
    return this.#host.outputRule?.(topic);
  }
  lane(topic: string, partition: number): OutputLane {
    return this.#host.lane(topic, partition);
  }
  keylessPartition(partitions: number): number {
    this.#keyless += 1;
    return (this.partition + (this.#keyless >>> 8)) % partitions;
  }
  createSink(node: SinkNode): ReturnType<typeof createSink> {
    // Sound: whoever asks the policy takes any other answer, 'retry' too, for 'fail', after which the work is done again.
    const policy = node.onError ?? (this.#host.errors.produce as ErrorPolicy | undefined) ?? 'fail';
    const sinkTo = (target: SinkNode): ReturnType<typeof createSink> => {
      const topic = topicName(this.#host.applicationId, target.topic);
      return createSink(target, topic, this.#host.partitionsOf(topic), this.cursor, policy, this);
    };
    return node.choice === undefined ? sinkTo(node) : createChoosingSink(node, node.choice, sinkTo, this.cursor, policy, this);
  }

  judge(policy: ErrorPolicy, stage: 'process' | 'punctuate' | 'async', node: string, error: unknown, earlier?: EarlierRecord): void {
    this.failures.judge(policy, stage, node, error, this.input, earlier);
  }
  judgeProduce(policy: ErrorPolicy, node: string, error: unknown): void {
    this.failures.judge(policy, 'produce', node, error, this.input);
  }
  judgeDecode(queue: RecordQueue, error: unknown): void {
    this.cursor.source = queue.at;
    this.cursor.timestamp = queue.reader.timestamp;
    this.cursor.headers = queue.headers();
    this.failures.judge(queue.source.onError ?? this.#host.errors.decode ?? 'fail', 'decode', queue.source.name, error, queue);
  }
  dropUntimed(queue: RecordQueue, timestamp: number): void {
    this.cursor.source = queue.at;
    this.drop(queue.source.name, 'decode', `time ${timestamp}`);
  }
  globalStore(name: string): unknown {
    return this.#host.globalStore?.(name);
  }
  workOutside(work: OutsideWork): ReturnType<GraphHost['workOutside']> {
    const ports = this.#host.outside;
    if (ports === undefined) throw new MillraceError('ERR_TOPOLOGY', 'this host has no timers: asynchronous operators cannot run here');
    this.#outside.add(work);
    const { life } = this;
    return {
      timers: ports.timers,
      chance: ports.chance,
      wake: () => {
        if (this.life !== life) return;
        this.#outside.woken();
        ports.wake();
      },
      earlier: () => earlierRecord(this),
      standIn: (record, run) => this.#standIn(record, run),
    };
  }
  #standIn(record: EarlierRecord, run: () => void): void {
    const { cursor } = this;
    this.#resetCursor(record.timestamp);
    cursor.headers = record.headers;
    cursor.source = record.source;
    run();
    this.#resetCursor(Math.max(0, this.group.streamTime));
  }

  #setProgress(to: ReadonlyMap<string, number>): void {
    this.progress.clear();
    for (const [name, value] of to) this.progress.set(name, value);
  }

  #resetCursor(timestamp: number): void {
    const { cursor } = this;
    cursor.timestamp = timestamp;
    cursor.headers = noHeaders;
    cursor.streamTime = this.group.streamTime;
    cursor.source = undefined;
  }

  #rememberPositions(): void {
    this.group.queues.forEach((queue, index) => {
      this.#closedPositions[index] = queue.position;
    });
  }

  #createQueues(): RecordQueue[] {
    const { partition } = this;
    const queues = this.#inputs().map(({ topic, source }) => new RecordQueue({ topic, partition, source, decoder: createDecoder(source, topic), host: this }));
    if (queues.length === 0)
      throw new MillraceError('ERR_PARTITION_COUNT', `task ${this.id} has no partition to read: none of its topics has a partition ${this.partition}`, {
        task: this.id,
      });
    return queues;
  }

  /** Topics that have this task's partition, by their names on the broker. */
  #inputs(): readonly { readonly topic: string; readonly source: SourceNode }[] {
    const { applicationId, topology } = this.#host;
    return sourcesOf(topology, this.subtopology)
      .flatMap((source) => source.topics.map((ref) => ({ topic: topicName(applicationId, ref), source })))
      .filter(({ topic }) => this.partition < this.#host.partitionsOf(topic));
  }
}
