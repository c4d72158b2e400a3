// Runs a topology on the calling thread, one record after another: the runtime's own tasks, stores, sinks and queues over topics that are
// lists. A record is processed to its end, due timers fire, it is committed, and what it made for the topology's own topics follows.
// Owns: what is written and committed, the two virtual clocks.  Never: awaits, opens a socket or a file, looks at a real clock.
// D1 between two calls nothing waits.  D2 a record either counts whole or, when something fails, not at all: outputs, stores and positions
// are those of before it, processors are created anew, and the error reaches the caller.
// D3 every record is a span of its own: `emit: 'onCommit'` emits after each.
// Where asynchronous work will be driven from: `#commit` is the place where a task's answers join a span, `#run` the loop that asks for them.
import { type Logger, MillraceError, seededChance, silentLogger, systemTimers } from '@millrace/core';
import { type BatchBuilder, BatchPool, type RecordBatchView } from '@millrace/protocol';
import type { ErrorPolicies, OutputLane, OutsidePorts, Task, TaskHost } from '@millrace/runtime';
import type { StagedStore } from '@millrace/state';
import { type Failure, type Topology, topicName } from '@millrace/topology';
import { type Arrival, ArrivalQueue } from './arrival-queue.ts';
import type { DriverOptions, Input } from './driver-options.ts';
import { batchOf, fetched } from './fetched.ts';
import { GlobalTopics } from './global-topics.ts';
import { type Feed, type TasksHost, TestTasks } from './test-tasks.ts';
import { sealedView, TopicLog } from './topic-log.ts';
import { WallTimers } from './wall-timers.ts';

const ONE_RECORD = { records: 1, deadlineMs: Number.POSITIVE_INFINITY };
const NO_OFFSETS: ReadonlyMap<never, never> = new Map<never, never>();
/** Committed spans that stay in memory before the stores' database gets them: a batch for each record would cost more than the record. */
const SETTLE_EVERY = 8192;
/** Records of one batch of `sendBatches`. */
const BATCH_RECORDS = 256;

