// Runs a topology on the calling thread, one record after another: the runtime's own tasks, stores, sinks and queues over topics that are
// lists. A record is processed to its end, due timers fire, it is committed, and what it made for the topology's own topics follows.
// Owns: tasks, topics, the two virtual clocks.  Never: awaits, opens a socket or a file, looks at a real clock.
// D1 between two calls nothing waits.  D2 a record either counts whole or, when something fails, not at all: outputs, stores and positions
// are those of before it, processors are created anew, and the error reaches the caller.
// D3 every record is a span of its own: `emit: 'onCommit'` emits after each.
// Where asynchronous work will be driven from: `#commit` is the place where a task's answers join a span, `#run` the loop that asks for them.
import { type Logger, MillraceError, type Offset, type RecordHeaders, seededChance, silentLogger, systemTimers } from '@millrace/core';
import { type BatchBuilder, BatchPool, type RecordBatchView, RecordReader } from '@millrace/protocol';
import { type ErrorPolicies, GlobalRows, type OutputLane, type OutsidePorts, planTopics, Task, type TaskHost } from '@millrace/runtime';
import { META_STORE, type OpenDatabase, openMemoryDatabase, readCheckpoint, type StagedStore } from '@millrace/state';
import { type Failure, hasPatterns, matchTopics, resolvePatterns, type Subtopology, type Topology, topicName } from '@millrace/topology';
import { type Arrival, ArrivalQueue, type Waiting } from './arrival-queue.ts';
import { sealedView, TopicLog } from './topic-log.ts';
import { WallTimers } from './wall-timers.ts';

export interface DriverOptions {
  readonly topology: Topology;
  readonly applicationId: string;
  /** Wall clock at the start, ms. */
  readonly startAtMs: number;
  /** Partitions of the topics named; of all others `defaultPartitions`. */
  readonly partitions: ReadonlyMap<string, number>;
  readonly defaultPartitions: number;
  readonly errors: ErrorPolicies;
  /** All sub-topologies in one task, one partition a topic, as Kafka Streams' own test driver does; else the tasks of the runtime. */
  readonly oneTask: boolean;
  /** Does this store log every write (Kafka Streams without its cache), not one per key and commit? None does unless given. */
  readonly logsEveryWrite?: (store: string) => boolean;
}

/** A record as it goes into a topic. */
export interface Input {
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
}

/** A partition that the topology reads. */
interface Feed extends Waiting {
  readonly topic: string;
  readonly partition: number;
  readonly task: Task;
  readonly queue: Task['group']['queues'][number];
  /** Offset of the next record written here. */
  end: number;
  /** Offset of the next record to be taken. */
  position: number;
}

const ONE_RECORD = { records: 1, deadlineMs: Number.POSITIVE_INFINITY };
const NO_OFFSETS: ReadonlyMap<never, never> = new Map<never, never>();
/** Committed spans that stay in memory before the stores' database gets them: a batch for each record would cost more than the record. */
const SETTLE_EVERY = 8192;
/** Records of one batch of `sendBatches`. */
const BATCH_RECORDS = 256;

