// Which topics there are, which tasks that makes, and which task reads which partition.
// Owns: the tasks and their databases.  Never: takes a record, commits.
// A topic that a pattern matches comes while the test runs: tasks that read it are made anew then, on the rows and the times they had.
import { assert, MillraceError } from '@millrace/core';
import { planTopics, Task, type TaskHost } from '@millrace/runtime';
import { META_STORE, type OpenDatabase, openMemoryDatabase, readCheckpoint } from '@millrace/state';
import { hasPatterns, matchTopics, resolvePatterns, type Subtopology, type Topology } from '@millrace/topology';
import type { Waiting } from './arrival-queue.ts';
import type { DriverOptions } from './driver-options.ts';

/** A partition that the topology reads. */
export interface Feed extends Waiting {
  readonly topic: string;
  readonly partition: number;
  readonly task: Task;
  readonly queue: Task['group']['queues'][number];
  /** Offset of the next record written here. */
  end: number;
  /** Offset of the next record to be taken. */
  position: number;
}

/** What becomes of tasks when topics come. */
export interface TasksHost extends TaskHost {
  /** All that was committed goes to the databases. */
  settle(): void;
  /** New tasks, their feeds connected: they begin. */
  begin(created: readonly Task[]): void;
}

export class TestTasks {
  all: readonly Task[] = [];
  readonly #options: DriverOptions;
  readonly #host: TasksHost;
  /** Asked for each record. */
  readonly #readsPatterns: boolean;
  /** With topics in place of patterns, as far as they exist. */
  #topology: Topology;
  #counts: ReadonlyMap<string, number> = new Map();
  readonly #feeds = new Map<string, Feed[]>();
  readonly #databases: OpenDatabase[] = [];

  constructor(options: DriverOptions, host: TasksHost) {
    this.#options = options;
    this.#host = host;
    this.#topology = options.topology;
    this.#readsPatterns = hasPatterns(options.topology);
  }

  get topology(): Topology {
    return this.#topology;
  }
  get topicsRead(): readonly string[] {
    return [...this.#feeds.keys()];
  }
  partitionsOf(topic: string): number {
    return this.#counts.get(topic) ?? this.#options.defaultPartitions;
  }

  /** Throws ERR_PARTITION_COUNT where joined topics differ. */
  start(): void {
    this.#read(namedTopics(this.#options));
  }
  close(): void {
    for (const task of this.all) task.close();
    for (const database of this.#databases) void database.close();
  }

  /** The partition, if a task reads it. */
  find(topic: string, partition: number): Feed | undefined {
    return this.#feeds.get(topic)?.[partition];
  }
  reads(topic: string): boolean {
    this.#appear(topic);
    return this.#feeds.has(topic);
  }
  /** Throws ERR_TOPOLOGY for a topic that nobody reads, ERR_OPTION for a partition that is not there. */
  feed(topic: string, partition: number): Feed {
    this.#appear(topic);
    const feeds = this.#feeds.get(topic);
    if (feeds === undefined) {
      const read = [...this.#feeds.keys()].sort().join(', ');
      throw new MillraceError('ERR_TOPOLOGY', `Topology "${this.#topology.name}" does not read topic "${topic}"; it reads ${read}. Send to one of these.`, {
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

  // ---- inside -------------------------------------------------------------------------------------------------------------

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
    this.#host.settle();
    const before = new Map(this.all.map((task) => [task.id, task]));
    const created: Task[] = [];
    this.all = wanted.map((id) => {
      const old = before.get(id);
      if (old?.readsAsPlanned === true) return old;
      const task = this.#createTask(plan === undefined ? subtopology : this.#subtopologyOf(id), Number(id.slice(id.indexOf('_') + 1)), old);
      created.push(task);
      return task;
    });
    for (const task of created) this.#connect(task);
    this.#host.begin(created);
  }

  #isInternal(topic: string): boolean {
    return this.#options.topology.internalTopics.some(({ name }) => `${this.#options.applicationId}-${name}` === topic);
  }

  #subtopologyOf(taskId: string): Subtopology {
    const sub = this.#topology.subtopologies.find(({ id }) => id === Number(taskId.slice(0, taskId.indexOf('_'))));
    assert(sub !== undefined, 'a planned task belongs to a sub-topology');
    return sub;
  }

  /** `before`: the task whose place it takes, and whose rows and times it goes on with. */
  #createTask(subtopology: Subtopology, partition: number, before: Task | undefined): Task {
    const database = before?.handOver() ?? this.#openDatabase(subtopology.stores);
    const task = new Task(`${subtopology.id}_${partition}`, subtopology, partition, database, this.#host);
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