export class TopologyDriver implements TasksHost {
  readonly applicationId: string;
  readonly errors: ErrorPolicies;
  readonly idleWaitMs = -1;
  readonly log: Logger = silentLogger;
  readonly emitIntervalMs = 0;
  readonly logsEveryWrite: (store: string) => boolean;
  readonly ends = { endOffset: () => undefined };
  readonly events: TaskHost['events'];
  readonly failures: Failure[] = [];
  /** The virtual wall clock, ms. */
  turnMs: number;
  readonly #tasks: TestTasks;
  readonly #pool = new BatchPool({ initialBytes: 1024 });
  readonly #globals: GlobalTopics | undefined;
  readonly #logs = new Map<string, TopicLog>();
  readonly #arrivals = new ArrivalQueue<Feed>();
  /** Topics written since the last commit, in the order of their first record. */
  #written: TopicLog[] = [];
  #unsettled = 0;
  readonly #timers = new WallTimers(() => this.turnMs);
  readonly outside: OutsidePorts = { timers: this.#timers, chance: seededChance(1), wake() {} };
  #closed = false;

  /** Throws ERR_PARTITION_COUNT where joined topics differ. */
  constructor(options: DriverOptions) {
    this.applicationId = options.applicationId;
    this.errors = options.errors;
    this.logsEveryWrite = options.logsEveryWrite ?? (() => false);
    this.turnMs = options.startAtMs;
    this.events = { taskState: () => {}, failure: (failure) => void this.failures.push(failure) };
    this.#globals = options.topology.globals.length > 0 ? new GlobalTopics(options, this.#pool, this.log, () => this.turnMs) : undefined;
    this.#tasks = new TestTasks(options, this);
    this.#tasks.start();
    this.#run();
  }

  get topology(): Topology {
    return this.#tasks.topology;
  }
  get tasks(): readonly Task[] {
    return this.#tasks.all;
  }

  // ---- what a test does -----------------------------------------------------------------------------------------------

  /** Writes a record and runs until nothing waits. Throws what the program throws. */
  send(topic: string, partition: number, input: Input): void {
    if (this.#globals?.reads(topic) === true) {
      this.#globals.take(topic, partition, input);
      return;
    }
    const feed = this.feed(topic, partition);
    this.#arrivals.add(feed, { view: batchOf(this.#pool, input, feed.end++), timestamp: input.timestamp });
    this.#run();
  }

  /** True if records of this topic may be written many at once: nothing can come between them, for a task reads it alone. */
  takesBatches(topic: string): boolean {
    return this.#tasks.find(topic, 0)?.task.group.queues.length === 1;
  }

  /** `send` for many records: written as batches, as a fetch would bring them, and still processed and committed one by one. */
  sendBatches(topic: string, partition: number, count: number, write: (builder: BatchBuilder, at: number) => void): void {
    const feed = this.feed(topic, partition);
    for (let from = 0; from < count; from += BATCH_RECORDS) {
      const builder = this.#pool.take();
      const to = Math.min(count, from + BATCH_RECORDS);
      for (let at = from; at < to; at++) write(builder, at);
      const view = sealedView(builder, feed.end);
      feed.end += to - from;
      this.#stepThrough(feed, view);
    }
  }

  /** Moves the wall clock, fires its timers (each once at most), and runs what that made. */
  advance(byMs: number): void {
    this.#checkOpen();
    for (const task of this.tasks) task.noteSilence(this.turnMs);
    this.turnMs += byMs;
    this.#timers.fire();
    for (const task of this.tasks) {
      if (task.idle !== undefined) {
        this.#guarded(task, () => task.silentUpTo(this.turnMs)); // nothing is under way here: all input has been taken
        this.#run(); // what this made ends the silence of tasks below
      }
      this.#guarded(task, () => void task.punctuate(this.turnMs));
    }
    this.#run();
    this.#takeOutcomes();
  }

  /**
   * Waits, in real time, until no asynchronous operator has anything pending; pauses between attempts are skipped by moving the wall clock.
   * A call that never answers keeps it waiting until `advance` has moved past its time limit.
   */
  async settled(): Promise<void> {
    for (;;) {
      this.#checkOpen();
      this.#takeOutcomes();
      if (this.tasks.every((task) => task.pendingOutside === 0)) return;
      const { nextMs } = this.#timers;
      if (nextMs !== undefined && this.tasks.every((task) => task.callingOutside === 0)) this.advance(Math.max(0, nextMs - this.turnMs));
      else await systemTimers.yield();
    }
  }

  feed(topic: string, partition: number): Feed {
    this.#checkOpen();
    return this.#tasks.feed(topic, partition);
  }

  /** What was written to a topic, undefined if nothing was. */
  written(topic: string): TopicLog | undefined {
    return this.#logs.get(topic);
  }
  /** Topics that were written to, and those that are read. */
  get topics(): readonly string[] {
    return [...new Set([...this.#logs.keys(), ...this.#tasks.topicsRead])].sort();
  }
  reads(topic: string): boolean {
    this.#checkOpen();
    return this.#tasks.reads(topic) || this.#globals?.reads(topic) === true;
  }
  /** Rows of a store that every instance holds whole, as tasks read them. */
  globalStore(name: string): unknown {
    return this.#globals?.view(name);
  }
  /** A store in every task that has it; a global one is there once. */
  storesNamed(name: string): readonly { readonly partition: number; readonly store: StagedStore }[] {
    this.#checkOpen();
    const global = this.#globals?.storeNamed(name);
    if (global !== undefined) return [{ partition: 0, store: global }];
    return this.tasks.filter((task) => task.subtopology.stores.includes(name)).map((task) => ({ partition: task.partition, store: task.stores.get(name) }));
  }
  /** Records dropped so far, by node and reason. */
  get drops(): readonly { readonly node: string; readonly reason: string; readonly count: number }[] {
    const ofTasks = this.tasks.flatMap((task) =>
      [...task.failures.drops].map(([key, count]) => {
        const [node = '', reason = ''] = key.split('\n');
        return { node, reason, count };
      }),
    );
    return [...ofTasks, ...(this.#globals?.drops ?? [])];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tasks.close();
    this.#globals?.close();
  }

  // ---- what tasks ask ---------------------------------------------------------------------------------------------------

  monotonicMs(): number {
    return 0;
  }
  partitionsOf(topic: string): number {
    return this.#tasks.partitionsOf(topic);
  }
  lane(topic: string, partition: number): OutputLane {
    let log = this.#logs.get(topic);
    if (log === undefined) {
      const consumed = this.topology.subtopologies.some(({ sources }) => sources.some((source) => topicName(this.applicationId, source) === topic));
      log = new TopicLog({ name: topic, partitions: this.partitionsOf(topic), consumed, pool: this.#pool, onWrite: (one) => void this.#written.push(one) });
      this.#logs.set(topic, log);
    }
    return log.lane(partition);
  }
  requestCommit(): void {}
  /** Nobody's but the user code's: the driver itself opens no file. */
  stateDirOf(taskId: string): string {
    return `./.millrace/test/${this.applicationId}/${taskId}`;
  }

  // ---- what becomes of tasks when topics come -----------------------------------------------------------------------------

  settle(): void {
    this.#unsettled = 0;
    for (const task of this.tasks) if (task.stores.unsettled) task.stores.settle(this.turnMs, '');
  }
  begin(created: readonly Task[]): void {
    for (const task of created) this.#begin(task);
    for (const task of created) this.#commit(task);
  }

  // ---- inside -------------------------------------------------------------------------------------------------------------

  #run(): void {
    for (let feed = this.#arrivals.take(); feed !== undefined; feed = this.#arrivals.take()) {
      const arrival = feed.waiting.shift() as Arrival;
      this.#arrivals.taken(feed);
      this.#step(feed, arrival);
    }
  }

  /** What has been answered is applied; then records that a full operator kept waiting are taken. */
  #takeOutcomes(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const task of this.tasks) {
        this.#guarded(task, () => {
          while (task.takeOutcomes() + (task.hasWork ? task.process(ONE_RECORD) : 0) > 0) moved = true;
        });
      }
      this.#run();
    }
  }

  #step(feed: Feed, { view }: Arrival): void {
    const { task, queue } = feed;
    feed.position = view.lastOffset + 1;
    queue.append(fetched(feed.topic, feed.partition, view));
    try {
      task.process(ONE_RECORD);
      task.punctuate(this.turnMs);
      this.#commit(task);
    } catch (error) {
      this.#recover(task);
      throw error;
    }
  }

  #stepThrough(feed: Feed, view: RecordBatchView): void {
    const { task, queue } = feed;
    queue.append(fetched(feed.topic, feed.partition, view));
    for (let offset = view.baseOffset; offset <= view.lastOffset; offset++) {
      feed.position = offset + 1;
      try {
        task.process(ONE_RECORD);
        task.punctuate(this.turnMs);
        this.#commit(task);
      } catch (error) {
        // Past what failed, which may lie further on than this: records that a policy skips are skipped on the way to the next. What follows was never sent.
        feed.position = Math.max(feed.position, queue.at.offset + 1);
        feed.end = feed.position;
        this.#recover(task);
        throw error;
      }
      if (!this.#arrivals.empty) this.#run();
    }
  }

  #guarded(task: Task, act: () => void): void {
    try {
      act();
      this.#commit(task);
    } catch (error) {
      this.#recover(task);
      throw error;
    }
  }

