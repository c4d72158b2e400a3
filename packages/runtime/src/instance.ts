// One instance: the group member on the main thread, the workers behind it, and the hand-over of tasks between them.
// Owns: the order of a hand-over (design, Membership): revoke, wait for the release, close, rejoin; open, assign.
// Never: processes a record; holds a heartbeat back.
// Invariants: a task is with at most one worker; a worker hears member id, generation and tasks in one message;
//   assignments are taken up one after another.  A task counts as ours in a join from the moment it was assigned until a worker
//   has let go of it: the leader gives a claimed task to nobody else, so what is claimed too long costs a round, too short a duplicate.
import type { GroupMember, GroupMetadata, MemberAssignment, TopicDescription } from '@millrace/client';
import { errorFromWire, explainError, MillraceError, sleep, type Timer } from '@millrace/core';
import { resolvePatterns, type Topology, topicName } from '@millrace/topology';
import { spreadOverWorkers } from './assignment/assign.ts';
import { type AssignmentNews, decodeAssignmentNews, encodeMemberNews, type InstanceNews } from './assignment/wire.ts';
import { passes } from './commit/failures.ts';
import { Deliveries } from './deliveries.ts';
import { GLOBAL_TASK } from './global/global-rows.ts';
import type { InstanceParts, TaskView } from './instance-parts.ts';
import { LearnedOutputs } from './learned-outputs.ts';
import { deadLetterTopics } from './options.ts';
import { PatternWatch } from './pattern-watch.ts';
import { StateCleaner } from './state-cleaner.ts';
import { type Watch, watchWorker } from './watchdog.ts';
import { decideOnFailure } from './worker-failure.ts';
import type { WorkerHost, WorkerHostEvents } from './worker-host.ts';
import type { SeatPlan, WorkerNews } from './worker-messages.ts';

/** A worker that fails this often in a row without committing anything, or at one and the same record, stops the instance. */
const FAILURES_MAX = 3;
/** Of a reason that travels with the group's metadata. */
const REASON_CHARS_MAX = 2000;
const RETRY_MS = 200;
const CLEAN_EVERY_MS = 60_000;
/** How long a stopping worker may take to commit and close; with leaving the group, a stop takes less than ten seconds. */
const STOP_DEADLINE_MS = 6_000;
/** A hand-over that is under way when the instance stops gets this long. */
const TURN_DEADLINE_MS = 1_000;

interface Seat {
  readonly index: number;
  host: WorkerHost | undefined;
  tasks: readonly string[];
  failures: number;
  watch: Watch | undefined;
  /** Counts the workers that had this seat: what an earlier one still says is not about the present one. */
  life: number;
}

export class Instance {
  readonly #parts: InstanceParts;
  readonly #seats: Seat[] = [];
  readonly #taskStates = new Map<string, TaskView['state']>();
  #member: GroupMember | undefined;
  #group: GroupMetadata | undefined;
  #owned = new Set<string>();
  /** What a join says that we have. */
  #claimed = new Set<string>();
  /** Assignments heard of and not yet taken up. */
  #heard: readonly AssignmentNews[] = [];
  /** Grows when membership is lost: what was assigned before is void. */
  #membership = 0;
  /** Membership is lost, and workers may still have what they had under it. */
  #losing = false;
  /** False until the first assignment of this process has been taken up. */
  #tookUp = false;
  #vanished: readonly string[] = [];
  #known: readonly string[] = [];
  #instances: readonly InstanceNews[] = [];
  #counts: ReadonlyMap<string, number> = new Map();
  /** What patterns stand for in the last assignment: partitions by topic. */
  #matched: Readonly<Record<string, number>> = {};
  #topology: Topology;
  /** What they stand for as far as this instance has seen: what its next join says that it reads. */
  #seen: readonly string[];
  readonly #patterns: PatternWatch;
  readonly #learned: LearnedOutputs;
  readonly #deliveries: Deliveries;
  /** Why the whole application is to stop; told with the next join. */
  #stopAll: Error | undefined;
  #lastResort: Timer | undefined;
  readonly #cleaner: StateCleaner;
  #cleaning: Timer | undefined;
  #turn: Promise<void> = Promise.resolve();
  #closing = false;
  /** Ends workers that are still starting when the instance closes: a slow start must not hold up the end of the process. */
  readonly #abandoned = new AbortController();
  #failed = false;

