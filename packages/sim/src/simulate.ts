// simulate(): a topology on a whole cluster in one thread, under one seed and a virtual clock.
// Owns: the order of a simulation (start, workload and faults, rest, verify, end).  Never: touches the machine it runs on.
//
//   start ─▶ workload ∥ faults ─▶ everything heals ─▶ drained, ghosts out of the group ─▶ verify + checkers ─▶ clean stop ─▶ rebuilt from the log ─▶ end
import { type Duration, durationMs, sleep } from '@millrace/core';
import type { TopicSink, TopicSource } from '@millrace/dsl';
import type { AppOptions } from '@millrace/runtime';
import { type Topology, topicName } from '@millrace/topology';
import { auditLogs } from './checkers/log-audit.ts';
import { auditOffsets, describeLag, hasOpenTransactions, OffsetWatch, untilReadable } from './checkers/offsets.ts';
import { checkRebuilt, dumpStores } from './checkers/rebuilt.ts';
import { checkLeftovers, checkOwnership, checkRest } from './checkers/rest.ts';
import { Cluster } from './cluster.ts';
import { type FaultRates, Nemesis } from './faults.ts';
import type { RawTopic } from './log-reader.ts';
import type { InstanceMember } from './members.ts';
import type { SimInput } from './sim-input.ts';
import { outputOf, type SimOutput } from './sim-output.ts';
import { type SimStores, viewOf } from './sim-stores.ts';
import { SimulationFailed } from './simulation-failed.ts';

export interface SimulationOptions {
  /** The same seed is the same history, to the byte. */
  readonly seed: number;
  /** Worker loops in all, 2 unless given; the seed groups them into instances. */
  readonly workers?: number;
  /** Of each topic that does not say otherwise: 4. */
  readonly partitions?: number;
  /** exactly-once */
  readonly guarantee?: 'exactly-once' | 'at-least-once';
  /** How long faults strike, in virtual time: 1 minute, or as long as the workload runs if that is longer. */
  readonly duration?: Duration;
  /** Virtual time between the last input processed and `verify`, for topologies whose timers go on: none. */
  readonly quiet?: Duration;
  /** After the last fault everything that was sent is processed within this much virtual time, or K8 has failed: 2 minutes. */
  readonly patience?: Duration;
  /** Expected count of each per virtual minute; 0 by default. */
  readonly faults?: FaultRates;
  /** In place of what the seed draws. */
  readonly tuning?: AppOptions['tuning'];
  workload(simulation: Simulation): void | Promise<void>;
  /** Once faults have stopped and everything has been processed; throw to fail. */
  verify(simulation: Simulation): void | Promise<void>;
}

/** The cluster as workload and verification see it. */
export interface Simulation extends SimStores {
  input<K, V>(topic: TopicSink<K, V>): SimInput<K, V>;
  /** Committed records only; in `verify`. */
  output<K, V>(topic: TopicSource<K, V>): SimOutput<K, V>;
  /** Makes a topic now, for a pattern to match. The topics that the topology names are there from the start. */
  createTopic(topic: TopicSink<never, never>): Promise<void>;
  /** Virtual wall clock, ms since the epoch. */
  readonly now: number;
  /** Chance from the seed, in [0, 1). */
  random(): number;
  /** In virtual time. */
  sleep(duration: Duration): Promise<void>;
  /**
   * Resolves when everything that was sent is in the log and may be read: what is sent then comes later than all of it, whatever was held up on its
   * way, and whoever's open transaction lay before it.
   */
  written(): Promise<void>;
}

export interface SimulationReport {
  readonly seed: number;
  /** Of everything that was sent, written and decided: two runs of one seed have the same. */
  readonly digest: string;
  readonly virtualMs: number;
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** The last few thousand lines of what happened. */
  readonly trace: readonly string[];
}

const LIVENESS = '2 minutes';
const SETTLE_CHECK_MS = 100;
/** Of the session timeout. Heartbeats tell the others after a third of it at most; without a word from the leaver it would take two thirds. */
const HAND_OVER_SHARE = 0.62;
/** One to lose, one more for a ghost whose join was parked until then, and what the others take to hear of both. */
const GHOST_SESSIONS = 3;
/** The broker looks for transactions that are too old every second, and ends them then. */
const ABORT_MS = 5_000;
/** Virtual time bounds a simulation, and this its steps: past it something spins. A history of ten seconds takes some 5,000. */
const STEPS_MAX = 1_000_000;

