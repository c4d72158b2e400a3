// What one worker holds between two turns of its loop, and the short synchronous moves on it. `worker.ts` calls them in order.
// Owns: tasks, outbox, ownership, the closing span.  Never: awaits (rebalance.ts and worker.ts do), runs two steps at once.
// L1 a task is in `tasks` from creation to release, and nowhere else (I7).  L2 at most one span is closing.
// L3 what was done as one member of the group is never committed as another: somebody else may have done it meanwhile.
import { assert, MillraceError } from '@millrace/core';
import { hasPatterns, resolvePatterns, type Topology } from '@millrace/topology';
import { buffersOf } from './buffers.ts';
import { closeSpan, inputPositionsOf, type Span } from './commit/close.ts';
import type { CommitPorts } from './commit/execute.ts';
import { LateCommits } from './commit/late-commits.ts';
import type { Ownership } from './commit/plan.ts';
import { closeIsDue, settleIsDue, takesInput } from './commit/policy.ts';
import { isStale, settleTasks } from './commit/settle.ts';
import { IdleWatch } from './idle-watch.ts';
import { Intake } from './intake.ts';
import { Outbox } from './outbox.ts';
import { Purge } from './purge.ts';
import { Restorer } from './restore/restorer.ts';
import type { OutputRule } from './task/output-rule.ts';
import type { Task } from './task/task.ts';
import type { StepBudget, TaskHost } from './task/task-host.ts';
import { UserMetrics } from './user-metrics.ts';
import type { WorkerAssignment, WorkerOptions, WorkerPorts } from './worker-ports.ts';

/** A turn's length, ms: long while nothing is pending, short while a commit waits for the sockets. */
const TURN_MS = 8;
const TURN_WHILE_COMMITTING_MS = 2;
const RECORDS_PER_TURN = 100_000;
const TELL_MS = 1000;
const SETTLE_RETRY_MS = 500;

export interface Waiting<T> {
  readonly what: T;
  resolve(): void;
  reject(error: unknown): void;
}

/** A revocation in progress: the barrier of design.md, Membership 3. */
export interface Leaving {
  readonly tasks: readonly Task[];
  /** Those of them that come back at once, on the same rows, to read other topics. */
  readonly renewed: ReadonlySet<Task>;
  readonly assignment: Waiting<WorkerAssignment>;
}

export class LoopState {
  readonly options: WorkerOptions;
  readonly ports: WorkerPorts;
  readonly outbox: Outbox;
  readonly restorer: Restorer;
  readonly tasks = new Map<string, Task>();
  readonly taskHost: TaskHost;
  readonly transactional: boolean;
  readonly purge: Purge;
  readonly intake: Intake;
  readonly idle: IdleWatch;
  readonly userMetrics: UserMetrics;

  /** With the topics of the last assignment in place of patterns. */
  topology: Topology;
  readonly readsByPattern: boolean;
  #matched: ReadonlySet<string> = new Set();
  ownership: Ownership = { group: { groupId: '', memberId: '', generation: -1, instanceId: undefined }, tasks: new Set() };
  partitionCounts: ReadonlyMap<string, number> = new Map();
  recordBytesMax: ReadonlyMap<string, number> = new Map();
  outputRules: ReadonlyMap<string, OutputRule> = new Map();
  readonly assignments: Waiting<WorkerAssignment>[] = [];
  readonly losses: Waiting<undefined>[] = [];
  leaving: Leaving | undefined;
  stopping: (Waiting<undefined> & { readonly deadlineMs: number }) | undefined;
  /** Task ids of the last acknowledged message. */
  assigned: ReadonlySet<string> = new Set();

  closing: Span | undefined;
  /** Set when the closing span could not be committed; dealt with in step 2. */
  commitFailure: unknown;
  /** A callback failed: the closing span ends, the open one goes, the worker ends with this. */
  halted: unknown;
  /** Something that ends the worker at once. */
  fatal: unknown;
  ended = false;