export class TopologyDriver implements TaskHost {
  readonly applicationId: string;
  readonly errors: ErrorPolicies;
  readonly idleWaitMs = -1;
  readonly log: Logger = silentLogger;
  readonly emitIntervalMs = 0;
  readonly logsEveryWrite: (store: string) => boolean;
  readonly ends = { endOffset: () => undefined };
  readonly events: TaskHost['events'];
  readonly failures: Failure[] = [];
  tasks: readonly Task[] = [];
  /** The virtual wall clock, ms. */
  turnMs: number;
  readonly #options: DriverOptions;
  /** Asked for each record. */
  readonly #readsPatterns: boolean;
  /** With topics in place of patterns, as far as they exist. */
  #topology: Topology;
  #counts: ReadonlyMap<string, number> = new Map();
  readonly #defaultPartitions: number;
  readonly #pool = new BatchPool({ initialBytes: 1024 });
  readonly #databases: OpenDatabase[] = [];
  readonly #globals: GlobalRows | undefined;
  readonly #logs = new Map<string, TopicLog>();
  readonly #feeds = new Map<string, Feed[]>();
  readonly #arrivals = new ArrivalQueue<Feed>();
  /** Topics written since the last commit, in the order of their first record. */
  #written: TopicLog[] = [];
  #unsettled = 0;
  #globalEnd = 0;
  readonly #globalDrops: { readonly node: string; readonly reason: string; readonly count: number }[] = [];
  readonly #timers = new WallTimers(() => this.turnMs);
  readonly outside: OutsidePorts = { timers: this.#timers, chance: seededChance(1), wake() {} };
  #closed = false;

  /** Throws ERR_PARTITION_COUNT where joined topics differ. */
  constructor(options: DriverOptions) {
    this.#options = options;
    this.#readsPatterns = hasPatterns(options.topology);
    this.applicationId = options.applicationId;
    this.#topology = options.topology;
    this.errors = options.errors;
    this.logsEveryWrite = options.logsEveryWrite ?? (() => false);
    this.turnMs = options.startAtMs;
    this.#defaultPartitions = options.defaultPartitions;
    this.events = { taskState: () => {}, failure: (failure) => void this.failures.push(failure) };
    this.#globals = this.#openGlobals();
    this.#read(namedTopics(options));
    this.#run();
  }

  get topology(): Topology {
    return this.#topology;
  }

  // ---- what a test does -----------------------------------------------------------------------------------------------

  /** Writes a record and runs until nothing waits. Throws what the program throws. */
  send(topic: string, partition: number, input: Input): void {
    if (this.#globals?.topics.includes(topic) === true) {
      this.#takeGlobal(topic, partition, input);
      return;
    }
    const feed = this.feed(topic, partition);
    this.#arrivals.add(feed, this.#arrivalOf(feed, input));
    this.#run();
  }

  /** True if records of this topic may be written many at once: nothing can come between them, for a task reads it alone. */
  takesBatches(topic: string): boolean {
    return this.#feeds.get(topic)?.[0]?.task.group.queues.length === 1;
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
    this.#appear(topic);
    const feeds = this.#feeds.get(topic);
    if (feeds === undefined) {
      const read = [...this.#feeds.keys()].sort().join(', ');
      throw new MillraceError('ERR_TOPOLOGY', `Topology "${this.topology.name}" does not read topic "${topic}"; it reads ${read}. Send to one of these.`, {
        topic,
      });
    }
    const feed = feeds[partition];
    if (feed !== undefined) return feed;
    throw new MillraceError(
      'ERR_OPTION',
      `Topic "${topic}" has no partition ${partition} in this test: it has ${feeds.length}. Ask for more with testTopology(topology, { partitions }).`,
      { topic, option: 'partition' },
    );
  }

  /** What was written to a topic, undefined if nothing was. */
  written(topic: string): TopicLog | undefined {
    return this.#logs.get(topic);
  }
  /** Topics that were written to, and those that are read. */
  get topics(): readonly string[] {
    return [...new Set([...this.#logs.keys(), ...this.#feeds.keys()])].sort();
  }
  reads(topic: string): boolean {
    this.#checkOpen();
    this.#appear(topic);
    return this.#feeds.has(topic) || this.#globals?.topics.includes(topic) === true;
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
      [...task.drops].map(([key, count]) => {
        const [node = '', reason = ''] = key.split('\n');
        return { node, reason, count };
      }),
    );
    return [...ofTasks, ...this.#globalDrops];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const task of this.tasks) task.close();
    for (const database of this.#databases) void database.close();
  }

  // ---- what tasks ask ---------------------------------------------------------------------------------------------------

  monotonicMs(): number {
    return 0;
  }
  partitionsOf(topic: string): number {
    return this.#counts.get(topic) ?? this.#defaultPartitions;
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

  // ---- topics and tasks ---------------------------------------------------------------------------------------------------

  /** A topic that a pattern matches is there once a test speaks of it, as if somebody had made it just now. Internal ones match nothing. */
  #appear(topic: string): void {
    if (!this.#readsPatterns || this.#feeds.has(topic) || this.#isInternal(topic)) return;
    if (matchTopics(this.#options.topology, [topic]).length > 0) this.#read([...namedTopics(this.#options), ...this.#feeds.keys(), topic]);
  }

  /** The topics that exist are these: tasks are made, or made anew on the rows they had, where they read others than before. */
  #read(existing: readonly string[]): void {
    const { topology, oneTask } = this.#options;
    const known = existing.filter((name) => !this.#isInternal(name));
    const matched = matchTopics(topology, new Set(known));
    this.#topology = resolvePatterns(topology, matched);
    const subtopology = whole(this.#topology);
    const plan = oneTask ? undefined : planOf(this.#options, known, matched, this.#counts);
    this.#counts = plan?.counts ?? new Map();
    const wanted = plan?.tasks.map(({ id }) => id) ?? (subtopology.sources.length > 0 ? ['0_0'] : []);
    this.#settle();
    const before = new Map(this.tasks.map((task) => [task.id, task]));
    const created: Task[] = [];
    this.tasks = wanted.map((id) => {
      const old = before.get(id);
      if (old?.readsAsPlanned === true) return old;
      const task = this.#createTask(plan === undefined ? subtopology : this.#subtopologyOf(id), Number(id.slice(id.indexOf('_') + 1)), old);
      created.push(task);
      return task;
    });
    for (const task of created) this.#connect(task);
    for (const task of created) this.#begin(task);
    for (const task of created) this.#commit(task);
  }

  #isInternal(topic: string): boolean {
    return this.#options.topology.internalTopics.some(({ name }) => `${this.applicationId}-${name}` === topic);
  }

  #subtopologyOf(taskId: string): Subtopology {
    return this.#topology.subtopologies.find(({ id }) => id === Number(taskId.slice(0, taskId.indexOf('_')))) as Subtopology;
  }

  /** `before`: the task whose place it takes, and whose rows and times it goes on with. */
  #createTask(subtopology: Subtopology, partition: number, before: Task | undefined): Task {
    const database = before?.handOver() ?? this.#openDatabase(subtopology.stores);
    const task = new Task(`${subtopology.id}_${partition}`, subtopology, partition, database, this);
    if (before === undefined) return task;
    for (const { spec, store } of task.stores.all) {
      const checkpoint = readCheckpoint(database, spec.name);
      if (checkpoint !== undefined && checkpoint !== 'corrupt') store.restoreMemory(checkpoint);
    }
    for (const [name, at] of before.progress) task.progress.set(name, at);
    for (const queue of task.group.queues) queue.partitionTime = before.group.queues.find(({ topic }) => topic === queue.topic)?.partitionTime ?? -1;
    return task;
  }

  #openDatabase(stores: readonly string[]): OpenDatabase {
    const database = openMemoryDatabase({ directory: '', stores: [META_STORE, ...stores], cacheBytes: 0 });
    this.#databases.push(database);
    return database;
  }

  #connect(task: Task): void {
    for (const queue of task.group.queues) {
      const { topic, partition } = queue;
      const feeds = this.#feeds.get(topic) ?? [];
      const { end, position } = feeds[partition] ?? { end: 0, position: 0 };
      feeds[partition] = { topic, partition, task, queue, end, position, waiting: [] };
      this.#feeds.set(topic, feeds);
    }
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
    queue.append(fetched(feed, view));
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
    queue.append(fetched(feed, view));
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
      if (++this.#unsettled >= SETTLE_EVERY) this.#settle();
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
    const feed = this.#feeds.get(log.name)?.[log.partitionOf(index)];
    if (feed === undefined) return;
    const view = log.single(index, feed.end++);
    this.#arrivals.add(feed, { view, timestamp: view.baseTimestamp });
  }

  #settle(): void {
    this.#unsettled = 0;
    for (const task of this.tasks) if (task.stores.unsettled) task.stores.settle(this.turnMs, '');
  }

  /** A new life for a task whose record has failed, on what was committed before. */
  #recover(task: Task): void {
    for (const log of this.#written) log.takeBack();
    this.#written = [];
    this.#settle();
    task.dropLife();
    this.#begin(task);
  }

  #begin(task: Task): void {
    task.move('restoring');
    for (const queue of task.group.queues) queue.start(this.#feeds.get(queue.topic)?.[queue.partition]?.position ?? 0, queue.partitionTime);
    task.revive();
  }

  #arrivalOf(feed: Feed, { timestamp, key, value, headers }: Input): Arrival {
    const builder = this.#pool.take();
    builder.append(timestamp, key, 0, key?.length ?? 0, value, 0, value?.length ?? 0, headers);
    return { view: sealedView(builder, feed.end++), timestamp };
  }

  #openGlobals(): GlobalRows | undefined {
    const { topology, applicationId, errors, log } = this;
    if (topology.globals.length === 0) return undefined;
    const database = openMemoryDatabase({ directory: '', stores: GlobalRows.storesOf(topology), cacheBytes: 0 });
    this.#databases.push(database);
    const dropped = (node: string, reason: string): void => void this.#globalDrops.push({ node, reason, count: 1 });
    return new GlobalRows({ topology, applicationId, database, errors, log, wallClockMs: () => this.turnMs, dropped });
  }

  /** A record of a global topic is in the store at once: it belongs to no task. */
  #takeGlobal(topic: string, partition: number, { timestamp, key, value, headers }: Input): void {
    const builder = this.#pool.take();
    builder.append(timestamp, key, 0, key?.length ?? 0, value, 0, value?.length ?? 0, headers);
    const reader = new RecordReader().reset(sealedView(builder, this.#globalEnd++));
    while (reader.next()) this.#globals?.take(topic, partition, reader);
    this.#globals?.settle();
  }

  #checkOpen(): void {
    if (this.#closed) throw new MillraceError('ERR_CLOSED', 'this test driver has been closed: make another one with testTopology(…)');
  }
}

function fetched({ topic, partition }: Feed, view: RecordBatchView) {
  const next = (view.lastOffset + 1) as Offset;
  const first = view.baseOffset as Offset;
  return {
    topic,
    partition,
    batches: [view],
    firstOffset: first,
    nextOffset: next,
    highWatermark: next,
    lastStableOffset: next,
    logStart: first,
    leaderEpoch: view.leaderEpoch,
    assignment: 0,
    release() {},
  };
}

/** All of a topology as one sub-topology; nodes were added parents first. */
function whole({ nodes, stores, subtopologies, globals }: Topology): Subtopology {
  const apart = new Set(globals.flatMap(({ source, processor, store }) => [source, processor, store]));
  return {
    id: 0,
    nodes: [...nodes.keys()].filter((name) => !apart.has(name)),
    stores: [...stores.keys()].filter((name) => !apart.has(name)),
    sources: subtopologies.flatMap(({ sources }) => sources),
    sinks: subtopologies.flatMap(({ sinks }) => sinks),
  };
}

/** Those that exist from the start. */
function namedTopics({ topology, partitions }: DriverOptions): readonly string[] {
  return [...topology.userTopics.map(({ name }) => name), ...partitions.keys()];
}

/** The runtime's own plan of topics and tasks, with partition counts of the test instead of a broker's. `before`: counts of the topics made so far. */
function planOf(options: DriverOptions, names: readonly string[], matched: readonly string[], before: ReadonlyMap<string, number>) {
  const { topology, applicationId, partitions, defaultPartitions } = options;
  const existing = new Map([...before, ...names.map((name) => [name, partitions.get(name) ?? defaultPartitions] as const)]);
  return planTopics({ topology, applicationId, existing, matched, createUserTopics: true, defaultPartitions, replication: 1, overrides: {} });
}