/**
 * Runs a topology on several instances with a broker, under faults, and checks what comes out. Rejects with a SimulationFailed that names
 * the seed; besides `verify` it checks the log, the committed offsets, liveness, clean ends, and that every store can be rebuilt from the log.
 *
 * @example
 * ```ts
 * const report = await simulate(wordCount, {
 *   seed: 7,
 *   workers: 3,
 *   faults: { crashes: 20, brokerCrashes: 2 },
 *   workload: (sim) => sim.input(lines).sendAll([[null, 'to be'], [null, 'or not']]),
 *   verify: (sim) => console.log(sim.output(wordCounts).latest()),
 * });
 * console.log(report.digest);
 * ```
 */
export async function simulate(topology: Topology, options: SimulationOptions): Promise<SimulationReport> {
  const cluster = new Cluster(topology, {
    seed: options.seed,
    workers: options.workers ?? 2,
    partitions: options.partitions ?? 4,
    guarantee: options.guarantee ?? 'exactly-once',
    faults: options.faults ?? {},
    tuning: options.tuning,
  });
  const run = new SimulationRun(cluster, options);
  let over = false;
  const history = run.history().finally(() => {
    over = true;
  });
  history.catch(() => undefined); // awaited below
  const end = await cluster.world.time.runUntil(() => over, STEPS_MAX);
  if (end === 'idle') throw run.failed(new Error('nothing is left to happen, and the simulation is not over'));
  if (end === 'busy') throw run.failed(new Error(`still busy after ${STEPS_MAX} steps`));
  try {
    await history;
  } catch (error) {
    throw run.failed(error);
  }
  return run.report();
}

class SimulationRun implements Simulation {
  readonly #cluster: Cluster;
  readonly #options: SimulationOptions;
  #nemesis: Nemesis | undefined;
  #topics: ReadonlyMap<string, RawTopic> = new Map();