  turnMs = 0;
  #commitRequested = false;
  #closedAtMs: number;
  #settledAtMs: number;
  #settleFailedAtMs: number | undefined;
  #settleFailingSinceMs: number | undefined;
  #toldAtMs = 0;
  #failingSinceMs: number | undefined;
  #worked = true;
  #nextSpan = 1;
  #commit: Promise<void> = Promise.resolve();
  readonly #background = new Set<Promise<void>>();
  readonly #committedInputs = new WeakMap<Task, string>();
  #disowned: unknown;
  readonly #lateCommits = new LateCommits();
  #ownershipWaiters: { resolve(ownership: Ownership): void; reject(error: unknown): void }[] = [];

  constructor(options: WorkerOptions, ports: WorkerPorts) {
    this.options = options;
    this.ports = ports;
    this.transactional = options.guarantee === 'exactly-once';
    const wake = (): void => ports.consumer.wake();
    this.outbox = new Outbox({ producer: ports.producer, batches: ports.batches, transactional: this.transactional, wake });
    this.restorer = new Restorer({
      createConsumer: ports.createRestoreConsumer,
      clock: ports.clock,
      timers: ports.timers,
      trace: ports.trace,
      progress: (progress) => ports.events.restoreProgress(progress),
    });
    this.purge = new Purge(ports.admin, options.timing.purgeIntervalMs, ports.log);
    this.intake = new Intake(ports, options.timing, {
      tasks: this.tasks,
      failed: (error) => {
        this.fatal ??= error;
      },
      hasLost: (error) => this.hasLost(error),
    });
    this.topology = resolvePatterns(options.topology, []);
    this.readsByPattern = hasPatterns(options.topology);
    this.idle = new IdleWatch(this.topology, options.applicationId, ports, {
      tasks: this.tasks,
      groupId: () => this.ownership.group.groupId,
      partitionsOf: (topic) => this.taskHost.partitionsOf(topic),
    });
    this.userMetrics = new UserMetrics(ports.log);
    this.turnMs = ports.clock.nowMs();
    this.#closedAtMs = ports.clock.monotonicMs();
    this.#settledAtMs = this.#closedAtMs;
    this.taskHost = this.#createTaskHost();
  }

  // ---- 1 fetch --------------------------------------------------------------------------------------------------------

