// One simulated cluster from its seed: a broker, instances with their workers, the machine that writes inputs and reads logs.
// Owns: what the seed decides about its shape, start and end.  Never: judges what came out.
import { type ConnectionOptions, createAdmin, createConsumer, type LogAdmin } from '@millrace/client';
import { type Chance, MillraceError, seededChance, sleep, type Timers, virtualTime } from '@millrace/core';
import type { AppOptions } from '@millrace/runtime';
import type { Database } from '@millrace/state';
import { matchTopics, resolvePatterns, type Topology } from '@millrace/topology';
import type { FaultRates } from './faults.ts';
import { ForeignWriter } from './foreign-writer.ts';
import { type RawTopic, readTopics } from './log-reader.ts';
import { Machine } from './machine.ts';
import { BROKER_ADDRESS, BrokerMember, type Ground, InstanceMember, type InstanceOptions, portsOf } from './members.ts';
import { Inputs } from './sim-input.ts';
import { OBSERVER_HOST, SimNetwork } from './sim-network.ts';
import { SimProcess, type World } from './sim-process.ts';
import { Trace } from './trace.ts';

/** 2024-01-01, the hour at which every simulation begins. */
export const START_MS = Date.UTC(2024, 0, 1);
const RETRY_MS = 200;
/** Of the transaction timeout: a cluster whose markers take longer than that commits nothing. */
const MARKER_DELAY_SHARES = [0.01, 0.4];
const ID_EXPIRATIONS_MS = [500, 2000];

type Tuning = NonNullable<AppOptions['tuning']>;

export interface ClusterOptions {
  readonly seed: number;
  /** Worker loops in all; how they are grouped into instances the seed decides. */
  readonly workers: number;
  readonly partitions: number;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  /** Of these, what holds all the time (CONDITIONS) is set up here. */
  readonly faults: FaultRates;
  /** In place of what the seed draws. */
  readonly tuning?: Tuning | undefined;
}

export class Cluster {
  readonly world: World;
  readonly network: SimNetwork;
  readonly topology: Topology;
  readonly broker: BrokerMember;
  readonly instances: readonly InstanceMember[];
  readonly spare: InstanceMember;
  readonly inputs: Inputs;
  readonly foreign: ForeignWriter;
  readonly admin: LogAdmin;
  /** Chance of the workload and of the nemesis. */
  readonly chance: Chance;
  readonly durable: boolean;
  readonly sessionTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  /** How long after its answer the markers of a transaction are written. */
  readonly markerDelayMs: number;
  readonly #options: ClusterOptions;
  readonly #observer: SimProcess;
  readonly #observerPorts: ReturnType<typeof portsOf>;