  constructor(parts: InstanceParts) {
    this.#parts = parts;
    this.#topology = resolvePatterns(parts.topology, []);
    this.#seen = [...(parts.matched?.keys() ?? [])];
    const changed = (seen: readonly string[]): void => {
      this.#seen = seen;
      this.#member?.rejoin('other topics match');
    };
    this.#patterns = new PatternWatch({ ...parts, timers: parts.ports.timers, changed });
    this.#deliveries = new Deliveries(parts.directory);
    const { admin, log, settings } = parts;
    const { applicationId, createTopics, defaultPartitions, replication, topicDefaults } = settings;
    this.#cleaner = new StateCleaner({ directory: parts.directory, clock: parts.ports.clock, log, delayMs: settings.stateCleanupDelayMs });
    this.#learned = new LearnedOutputs({
      admin,
      createTopics,
      partitions: defaultPartitions,
      replication,
      topicDefaults,
      applicationId,
      sinks: new Set(parts.topology.subtopologies.flatMap(({ sinks }) => sinks.filter((ref) => !ref.internal).map(({ name }) => name))),
      clock: parts.ports.clock,
      log,
    });
  }

  async start(): Promise<void> {
    const { settings, parts } = { settings: this.#parts.settings, parts: this.#parts };
    for (let index = 0; index < Math.max(1, settings.workers); index++) {
      const seat: Seat = { index, host: undefined, tasks: [], failures: 0, watch: undefined, life: 0 };
      this.#seats.push(seat);
      await this.#startWorker(seat);
    }
    if (this.#closing) return;
    const ghost = parts.directory.lastMember;
    // Our folder's last process did not leave: the group must not wait for it.
    if (ghost !== undefined && settings.instanceId === undefined)
      await parts.admin
        .removeMember(settings.applicationId, ghost)
        .catch((error: unknown) => parts.log.debug({ member: ghost }, `the former member could not be removed: ${explainError(error)}`));
    if (this.#closing) return;
    this.#member = parts.createMember({
      userData: () => this.#userData(),
      named: (memberId) => parts.directory.keepMember(memberId), // before it joins: a kill right after must not leave a member nobody can remove
      assigned: (group, assignment) => this.#assigned(group, assignment),
      lost: (reason, fatal) => {
        this.#claimed = new Set();
        this.#heard = [];
        this.#membership++;
        this.#losing = true;
        if (this.#closing) this.#tellStoppingWorkersOfLoss();
        this.#inTurn(() => this.#lose(reason, fatal));
      },
    });
    this.#member.start();
    this.#patterns.start();
    const everyMs = Math.max(100, Math.min(CLEAN_EVERY_MS, settings.stateCleanupDelayMs / 2));
    this.#cleaning = parts.ports.timers.every(everyMs, () => this.#inTurn(async () => this.#clean()));
  }

  /** Between two hand-overs, and only while we know what is ours. */
  #clean(): void {
    if (!this.#tookUp || this.#heard.length > 0) return;
    this.#cleaner.look((task) => this.#claimed.has(task) || this.#owned.has(task) || this.#parts.databases.get(task) !== undefined);
  }

  /** What was assigned may be somebody else's by now. */
  get outOfTouch(): boolean {
    return this.#member?.outOfTouch ?? false;
  }

  get instances(): readonly InstanceNews[] {
    return this.#instances;
  }

  /** The topology with the topics of the last assignment in place of its patterns. */
  get topology(): Topology {
    return this.#topology;
  }

  /** Topics that the group reads, by their names on the broker: those of patterns as this instance knows them. Told with every join. */
  get inputs(): readonly string[] {
    const { applicationId } = this.#parts.settings;
    const { subtopologies } = resolvePatterns(this.#parts.topology, this.#seen);
    return [...new Set(subtopologies.flatMap(({ sources }) => sources.map((ref) => topicName(applicationId, ref))))];
  }

  get partitionCounts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  tasks(): readonly TaskView[] {
    return this.#seats.flatMap((seat) => seat.tasks.map((id) => ({ id, state: this.#taskStates.get(id) ?? 'created', worker: workerName(seat.index) })));
  }

  /** The worker that has a task, for reads of stores it keeps in its own memory. */
  hostOf(taskId: string): WorkerHost | undefined {
    if (taskId === GLOBAL_TASK) return this.#seats.find((seat) => seat.host !== undefined)?.host; // every worker has all of them
    return this.#seats.find((seat) => seat.tasks.includes(taskId))?.host;
  }

  /** Everything committed on this instance so far is on disk. */
  async settle(): Promise<void> {
    await Promise.all(this.#seats.map(async (seat) => seat.host?.settle()));
  }

  /** Finish, commit, settle, close, leave. Idempotent. */
  async close(leave: boolean): Promise<void> {
    this.#closing = true;
    if (this.#losing) this.#tellStoppingWorkersOfLoss();
    this.#abandoned.abort();
    this.#cleaning?.cancel();
    this.#patterns.stop();
    await this.#within(TURN_DEADLINE_MS, this.#turn);
    this.#lastResort?.cancel();
    await Promise.all(this.#seats.map((seat) => this.#stopSeat(seat)));
    await this.#member?.close(leave);
    if (leave) this.#parts.directory.keepMember(undefined);
    await this.#parts.databases.closeAll();
  }

  async #stopSeat(seat: Seat): Promise<void> {
    const { host } = seat;
    seat.watch?.stop();
    if (host === undefined) return;
    try {
      await this.#within(STOP_DEADLINE_MS, host.stop(STOP_DEADLINE_MS));
    } catch (error) {
      this.#parts.log.warn({ worker: workerName(seat.index) }, `the worker did not stop cleanly: ${explainError(error)}`);
    } finally {
      seat.host = undefined;
      await this.#parts.databases.endThread(seat.tasks, () => host.terminate());
      seat.tasks = [];
    }
  }

  /** False when `work` did not end in time. */
  async #within(ms: number, work: Promise<void>): Promise<boolean> {
    const done = new AbortController();
    const late = sleep(this.#parts.ports.timers, ms, done.signal).then(() => false);
    try {
      return await Promise.race([work.then(() => true), late]);
    } finally {
      done.abort();
    }
  }

  #userData(): Uint8Array {
    const { settings, directory, topologyHash } = this.#parts;
    const owned = [...this.#claimed].sort();
    return encodeMemberNews({
      instanceId: directory.instanceId,
      address: this.#parts.address(),
      workers: Math.max(1, settings.workers),
      owned,
      stored: directory.storedTasks().filter((task) => !this.#claimed.has(task)),
      transactionalIds: settings.guarantee === 'exactly-once' ? this.#seats.map((seat) => this.#parts.transactionalId(seat.index)) : [],
      known: this.#known,
      topologyHash,
      stop: this.#stopAll === undefined ? undefined : explainError(this.#stopAll).slice(0, REASON_CHARS_MAX),
    });
  }

  /** One hand-over after another; a failure in one ends the instance rather than being forgotten. */
  #inTurn(act: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#closing || this.#failed) return;
      try {
        await act();
      } catch (error) {
        this.#fail(error as Error);
      }
    });
  }

  #fail(error: Error): void {
    if (this.#failed || this.#closing) return;
    this.#failed = true;
    this.#parts.events.failed(error);
  }

  #assigned(group: GroupMetadata, assignment: MemberAssignment): void {
    const membership = this.#membership;
    let news: AssignmentNews;
    try {
      news = decodeAssignmentNews(assignment.userData);
    } catch (error) {
      this.#fail(error as Error);
      return;
    }
    for (const task of news.tasks) this.#claimed.add(task);
    this.#heard = [...this.#heard, news];
    if (this.#closing && !this.#losing) this.#tellStoppingWorkers(group);
    this.#inTurn(async () => {
      if (membership === this.#membership) await this.#takeUp(group, news, membership);
    });
  }

  /** The last commit of a worker that stops must not wait for a generation that nobody takes up any more: what it has is still claimed by us. */
  #tellStoppingWorkers(group: GroupMetadata): void {
    for (const { host, tasks } of this.#seats) {
      const plan = {
        group,
        tasks: tasks.map((id) => ({ id, ticket: undefined, failedBefore: undefined })),
        fence: [],
        ...this.#outputs(),
      };
      host?.assign(plan).catch(() => undefined); // it ends without taking the plan up
    }
  }

  /**
   * No turn comes that would drop their tasks. What they have done and not committed has perhaps been done elsewhere by now: they must not commit
   * it as the member that this instance becomes next, so of that one they hear nothing.
   */
  #tellStoppingWorkersOfLoss(): void {
    for (const { host } of this.#seats) host?.lost().catch(() => undefined); // it has ended
  }

  async #takeUp(group: GroupMetadata, news: AssignmentNews, membership: number): Promise<void> {
    if (news.refusal !== undefined && this.#stopAll !== undefined) throw this.#stopAll;
    if (news.refusal !== undefined) throw new MillraceError(news.refusal.code, news.refusal.message);
    this.#group = group;
    this.#known = news.known;
    this.#vanished = news.vanished;
    this.#instances = news.instances;
    this.#readAs(news);
    this.#parts.directory.keepMember(group.memberId);
    await this.#learnPartitionCounts(news.tasks.length > 0 || (!this.#tookUp && this.#parts.settings.instanceId !== undefined), membership);
    if (membership !== this.#membership || this.#closing) return;
    const wanted = new Set(news.tasks);
    const leaving = [...this.#owned].filter((task) => !wanted.has(task));
    this.#parts.events.settledDown(false);
    const spread = spreadOverWorkers([...wanted], this.#seats.length, this.#placement());
    await this.#releaseWhatMoves(wanted, spread);
    this.#heard = this.#heard.filter((one) => one !== news);
    if (leaving.length > 0) {
      for (const task of leaving) {
        this.#owned.delete(task);
        if (!this.#heard.some(({ tasks }) => tasks.includes(task))) this.#claimed.delete(task);
      }
      this.#parts.events.revoked(leaving);
    }
    const coming = [...wanted].filter((task) => !this.#owned.has(task));
    await this.#place(spread, news.vanished);
    // What the vanished ran has been given out in this very round, and its new owners have ended their transactions: nobody needs
    // their ids any more. (An owner that dies before leaves an open transaction to its timeout.)
    this.#known = news.known.filter((id) => !news.vanished.includes(id));
    for (const task of coming) this.#owned.add(task);
    if (coming.length > 0) this.#parts.events.assigned(coming);
    this.#reportProgress();
    // Whoever waits for what we gave up gets it in the next round.
    if (leaving.length > 0) this.#member?.rejoin('tasks given up');
    else if (this.#inherits(news)) this.#member?.rejoin('tasks that nobody has');
    this.#tookUp = true;
  }

  /** What patterns stand for is the leader's to say: all members read the same. */
  #readAs({ matched = {}, leader }: AssignmentNews): void {
    this.#patterns.dealt(matched, leader === this.#parts.directory.instanceId);
    this.#matched = matched;
    this.#seen = Object.keys(matched);
    this.#topology = resolvePatterns(this.#parts.topology, Object.keys(matched));
    this.#counts = new Map([...this.#counts, ...Object.entries(matched)]);
  }

  /**
   * A static member that comes back is given what its former process was given last, without a rebalance. If that process died with tasks still
   * to give up, nobody else will ask for the round in which they find their new owner.
   */
  #inherits(news: AssignmentNews): boolean {
    if (this.#tookUp || this.#parts.settings.instanceId === undefined) return false;
    const { settings } = this.#parts;
    const all = this.#topology.subtopologies.reduce(
      (sum, sub) => sum + Math.max(0, ...sub.sources.map((ref) => this.#counts.get(topicName(settings.applicationId, ref)) ?? 0)),
      0,
    );
    return new Set(news.instances.flatMap(({ tasks }) => tasks)).size < all;
  }

  /** Brokers that are away are waited for as long as the membership lasts. */
  async #describeTopics(membership: number): Promise<ReadonlyMap<string, TopicDescription>> {
    for (;;) {
      try {
        return await this.#parts.admin.describeTopics(undefined);
      } catch (error) {
        if (!passes(error)) throw error;
        if (membership !== this.#membership || this.#closing) return new Map();
        await sleep(this.#parts.ports.timers, RETRY_MS);
      }
    }
  }

  async #learnPartitionCounts(needed: boolean, membership: number): Promise<void> {
    if (!needed) return;
    const topics = await this.#describeTopics(membership);
    this.#counts = new Map([...topics].map(([name, topic]) => [name, topic.partitions]));
    this.#learned.thereAre(topics.keys());
    const { topology, settings } = this.#parts;
    const mine = new Map<string, number>();
    for (const sub of topology.subtopologies) for (const ref of [...sub.sources, ...sub.sinks]) this.#keepCount(mine, topicName(settings.applicationId, ref));
    for (const ref of topology.internalTopics) this.#keepCount(mine, `${settings.applicationId}-${ref.name}`);
    for (const ref of topology.userTopics) this.#keepCount(mine, ref.name);
    for (const name of [...deadLetterTopics(settings.errors), ...this.#learned.topics]) this.#keepCount(mine, name);
    for (const [name, partitions] of Object.entries(this.#matched)) mine.set(name, partitions);
    this.#counts = mine;
  }

  #keepCount(into: Map<string, number>, name: string): void {
    const count = this.#counts.get(name);
    if (count !== undefined) into.set(name, count);
  }

  #placement(): ReadonlyMap<string, number> {
    return new Map(this.#seats.flatMap((seat) => seat.tasks.map((task) => [task, seat.index] as const)));
  }

  /** First half of a hand-over: workers give up what leaves the instance or goes to another worker of it. */
  async #releaseWhatMoves(wanted: ReadonlySet<string>, spread: ReadonlyMap<string, number>): Promise<void> {
    const moving = this.#seats.filter((seat) => seat.tasks.some((task) => !wanted.has(task) || spread.get(task) !== seat.index));
    await Promise.all(
      moving.map(async (seat) => {
        const kept = seat.tasks.filter((task) => wanted.has(task) && spread.get(task) === seat.index);
        const gone = seat.tasks.filter((task) => !kept.includes(task));
        await this.#release(seat, kept);
        for (const task of gone) {
          this.#taskStates.delete(task);
          await this.#parts.databases.close(task);
        }
      }),
    );
  }

  /** When it resolves, the seat's worker has none but the tasks of `kept`: it has answered, or is gone and another one has its place. */
  async #release(seat: Seat, kept: readonly string[]): Promise<void> {
    const { host, life } = seat;
    try {
      const released = host === undefined || (await this.#within(this.#patienceMs, host.assign(await this.#planFor(kept, []))));
      if (released) seat.tasks = kept;
      else await this.#replaceWorker(seat, new MillraceError('ERR_TASK_FAILED', `worker ${workerName(seat.index)} did not give up its tasks in time`), kept);
    } catch (error) {
      if (seat.life !== life) throw error;
      await this.#workerFailed(seat, life, error as Error, kept);
    }
  }

  /** How long a hand-over waits for a worker; then its group metadata is too old for it to commit. */
  get #patienceMs(): number {
    return this.#parts.settings.sessionTimeoutMs / 3;
  }

  /** Second half: databases are opened, every worker hears the new generation with all its tasks. */
  async #place(spread: ReadonlyMap<string, number>, fence: readonly string[]): Promise<void> {
    await Promise.all(
      this.#seats.map(async (seat) => {
        const tasks = [...spread].filter(([, index]) => index === seat.index).map(([task]) => task);
        const added = tasks.some((task) => !seat.tasks.includes(task));
        seat.tasks = tasks;
        await this.#giveTasks(seat, added ? fence : []);
      }),
    );
  }

  /** Nobody waits for a slow worker: it takes its tasks when it can. One that ends meanwhile is replaced in a turn of its own. */
  async #giveTasks(seat: Seat, fence: readonly string[]): Promise<void> {
    const { host } = seat;
    if (host === undefined) return;
    const taken = host.assign(await this.#planFor(seat.tasks, fence));
    await this.#within(
      this.#patienceMs,
      taken.catch((error: unknown) => this.#parts.log.debug({ worker: workerName(seat.index) }, `tasks not taken: ${explainError(error)}`)),
    );
  }

  async #planFor(tasks: readonly string[], fence: readonly string[]): Promise<SeatPlan> {
    const group = this.#group;
    if (group === undefined) throw new MillraceError('ERR_CLOSED', 'there is no group to assign under');
    const seats = [];
    for (const id of tasks) seats.push({ id, ticket: await this.#parts.databases.open(id), failedBefore: this.#deliveries.of(id) });
    return { group, tasks: seats, fence, ...this.#outputs() };
  }

  #outputs(): Pick<SeatPlan, 'partitionCounts' | 'matched' | 'recordBytesMax' | 'outputRules'> {
    const { recordBytesMax, rules } = this.#learned;
    return {
      partitionCounts: Object.fromEntries(this.#counts),
      matched: Object.keys(this.#matched),
      recordBytesMax: Object.fromEntries(recordBytesMax),
      outputRules: Object.fromEntries(rules),
    };
  }

  /** Membership is gone: nothing may be committed any more. */
  async #lose(reason: Error, fatal: boolean): Promise<void> {
    const tasks = [...this.#owned];
    this.#owned = new Set();
    this.#parts.log.warn({ tasks: tasks.length }, `membership lost: ${explainError(reason)}`);
    this.#parts.events.settledDown(false);
    await Promise.all(this.#seats.map((seat) => this.#dropTasks(seat)));
    this.#losing = false;
    this.#taskStates.clear();
    this.#parts.events.lost(tasks);
    if (fatal) throw reason;
  }

  async #dropTasks(seat: Seat): Promise<void> {
    const { host, life, tasks } = seat;
    const dropped = host === undefined || (await this.#within(this.#parts.settings.sessionTimeoutMs, host.lost()).catch(() => false));
    if (!dropped && seat.life === life) await this.#replaceWorker(seat, new MillraceError('ERR_MEMBERSHIP_LOST', 'it did not drop its tasks in time'), []);
    for (const task of tasks) await this.#parts.databases.close(task);
    seat.tasks = [];
  }

  async #startWorker(seat: Seat): Promise<void> {
    const life = ++seat.life;
    const events: WorkerHostEvents = {
      news: (news) => {
        if (seat.life === life) this.#hear(seat, life, news);
      },
      died: (error) => this.#inTurn(() => this.#workerFailed(seat, life, error, seat.tasks)),
    };
    let host: WorkerHost;
    try {
      host = await this.#parts.startWorker(seat.index, events, this.#abandoned.signal);
    } catch (error) {
      if (this.#closing) return; // it was given up
      throw error;
    }
    if (this.#closing) await host.terminate();
    else {
      seat.host = host;
      this.#watch(seat, life, host);
    }
  }

  /** Threads only: on one thread nobody is left to look. */
  #watch(seat: Seat, life: number, host: WorkerHost): void {
    const { ports, settings, log, events } = this.#parts;
    seat.watch?.stop();
    if (settings.workers === 0) return;
    const worker = workerName(seat.index);
    const giveUpAfterMs = settings.timing.taskTimeoutMs;
    seat.watch = watchWorker({
      clock: ports.clock,
      timers: ports.timers,
      ping: () => host.ping(),
      blockedAfterMs: settings.blockedAfterMs,
      giveUpAfterMs,
      blocked: (blockedMs) => {
        log.warn({ worker, blockedMs }, `the code of ${worker} has not returned for ${blockedMs} ms; after ${giveUpAfterMs} ms the worker is replaced`);
        events.blocked(worker, blockedMs);
      },
      stuck: (blockedMs) => {
        const error = new MillraceError(
          'ERR_WORKER_BLOCKED',
          `the code of ${worker} has not returned for ${blockedMs} ms (tuning.taskTimeout). Look for an endless loop in a callback; what waits for something belongs into an operator ending in Async.`,
          { worker },
        );
        this.#inTurn(() => this.#workerFailed(seat, life, error, seat.tasks));
      },
    });
  }

  #hear(seat: Seat, life: number, news: WorkerNews): void {
    if (news.kind === 'taskState') {
      this.#taskStates.set(news.taskId, news.state);
      this.#reportProgress();
    } else if (news.kind === 'committed') seat.failures = 0;
    else if (news.kind === 'failed') {
      const error = errorFromWire(news.error);
      this.#inTurn(() => this.#workerFailed(seat, life, error, seat.tasks));
    } else if (news.kind === 'membershipLost') this.#member?.rejoin('a commit was refused'); // the heartbeats may know of nothing: a join brings an assignment either way
    this.#parts.events.news(workerName(seat.index), news);
  }

  #reportProgress(): void {
    const all = this.#seats.flatMap((seat) => seat.tasks);
    this.#parts.events.settledDown(all.every((task) => this.#taskStates.get(task) === 'running'));
  }

  /** What a failed worker means: another one in its place with the tasks of `kept`, or the end of the instance. */
  async #workerFailed(seat: Seat, life: number, error: Error, kept: readonly string[]): Promise<void> {
    if (seat.life !== life) return; // it has been replaced already
    this.#parts.events.workerFailed(workerName(seat.index), error);
    if (await this.#learned.learnFrom(error)) {
      await this.#learnPartitionCounts(true, this.#membership);
      await this.#replaceWorker(seat, error, kept);
      return;
    }
    seat.failures++;
    const times = this.#deliveries.failed(error);
    const hopeless = MillraceError.is(error) && error.response === 'stop';
    const decision = decideOnFailure(this.#parts.settings.errors, error, this.#parts.log);
    if (decision === 'stopApplication') return this.#stopApplication(seat, error);
    if (hopeless || seat.failures >= FAILURES_MAX || times >= FAILURES_MAX || decision === 'stopInstance') throw error;
    await this.#replaceWorker(seat, error, kept);
  }

  /** Everybody hears of it with the assignment of the next round, this instance too; it does not wait for that for ever. */
  async #stopApplication(seat: Seat, error: Error): Promise<void> {
    const { databases, ports, settings, log } = this.#parts;
    log.error({ worker: workerName(seat.index) }, `the whole application stops: ${explainError(error)}`);
    this.#stopAll ??= error;
    const { host } = seat;
    seat.watch?.stop();
    seat.host = undefined;
    seat.life++;
    if (host !== undefined) await databases.endThread(seat.tasks, () => host.terminate());
    this.#member?.rejoin('the application is to stop');
    this.#lastResort = ports.timers.after(settings.sessionTimeoutMs, () => this.#fail(error));
  }

  /** Ends the worker, waits until it is gone, starts another with the same transactional id, gives it the tasks of `kept` and no other. */
  async #replaceWorker(seat: Seat, error: Error, kept: readonly string[]): Promise<void> {
    this.#parts.log.warn({ worker: workerName(seat.index) }, `worker restarted after: ${explainError(error)}`);
    const { host, tasks } = seat;
    seat.watch?.stop();
    seat.host = undefined;
    if (host !== undefined) await this.#parts.databases.endThread(tasks, () => host.terminate());
    for (const task of tasks) {
      this.#taskStates.delete(task);
      if (this.#isDamage(task, error)) await this.#parts.databases.quarantine(task, error);
      else await this.#parts.databases.close(task);
    }
    seat.tasks = kept;
    await this.#startWorker(seat);
    if (kept.length > 0) await this.#giveTasks(seat, this.#vanished);
  }

  /** The engine says that the whole database of the task is damaged: emptying its stores would read what cannot be read. */
  #isDamage(task: string, error: Error): boolean {
    return MillraceError.is(error) && error.code === 'ERR_STORE_CORRUPT' && error.where.directory === this.#parts.directory.taskPath(task);
  }
}

export function workerName(index: number): string {
  return `worker-${index}`;
}