  constructor(cluster: Cluster, options: SimulationOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  // ---- Simulation -----------------------------------------------------------------------------------------------------

  get now(): number {
    return this.#cluster.nowMs;
  }
  random(): number {
    return this.#cluster.chance.float();
  }
  sleep(duration: Duration): Promise<void> {
    return sleep(this.#cluster.timers, durationMs(duration, 'sleep'));
  }
  async written(): Promise<void> {
    while (!this.#cluster.inputs.settled) await sleep(this.#cluster.timers, SETTLE_CHECK_MS / 5);
    await untilReadable(this.#cluster);
  }
  input<K, V>(topic: TopicSink<K, V>): SimInput<K, V> {
    return this.#cluster.inputs.of(topic);
  }
  output<K, V>(topic: TopicSource<K, V>): SimOutput<K, V> {
    return outputOf(topic, this.#topics.get(topic.name));
  }
  createTopic(topic: TopicSink<never, never>): Promise<void> {
    return this.#cluster.createTopic(topic.name);
  }
  store(handle: { readonly name: string }): never {
    const spec = this.#cluster.topology.stores.get(handle.name);
    if (spec === undefined)
      throw new Error(`the topology has no store '${handle.name}'; it has ${[...this.#cluster.topology.stores.keys()].join(', ') || 'none'}`);
    // Sound: the handle's type says which of the view's methods its store answers.
    return viewOf(spec, this.#cluster.databasesOf(handle.name)) as never;
  }

  // ---- the history ----------------------------------------------------------------------------------------------------

  async history(): Promise<void> {
    const cluster = this.#cluster;
    await cluster.start();
    this.#nemesis = new Nemesis(cluster, this.#options.faults ?? {}, cluster.chance);
    const watch = new OffsetWatch(cluster);
    watch.start();
    const workload = Promise.resolve(this.#options.workload(this));
    await Promise.all([workload, sleep(cluster.timers, durationMs(this.#options.duration ?? '1 minute', 'duration'))]);
    await this.#nemesis.stop();
    cluster.world.trace.note('world', 'healed');
    await cluster.foreign.settled();
    await this.#rest();
    await this.#transactionsEnd();
    await this.#rest(); // what they held back has come in, or has been passed over
    const quietMs = durationMs(this.#options.quiet ?? 0, 'quiet');
    if (quietMs > 0) {
      await sleep(cluster.timers, quietMs); // after the last input: what a foreign transaction holds back comes when that has ended
      await this.#rest();
      await this.#transactionsEnd();
    }
    watch.stop();
    await this.#ghostsLeave();
    await this.#rest();
    this.#topics = await cluster.read();
    const exactlyOnce = (this.#options.guarantee ?? 'exactly-once') === 'exactly-once';
    auditLogs(this.#topics, exactlyOnce);
    await auditOffsets(cluster, this.#topics);
    // A task that a rebalance has begun to move since the rest has no store to show. Nothing happens between this and the look at the stores.
    while (!(await this.#everyTaskRuns())) await this.#rest();
    checkOwnership(cluster);
    const before = dumpStores(cluster);
    await this.#options.verify(this);
    await this.#handOver();
    await this.#stopAll();
    if (topologyHasStores(cluster)) await checkRebuilt(cluster, exactlyOnce ? before : undefined, () => this.#rest());
    await this.#stopAll();
    cluster.broker.wanted = false;
    await cluster.broker.stop();
    await cluster.end();
    checkRest(cluster);
  }

  /** Everything that was sent is in the log, and everything in the log is processed, committed and on disk. */
  async #rest(): Promise<void> {
    const cluster = this.#cluster;
    const { clock } = cluster.world.time;
    const patienceMs = durationMs(this.#options.patience ?? LIVENESS, 'patience');
    const untilMs = clock.monotonicMs() + patienceMs;
    const late = (what: string): Error => new Error(`${what} ${patienceMs / 1000} s of virtual time after the last fault (K8)`);
    while (!cluster.inputs.settled || !cluster.broker.alive) {
      if (cluster.inputs.failure !== undefined) throw cluster.inputs.failure;
      if (clock.monotonicMs() > untilMs) throw late(`${cluster.inputs.sent - cluster.inputs.acknowledged} inputs are not acknowledged`);
      await sleep(cluster.timers, SETTLE_CHECK_MS);
    }
    for (;;) {
      const wanted = cluster.members.filter((member) => member.wanted);
      try {
        const apps = wanted.map((member) => member.app);
        if (apps.every((app) => app?.state === 'running')) {
          const signal = this.#deadline(untilMs);
          const drained = Promise.all(apps.flatMap((app) => (app === undefined ? [] : [app.drained({ signal })])));
          await Promise.race([drained, ...wanted.map(endOf)]);
          const same = wanted.every((member, at) => member.app === apps[at] && member.app?.state === 'running');
          if (same && (await this.#everyTaskRuns())) return;
        }
      } catch (error) {
        cluster.world.trace.note('world', `not drained yet: ${String(error)}`);
      }
      if (clock.monotonicMs() > untilMs) {
        const lag = await describeLag(cluster).catch(String);
        throw late(`instances are ${wanted.map(({ name, app }) => `${name} ${app?.state ?? 'down'}`).join(', ')} and not drained (${lag})`);
      }
      await sleep(cluster.timers, SETTLE_CHECK_MS);
    }
  }

  /** What a dead worker left open is aborted by the broker, a little after its time (K8); the audit then sees that nothing hangs. */
  async #transactionsEnd(): Promise<void> {
    const cluster = this.#cluster;
    const untilMs = cluster.world.time.clock.monotonicMs() + cluster.transactionTimeoutMs + ABORT_MS;
    while (cluster.world.time.clock.monotonicMs() < untilMs && (await hasOpenTransactions(cluster))) await sleep(cluster.timers, SETTLE_CHECK_MS);
  }

  /** One instance stops in order while others are there: what it had is theirs long before its session would have run out (K8). */
  async #handOver(): Promise<void> {
    const cluster = this.#cluster;
    const { clock } = cluster.world.time;
    const alive = cluster.members.filter((member) => member.wanted && member.alive);
    const [leaver] = alive.filter(({ app }) => (app?.tasks().length ?? 0) > 0);
    if (leaver === undefined || alive.length < 2) return;
    leaver.wanted = false;
    await leaver.stop('leave');
    const leftMs = clock.monotonicMs();
    const tasks = await this.#taskCount();
    while (!this.#areRunning(tasks)) {
      if (clock.monotonicMs() - leftMs > cluster.sessionTimeoutMs * HAND_OVER_SHARE + cluster.markerDelayMs)
        throw new Error(`${Math.round(clock.monotonicMs() - leftMs)} ms after ${leaver.name} has left, its tasks do not run elsewhere (K8)`);
      await sleep(cluster.timers, SETTLE_CHECK_MS / 5);
    }
  }

  /**
   * Who died as a member, or was promised an id by a request that came late, is in the group until its session is over, and a rebalance waits for it:
   * that is the time of a fault, and not of the instance that leaves in order later. It ends within a few sessions (K8).
   */
  async #ghostsLeave(): Promise<void> {
    const cluster = this.#cluster;
    const { clock } = cluster.world.time;
    const untilMs = clock.monotonicMs() + GHOST_SESSIONS * cluster.sessionTimeoutMs + cluster.transactionTimeoutMs;
    // Who was away for longer than its session, or whose place as a static member a JoinGroup that came late has taken, learns that with the next
    // heartbeat, and begins again. Until then the group may have as many members as there are instances, and one of them is a ghost.
    await sleep(cluster.timers, cluster.sessionTimeoutMs / 2);
    for (;;) {
      const group = cluster.group();
      const alive = cluster.members.filter((member) => member.wanted).length;
      if (group?.members === alive && group.promised === 0 && group.rebalancing === 0) return;
      if (clock.monotonicMs() > untilMs)
        throw new Error(`long after the last fault ${alive} instances are alive, and the group has ${JSON.stringify(group)} (K8)`);
      await sleep(cluster.timers, SETTLE_CHECK_MS);
    }
  }

  /** Each in one place, and none is about to move. */
  async #everyTaskRuns(): Promise<boolean> {
    const count = await this.#taskCount();
    return this.#areRunning(count) && this.#cluster.members.every(({ app }) => (app?.tasks() ?? []).every(({ state }) => state === 'running'));
  }
  async #taskCount(): Promise<number> {
    const { topology } = this.#cluster;
    const counts = await this.#cluster.topics();
    const { subtopologies } = this.#cluster.topologyOver(counts.keys());
    return subtopologies.reduce((sum, sub) => sum + Math.max(0, ...sub.sources.map((ref) => counts.get(topicName(topology.name, ref)) ?? 0)), 0);
  }
  #areRunning(tasks: number): boolean {
    const running = this.#cluster.members.flatMap(({ app }) => (app?.tasks() ?? []).filter(({ state }) => state === 'running').map(({ id }) => id));
    return running.length === tasks && new Set(running).size === tasks;
  }

  #deadline(untilMs: number): AbortSignal {
    const controller = new AbortController();
    const { time } = this.#cluster.world;
    this.#cluster.timers.after(Math.max(0, untilMs - time.clock.monotonicMs()), () => controller.abort());
    return controller.signal;
  }

  async #stopAll(): Promise<void> {
    for (const member of this.#cluster.members) {
      if (!member.alive) continue;
      member.wanted = false;
      const { process, threads } = member;
      const tookMs = await member.close('leave');
      if (tookMs > 10_000) throw new Error(`${member.name} took ${Math.round(tookMs)} ms to stop (K8)`);
      await sleep(this.#cluster.timers, SETTLE_CHECK_MS);
      if (process !== undefined) checkLeftovers(this.#cluster, process, threads.size);
      process?.end('exit');
    }
    await sleep(this.#cluster.timers, SETTLE_CHECK_MS);
  }

  // ---- its result -----------------------------------------------------------------------------------------------------

  report(): SimulationReport {
    const { trace, time } = this.#cluster.world;
    return {
      seed: this.#options.seed,
      digest: trace.digest,
      virtualMs: time.clock.monotonicMs(),
      faults: { ...this.#nemesis?.counts },
      trace: trace.lines,
    };
  }
  failed(error: unknown): SimulationFailed {
    return new SimulationFailed(this.report(), error);
  }
}

/** Rejects when the process ends: it never answers what was asked of it. */
function endOf({ name, process }: InstanceMember): Promise<never> {
  return new Promise((_, reject) => process?.onEnd((how) => reject(new Error(`${name}: ${how}`))));
}

function topologyHasStores(cluster: Cluster): boolean {
  return cluster.topology.stores.size > 0;
}