  /** Nothing to wait for: queued records may be taken at once. */
  get busy(): boolean {
    if (!this.#worked || !this.takesInput) return false;
    for (const task of this.tasks.values()) if (task.hasWork) return true;
    return false;
  }

  /** How long a poll may wait, ms: until the next thing that is due by itself. */
  get waitMs(): number {
    const { timing } = this.options;
    const nowMs = this.ports.clock.monotonicMs();
    let wait = timing.pollWaitMs;
    if (this.closing === undefined && this.dirty) wait = Math.min(wait, this.#closedAtMs + timing.commitIntervalMs - nowMs);
    if (this.unsettled && this.#settleFailedAtMs === undefined) wait = Math.min(wait, this.#settledAtMs + timing.settleIntervalMs - nowMs);
    const wallMs = this.ports.clock.nowMs();
    for (const task of this.tasks.values()) {
      if (!task.running) continue;
      wait = Math.min(wait, task.nextTimerMs - wallMs);
      if (task.hasWork && timing.idleWaitMs > 0) wait = Math.min(wait, timing.idleWaitMs);
    }
    wait = Math.min(wait, this.idle.nextMs - wallMs);
    return Math.max(1, Math.ceil(wait));
  }

  beginTurn(): void {
    this.turnMs = this.ports.clock.nowMs();
  }

  // ---- 4 and 5 process ------------------------------------------------------------------------------------------------

  get takesInput(): boolean {
    const { cautious, full } = this.outbox;
    this.outbox.blocking = full;
    return takesInput({
      stagedBytes: this.stagedBytes,
      stagedBytesMax: this.options.timing.stagedBytesMax,
      outboxFull: full,
      cautious,
      closing: this.closing !== undefined,
      halted: this.halted !== undefined || this.#settleFailedAtMs !== undefined || this.stopping !== undefined,
    });
  }

  /** Each running task gets an equal share of the turn. */
  runTasks(): void {
    if (!this.takesInput) return;
    const { clock, trace } = this.ports;
    const turnMs = this.closing === undefined ? TURN_MS : TURN_WHILE_COMMITTING_MS;
    let left = 0;
    for (const task of this.tasks.values()) if (task.hasWork) left += 1;
    let deadlineMs = clock.monotonicMs();
    let count = 0;
    try {
      for (const task of this.tasks.values()) {
        if (!task.hasWork) continue;
        deadlineMs += turnMs / left;
        const budget: StepBudget = { records: RECORDS_PER_TURN, deadlineMs };
        count += task.process(budget);
      }
    } catch (error) {
      this.halt(error);
    }
    this.#worked = count > 0 || left === 0;
    if (count > 0) trace?.onStep?.(4, this.#nextSpan, { records: count, whileClosing: this.closing?.id });
  }

  runTimers(): void {
    if (this.halted !== undefined) return;
    this.idle.watch(this.turnMs);
    const again = this.#lateCommits.takeDue(this.ownership.group.generation, this.ports.clock.monotonicMs());
    try {
      for (const task of this.tasks.values()) {
        if (!task.running) continue;
        if (again) task.commitAgain();
        this.idle.apply(task);
        if (task.punctuate(this.turnMs) + task.takeOutcomes() > 0) this.ports.trace?.onStep?.(5, this.#nextSpan);
      }
    } catch (error) {
      this.halt(error);
    }
  }

  halt(error: unknown): void {
    this.halted ??= error;
  }

  // ---- 6 to 9 close and commit ----------------------------------------------------------------------------------------

  get dirty(): boolean {
    if (this.outbox.dirty) return true;
    for (const task of this.tasks.values()) if (task.touched) return true;
    return false;
  }

  get stagedBytes(): number {
    let bytes = this.outbox.waitingBytes;
    for (const task of this.tasks.values()) bytes += task.stores.stagedBytes;
    return bytes;
  }

  requestCommit(): void {
    this.#commitRequested = true;
  }

  get closeIsDue(): boolean {
    if (this.closing !== undefined || this.halted !== undefined) return false;
    const { timing } = this.options;
    return closeIsDue({
      closing: false,
      dirty: this.dirty,
      requested: this.#commitRequested || this.leaving !== undefined || this.stopping !== undefined,
      sinceCloseMs: this.ports.clock.monotonicMs() - this.#closedAtMs,
      commitIntervalMs: timing.commitIntervalMs,
      stagedBytes: this.stagedBytes,
      stagedBytesMax: timing.stagedBytesMax,
    });
  }

  /** A life begins: until its first commit its input positions are those it begins with. */
  begun(task: Task): void {
    this.#committedInputs.set(task, inputPositionsOf(task));
    this.intake.assign(new Set(task.group.queues));
  }

  /** Step 6. Undefined when a callback failed while emit buffers drained. */
  closeSpan(): Span | undefined {
    assert(this.closing === undefined, 'a span closes while another is closing');
    try {
      const nowMs = this.ports.clock.monotonicMs();
      const span = closeSpan(this.#nextSpan, this.tasks.values(), this.outbox, nowMs);
      this.#nextSpan += 1;
      this.#closedAtMs = nowMs;
      this.#commitRequested = false;
      this.closing = span;
      this.ports.trace?.onPoint?.('span-closed');
      return span;
    } catch (error) {
      this.halt(error);
      return undefined;
    }
  }

  /** Runs the commit beside the next turns. */
  startCommit(commit: () => Promise<void>): void {
    this.#commit = commit().catch((error: unknown) => {
      this.commitFailure ??= error ?? new Error('a commit failed without a reason');
      this.ports.consumer.wake();
    });
  }

  /** Resolves when no commit is under way. */
  async commitEnded(): Promise<void> {
    await this.#commit;
  }

  /** A span failed: true when spans have failed for `taskTimeout` without a commit between them. */
  failsTooLong(): boolean {
    const nowMs = this.ports.clock.monotonicMs();
    this.#failingSinceMs ??= nowMs;
    return nowMs - this.#failingSinceMs >= this.options.timing.taskTimeoutMs;
  }

  inClosingSpan(task: Task): boolean {
    return this.closing?.tasks.some((one) => one.task === task) === true;
  }

  /** Work beside the loop (starting tasks); its failure ends the worker. */
  background(work: Promise<void>): void {
    const watched = work
      .catch((error: unknown) => {
        this.fatal ??= error;
        this.ports.consumer.wake();
      })
      .finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  commitPorts(): CommitPorts {
    const { producer, admin, clock, timers, trace } = this.ports;
    return {
      producer,
      admin,
      clock,
      timers,
      trace,
      outbox: this.outbox,
      taskTimeoutMs: this.options.timing.taskTimeoutMs,
      ownership: () => this.ownership,
      nextOwnership: (seen) => this.#nextOwnership(seen),
      offsetsUnanswered: (generation) => this.#lateCommits.expect(generation, clock.monotonicMs()),
    };
  }

  /** The closing span is fact: staging moves on, what waited may leave. */
  spanCommitted(span: Span): void {
    for (const { task, inputs, inputPositions } of span.tasks) {
      task.stores.committed(span.output.ends, inputs);
      this.#committedInputs.set(task, inputPositions);
    }
    this.closing = undefined;
    this.#failingSinceMs = undefined;
    this.outbox.closed();
    this.outbox.cautious = false;
    this.purge.committed(span);
    const { clock, events, consumer } = this.ports;
    events.committed({ span: span.id, tasks: span.tasks.map(({ task }) => task.id), records: span.records, durationMs: clock.monotonicMs() - span.closedAtMs });
    consumer.wake();
  }

  // ---- 10 settle ------------------------------------------------------------------------------------------------------

  get unsettled(): boolean {
    for (const task of this.tasks.values()) if (task.stores.unsettled) return true;
    return false;
  }

  settleWhenDue(): void {
    const { timing } = this.options;
    const nowMs = this.ports.clock.monotonicMs();
    if (this.#settleFailedAtMs !== undefined && nowMs - this.#settleFailedAtMs < SETTLE_RETRY_MS) return;
    if (!this.unsettled) this.#settleSucceeded(); // what the disk refused may have been dropped with its tasks: nothing is left to wait for
    const due = settleIsDue({
      unsettled: this.unsettled,
      requested: this.#settleFailedAtMs !== undefined,
      stale: this.#someStale(),
      sinceSettleMs: nowMs - this.#settledAtMs,
      settleIntervalMs: timing.settleIntervalMs,
      stagedBytes: this.stagedBytes,
      stagedBytesMax: timing.stagedBytesMax,
    });
    if (due) this.#settleOrWait(nowMs);
  }

  /** Some task has been quiet for so long that its checkpoint is to be written anew. */
  #someStale(): boolean {
    for (const task of this.tasks.values()) if (isStale(task, this.turnMs)) return true;
    return false;
  }

  /** Throws ERR_STORE_IO. */
  settle(tasks: Iterable<Task>): void {
    const settled = settleTasks(tasks, this.ports.clock.nowMs(), (task) => this.#committedInputs.get(task) ?? '{}', this.ports.trace);
    this.#settledAtMs = this.ports.clock.monotonicMs();
    if (settled.length === 0) return;
    this.ports.trace?.onStep?.(10, this.#nextSpan - 1, settled);
    this.ports.events.settled(settled);
  }

  /** What is committed of stores without a changelog is in memory alone until it is settled: before a life ends, whatever ended it. */
  settleUnlogged(tasks: Iterable<Task>): void {
    try {
      this.settle([...tasks].filter(({ stores }) => stores.unsettled && stores.someUnlogged));
    } catch (error) {
      this.ports.log.warn({ error: String(error) }, 'the last commits of a store without a changelog could not be written to disk: they are lost');
    }
  }

  /** The disk refuses: what is committed stays in memory, no input is taken, and it is tried again; `taskTimeout` ends it. */
  #settleOrWait(nowMs: number): void {
    try {
      this.settle(this.tasks.values());
      this.#settleSucceeded();
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== 'ERR_STORE_IO') {
        this.fatal ??= error;
        return;
      }
      if (this.#settleFailingSinceMs === undefined)
        this.ports.log.error({ error: error.message }, 'committed state could not be written to disk; no input is taken until it can be');
      this.#settleFailingSinceMs ??= nowMs;
      this.#settleFailedAtMs = nowMs;
      if (nowMs - this.#settleFailingSinceMs >= this.options.timing.taskTimeoutMs) this.fatal ??= error;
    }
  }

  #settleSucceeded(): void {
    this.#settleFailedAtMs = undefined;
    this.#settleFailingSinceMs = undefined;
  }

  // ---- membership -----------------------------------------------------------------------------------------------------

  /** A message is acknowledged: from here on commits go out as this member and generation. Tasks it takes away are ours until they are released. */
  acknowledge(assignment: WorkerAssignment): void {
    const named = new Set(assignment.tasks.map(({ id }) => id));
    const same = assignment.group.memberId === this.ownership.group.memberId;
    if (!same && this.tasks.size > 0) {
      this.fatal ??= new MillraceError(
        'ERR_MEMBERSHIP_LOST',
        'an assignment came for another member of the group, and the loss of the former one was not told',
      );
      return; // still the former one: its commits are refused
    }
    this.ownership = { group: assignment.group, tasks: same ? new Set([...named, ...this.assigned]) : named };
    this.assigned = named;
    this.#disowned = undefined;
    this.partitionCounts = assignment.partitionCounts;
    this.#readAs(assignment.matched ?? []);
    this.recordBytesMax = assignment.recordBytesMax ?? this.recordBytesMax;
    this.outputRules = assignment.outputRules ?? this.outputRules;
    for (const waiter of this.#ownershipWaiters.splice(0)) waiter.resolve(this.ownership);
  }

  #readAs(matched: readonly string[]): void {
    if (matched.length === this.#matched.size && matched.every((topic) => this.#matched.has(topic))) return;
    this.#matched = new Set(matched);
    this.topology = resolvePatterns(this.options.topology, matched);
    this.idle.readAs(this.topology);
  }

  /** Running tasks that are to read other topics than they do: a pattern stands for others now. */
  get outdated(): readonly Task[] {
    return this.readsByPattern ? [...this.tasks.values()].filter((task) => this.assigned.has(task.id) && !task.readsAsPlanned) : [];
  }

  /** True of an error that says no more than that a topic of a pattern was deleted: it passes with the assignment that leaves the topic out. */
  hasLost(error: unknown): boolean {
    if (!MillraceError.is(error) || error.code !== 'ERR_TOPIC_MISSING') return false;
    const { topic } = error.where;
    return typeof topic === 'string' ? this.#matched.has(topic) : this.#matched.size > 0;
  }

  /** Nothing is ours any more. */
  disown(error: unknown): void {
    this.ownership = { group: this.ownership.group, tasks: new Set() };
    this.assigned = new Set();
    this.#disowned = error;
    for (const waiter of this.#ownershipWaiters.splice(0)) waiter.reject(error);
  }

  #nextOwnership(seen: Ownership): Promise<Ownership> {
    if (this.#disowned !== undefined) return Promise.reject(this.#disowned);
    if (this.ownership !== seen) return Promise.resolve(this.ownership);
    return new Promise((resolve, reject) => {
      const { transactionTimeoutMs } = this.options.timing;
      // The coordinator may be wrong, or the news of its generation lost: by then the transaction is over anyway.
      const patience = this.ports.timers.after(transactionTimeoutMs, () =>
        reject(new MillraceError('ERR_GENERATION', `a commit was refused for its generation, and none newer came within ${transactionTimeoutMs} ms`)),
      );
      const ended =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          patience.cancel();
          then(value);
        };
      this.#ownershipWaiters.push({ resolve: ended(resolve), reject: ended(reject) });
    });
  }

  /** Drops and buffers, about once a second. */
  tell(): void {
    const nowMs = this.ports.clock.monotonicMs();
    if (nowMs - this.#toldAtMs < TELL_MS) return;
    this.#toldAtMs = nowMs;
    this.#tellDrops();
    this.ports.events.buffers(buffersOf(this));
    this.ports.events.metrics?.(this.userMetrics.snapshot());
  }

  #tellDrops(): void {
    for (const task of this.tasks.values()) {
      for (const [key, count] of task.failures.drops) {
        const split = key.indexOf('\n');
        if (count > 0) this.ports.events.dropped(task.id, key.slice(0, split), key.slice(split + 1), count);
        task.failures.drops.set(key, 0);
      }
    }
  }

  // ---- the end ----------------------------------------------------------------------------------------------------------

  /** Closes tasks and ports; what is open and uncommitted is aborted by whoever initialises the transactional id next. */
  async shutDown(): Promise<void> {
    this.ended = true;
    const { ports } = this;
    this.disown(new MillraceError('ERR_CLOSED', 'the worker is closing'));
    try {
      if (this.fatal === undefined && this.halted === undefined) this.settle(this.tasks.values());
      else this.settleUnlogged(this.tasks.values());
    } catch (error) {
      ports.log.warn({ error: String(error) }, 'the last settle failed; the next start restores from the changelog');
    }
    this.intake.close();
    this.idle.close();
    this.#tellDrops();
    await this.restorer.close();
    for (const task of this.tasks.values()) task.close();
    this.tasks.clear();
    this.outbox.drop();
    await Promise.allSettled([ports.producer.close(), ports.consumer.close()]);
    await Promise.allSettled([this.#commit, ...this.#background]);
    await ports.admin.close().catch(() => undefined);
  }

  endRequests(error: MillraceError | undefined): void {
    const reason = error ?? new MillraceError('ERR_CLOSED', `worker ${this.options.workerId} has ended`);
    for (const waiting of [...this.assignments.splice(0), ...this.losses.splice(0)]) waiting.reject(reason);
    this.leaving?.assignment.reject(reason);
    this.leaving = undefined;
    this.stopping?.resolve();
  }

  #createTaskHost(): TaskHost {
    const { options, ports } = this;
    const state = this;
    return {
      applicationId: options.applicationId,
      get topology() {
        return state.topology;
      },
      errors: options.errors ?? {},
      idleWaitMs: options.timing.idleWaitMs,
      timestampAheadMaxMs: options.timing.timestampAheadMaxMs,
      log: ports.log,
      events: ports.events,
      ends: { endOffset: (topic, partition) => ports.consumer.endOffset({ topic, partition }) },
      get turnMs() {
        return state.turnMs;
      },
      monotonicMs: () => ports.clock.monotonicMs(),
      lane: (topic, partition, isChangelog) => this.outbox.lane(topic, partition, isChangelog),
      partitionsOf: (topic) => {
        const partitions = this.partitionCounts.get(topic);
        if (partitions === undefined && this.outputRules.get(topic)?.gone === true) return 1; // nothing gets there: its sink's policy is asked
        if (partitions === undefined) throw new MillraceError('ERR_TOPIC_MISSING', `topic ${topic} does not exist`, { topic });
        return partitions;
      },
      recordBytesMax: (topic) => Math.min(options.timing.recordBytesMax, this.recordBytesMax.get(topic) ?? Number.POSITIVE_INFINITY),
      outputRule: (topic) => this.outputRules.get(topic),
      requestCommit: () => this.requestCommit(),
      userMetrics: this.userMetrics,
      ...(ports.stateDirOf === undefined ? {} : { stateDirOf: ports.stateDirOf }),
      ...(ports.globalStore === undefined ? {} : { globalStore: ports.globalStore }),
      outside: { timers: ports.timers, chance: ports.chance, wake: () => ports.consumer.wake() },
    };
  }
}