  /** Steps 6 to 10 of the runtime, in one piece. */
  #commit(task: Task): void {
    task.drain();
    if (task.touched) {
      task.stores.close();
      task.spanClosed();
      task.stores.committed(NO_OFFSETS, NO_OFFSETS);
      if (++this.#unsettled >= SETTLE_EVERY) this.settle();
    }
    if (this.#written.length === 0) return;
    const written = this.#written;
    this.#written = [];
    for (const log of written) {
      const from = log.kept;
      log.keep();
      if (log.consumed) for (let at = from; at < log.kept; at++) this.#arrive(log, at);
    }
  }

  #arrive(log: TopicLog, index: number): void {
    const feed = this.#tasks.find(log.name, log.partitionOf(index));
    if (feed === undefined) return;
    const view = log.single(index, feed.end++);
    this.#arrivals.add(feed, { view, timestamp: view.baseTimestamp });
  }

  /** A new life for a task whose record has failed, on what was committed before. */
  #recover(task: Task): void {
    for (const log of this.#written) log.takeBack();
    this.#written = [];
    this.settle();
    task.dropLife();
    this.#begin(task);
  }

  #begin(task: Task): void {
    task.move('restoring');
    for (const queue of task.group.queues) queue.start(this.#tasks.find(queue.topic, queue.partition)?.position ?? 0, queue.partitionTime);
    task.revive();
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError('ERR_CLOSED', 'this test driver has been closed: make another one with testTopology(…)');
  }
}