  constructor(topology: Topology, options: ClusterOptions) {
    this.topology = topology;
    this.#options = options;
    const time = virtualTime({ startMs: START_MS });
    const chance = seededChance(options.seed);
    this.chance = seededChance(chance.integer(2 ** 32));
    this.world = { time, chance, trace: new Trace(() => time.clock.monotonicMs()) };
    this.network = new SimNetwork(this.world, seededChance(chance.integer(2 ** 32)));
    const ground: Ground = { world: this.world, network: this.network };
    const { faults } = options;
    this.durable = chance.integer(2) === 0;
    this.sessionTimeoutMs = pick(chance, [1500, 3000, 6000]);
    this.transactionTimeoutMs = pick(chance, [2000, 5000, 10_000]);
    this.markerDelayMs = (faults.slowMarkers ?? 0) > 0 ? pick(chance, MARKER_DELAY_SHARES) * this.transactionTimeoutMs : 0;
    this.broker = new BrokerMember(ground, {
      fsync: this.durable ? 'perBatchGroup' : 'never',
      autoCreateTopics: false,
      transactions: {
        markerDelayMs: this.markerDelayMs,
        ...((faults.forgottenIds ?? 0) > 0 ? { idExpirationMs: pick(chance, ID_EXPIRATIONS_MS), expirationIntervalMs: 250 } : {}),
      },
      limits: { compactionCheckMs: pick(chance, [500, 15_000]) },
    });
    const app: InstanceOptions = {
      guarantee: options.guarantee,
      commitInterval: pick(chance, [20, 100, 400]),
      settleInterval: pick(chance, [0, 200, 1000]),
      connectionTimeout: 1000,
      requestTimeout: pick(chance, [2000, 5000]),
      tuning: {
        sessionTimeout: this.sessionTimeoutMs,
        transactionTimeout: this.transactionTimeoutMs,
        taskTimeout: pick(chance, [30_000, 300_000]),
        metadataRefresh: 1000,
        purgeInterval: pick(chance, [500, 30_000]),
        fetchBytesMax: pick(chance, [65_536, 1_048_576]),
        ...options.tuning,
      },
    };
    const areStatic = chance.integer(4) === 0;
    const make = (index: number, workers: number): InstanceMember =>
      new InstanceMember(ground, `app-${index}`, topology, { ...app, workers, ...(areStatic ? { instanceId: `pod-${index}` } : {}) });
    this.instances = groupsOf(options.workers, chance).map((workers, index) => make(index, workers));
    this.spare = make(this.instances.length, chance.integer(3));
    this.spare.wanted = false;
    this.#observer = new SimProcess(this.world, OBSERVER_HOST, OBSERVER_HOST);
    this.#observerPorts = portsOf(ground, new Machine(OBSERVER_HOST, chance), this.#observer);
    this.admin = createAdmin(this.connection('admin'), {}, this.#observerPorts);
    this.inputs = new Inputs(this.#observer, this.#observerPorts, this.connection('generator'), options.partitions);
    this.foreign = new ForeignWriter(this.inputs, this.connection('foreign'), this.#observerPorts);
  }

  connection(clientId: string): ConnectionOptions {
    return { brokers: [BROKER_ADDRESS], clientId, connectionTimeoutMs: 1000, requestTimeoutMs: 5000 };
  }
  get timers(): Timers {
    return this.#observer.timers;
  }
  get nowMs(): number {
    return this.world.time.clock.nowMs();
  }
  get members(): readonly InstanceMember[] {
    return [...this.instances, this.spare];
  }

  /** The broker serves, the user's topics are there, the instances are on their way. */
  async start(): Promise<void> {
    this.broker.start();
    await this.eventually(() => this.inputs.open());
    const { partitions } = this.#options;
    const topics = this.topology.userTopics.map((topic) => ({
      name: topic.name,
      partitions: topic.partitions ?? partitions,
      replication: 1,
      config: topic.config,
    }));
    await this.eventually(() => this.admin.createTopics(topics));
    for (const instance of this.instances) instance.start();
  }

  /** Another topic, now: a pattern may match it. With as many partitions as the others. */
  async createTopic(name: string): Promise<void> {
    const { partitions } = this.#options;
    await this.eventually(() => this.admin.createTopics([{ name, partitions, replication: 1, config: {} }]));
    this.world.trace.note('world', `topic ${name}`);
  }

  /** What the topology reads where these topics exist. */
  topologyOver(names: Iterable<string>): Topology {
    const { topology } = this;
    const internal = new Set(topology.internalTopics.map(({ name }) => `${topology.name}-${name}`));
    return resolvePatterns(
      topology,
      matchTopics(
        topology,
        [...names].filter((name) => !internal.has(name)),
      ),
    );
  }

  /** Tries again while brokers are away. */
  async eventually<T>(act: () => Promise<T>, deadlineMs = 120_000): Promise<T> {
    const untilMs = this.world.time.clock.monotonicMs() + deadlineMs;
    for (;;) {
      try {
        return await act();
      } catch (error) {
        if (!MillraceError.is(error) || this.world.time.clock.monotonicMs() > untilMs) throw error;
        await sleep(this.timers, RETRY_MS);
      }
    }
  }

  /** Who is in the one group that there is, as the broker sees it; undefined while it is away. */
  group(): { readonly members: number; readonly promised: number; readonly rebalancing: number } | undefined {
    const samples = new Map(this.broker.broker?.metrics().map(({ name, value }) => [name, Number(value)]));
    const [members, promised, rebalancing] = ['group_members', 'group_members_promised', 'groups_rebalancing'].map((name) => samples.get(name));
    return members === undefined || promised === undefined || rebalancing === undefined ? undefined : { members, promised, rebalancing };
  }

  /** Topics of the topology on the broker, with their partitions: the user's and the internal ones. */
  async topics(): Promise<ReadonlyMap<string, number>> {
    const found = await this.eventually(() => this.admin.describeTopics(undefined));
    return new Map([...found].filter(([name]) => !name.startsWith('__')).map(([name, { partitions }]) => [name, partitions]));
  }
  /** Every topic of the topology as it is now. */
  async read(): Promise<ReadonlyMap<string, RawTopic>> {
    const counts = await this.topics();
    return this.eventually(() =>
      readTopics(counts, this.admin, () => createConsumer(this.connection('reader'), { isolation: 'read_committed' }, this.#observerPorts)),
    );
  }

  /** The databases that hold a store now, one for each task that runs. */
  databasesOf(store: string): readonly Database[] {
    const sub = this.topology.subtopologies.find((one) => one.stores.includes(store));
    return this.members.flatMap((member) =>
      (member.app?.tasks() ?? []).flatMap((task) => {
        if (task.id.slice(0, task.id.indexOf('_')) !== String(sub?.id)) return [];
        const database = member.machine.databases.find(`/state/${member.app?.id}/${member.app?.instanceId}/tasks/${task.id}`);
        return database === undefined ? [] : [database];
      }),
    );
  }

  /** The observer's own ends are given back too. */
  async end(): Promise<void> {
    await this.inputs.close();
    await this.foreign.close();
    await this.admin.close();
  }
}

function pick<T>(chance: Chance, from: readonly T[]): T {
  return from[chance.integer(from.length)] as T;
}

/** Workers into instances: 0 stands for one worker on the instance's own thread. */
function groupsOf(workers: number, chance: Chance): readonly number[] {
  const groups: number[] = [];
  for (let left = workers; left > 0; ) {
    const size = 1 + chance.integer(Math.min(left, 2));
    groups.push(size === 1 && chance.integer(2) === 0 ? 0 : size);
    left -= size;
  }
  return groups;
}
