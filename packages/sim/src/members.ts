// The processes of a simulated cluster and who starts them again: one broker, some instances of the application.
// Owns: each process's ports, its end and its restart.  Never: decides when a fault happens.
// A process that ends is started again while it is wanted, as a supervisor would; what gave up by itself is counted.
import { type Broker, type BrokerOptions, startBroker } from '@millrace/broker';
import { explainError, type Logger, type Ports } from '@millrace/core';
import { type AppOptions, createRunningApp, type RunningApp, serveThread } from '@millrace/runtime';
import type { Topology } from '@millrace/topology';
import { Machine } from './machine.ts';
import type { SimNetwork } from './sim-network.ts';
import { SimProcess, type World } from './sim-process.ts';
import { threadsOf } from './sim-threads.ts';

export const BROKER_HOST = 'broker';
export const BROKER_PORT = 9092;
export const BROKER_ADDRESS = `${BROKER_HOST}:${BROKER_PORT}`;
/** A supervisor waits this long before it starts again what ended by itself. */
const SUPERVISOR_MS = 500;

/** What is the same for every process of a cluster. */
export interface Ground {
  readonly world: World;
  readonly network: SimNetwork;
}

/** The ports of a process on its machine. */
export function portsOf(ground: Ground, machine: Machine, process: SimProcess, said: (level: string, text: string) => void = () => {}): Ports {
  return {
    clock: process.share.clock,
    timers: process.timers,
    chance: process.chance,
    network: ground.network.of(process),
    disk: machine.disk(process),
    log: traceLogger(process, said),
  };
}

function traceLogger(process: SimProcess, said: (level: string, text: string) => void): Logger {
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (fields: object, text: string): void => {
      if (process.ended !== undefined) return;
      process.world.trace.note(process.name, `${level} ${text} ${JSON.stringify(fields)}`);
      said(level, text);
    };
  return { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error') };
}

/** A place for one process at a time, on a machine of its own. */
abstract class Member {
  readonly machine: Machine;
  readonly name: string;
  protected readonly ground: Ground;
  process: SimProcess | undefined;
  /** False: nobody starts it again. */
  wanted = true;
  starts = 0;
  /** Times it ended by itself. */
  readonly gaveUp: string[] = [];

  constructor(ground: Ground, name: string) {
    this.ground = ground;
    this.name = name;
    this.machine = new Machine(name, ground.world.chance);
  }

  get alive(): boolean {
    return this.process !== undefined && this.process.ended === undefined;
  }

  start(): void {
    if (this.process !== undefined) return;
    const process = new SimProcess(this.ground.world, this.name, `${this.name}#${++this.starts}`);
    this.process = process;
    process.onEnd((how) => {
      this.machine.afterEnd(how);
      this.process = undefined;
      this.forget();
      this.startLater(how === 'exit' ? SUPERVISOR_MS : this.downMs());
    });
    process.timers.after(0, () => {
      this.run(process).catch((error: unknown) => this.giveUp(process, error));
    });
  }

  protected giveUp(process: SimProcess, error: unknown): void {
    if (process.ended !== undefined) return;
    this.gaveUp.push(explainError(error));
    this.ground.world.trace.note(process.name, `gives up: ${explainError(error)}`);
    process.end('exit');
  }

  protected startLater(downMs: number): void {
    this.ground.world.time.timers.after(downMs, () => {
      if (this.wanted) this.start();
    });
  }
  protected abstract run(process: SimProcess): Promise<void>;
  protected abstract forget(): void;

  /** How long it stays away after a crash: sometimes shorter than any timeout, sometimes longer than all. */
  protected downMs(): number {
    const { chance } = this.ground.world;
    return chance.integer(3) === 0 ? chance.float() * 8000 : chance.float() * 600;
  }
}

export class BrokerMember extends Member {
  readonly #options: Omit<BrokerOptions, 'dataDir' | 'host' | 'port'>;
  broker: Broker | undefined;

  constructor(ground: Ground, options: Omit<BrokerOptions, 'dataDir' | 'host' | 'port'>) {
    super(ground, BROKER_HOST);
    this.#options = options;
  }
  protected async run(process: SimProcess): Promise<void> {
    const ports = portsOf(this.ground, this.machine, process);
    const broker = await startBroker({ ...this.#options, dataDir: '/data', host: '127.0.0.1', advertisedHost: BROKER_HOST, port: BROKER_PORT }, ports);
    if (process.ended === undefined) this.broker = broker;
  }
  protected forget(): void {
    this.broker = undefined;
  }
  async stop(): Promise<void> {
    const { process } = this;
    await this.broker?.close();
    process?.end('exit');
  }
}

export type InstanceOptions = Omit<AppOptions, 'module' | 'stateDir' | 'engine' | 'brokers' | 'log'>;

export class InstanceMember extends Member {
  readonly #topology: Topology;
  readonly #options: InstanceOptions;
  app: RunningApp | undefined;
  /** Asked to stop. */
  closing = false;
  threads: ReadonlySet<SimProcess> = new Set();

  constructor(ground: Ground, name: string, topology: Topology, options: InstanceOptions) {
    super(ground, name);
    this.#topology = topology;
    this.#options = options;
  }

  protected async run(process: SimProcess): Promise<void> {
    const { ground, machine } = this;
    const ports = portsOf(ground, machine, process);
    const threads = threadsOf(
      process,
      (thread) => portsOf(ground, machine, thread),
      (side, threadPorts, thread) => serveThread({ side, loadTopology: async () => this.#topology, ports: threadPorts, engine: machine.engine(thread) }),
    );
    this.threads = threads.alive;
    const app = createRunningApp(
      this.#topology,
      { ...this.#options, stateDir: '/state', engine: 'rocksdb', ...((this.#options.workers ?? 0) > 0 ? { module: 'sim:topology' } : {}) },
      {
        ports,
        threads,
        engines: [{ name: 'rocksdb', module: undefined, engine: machine.engine(process) }],
        brokers: [BROKER_ADDRESS],
        embedded: true,
        address: () => `${this.name}:7070`,
      },
    );
    this.app = app;
    app.events.subscribe((event) => {
      if (event.kind === 'state') {
        ground.world.trace.note(process.name, `${event.from} → ${event.to}`);
        if (event.to === 'failed') this.giveUp(process, app.failure ?? new Error('failed'));
      } else if (event.kind === 'assigned' || event.kind === 'revoked' || event.kind === 'lost')
        ground.world.trace.note(process.name, `${event.kind} ${event.tasks.join(' ')}`);
      else if (event.kind === 'workerFailed') ground.world.trace.note(process.name, `${event.worker} failed: ${explainError(event.error)}`);
    });
    await app.start();
  }
  protected forget(): void {
    this.app = undefined;
    this.closing = false;
    this.threads = new Set();
  }

  /** SIGTERM: closes in order, then the process ends. */
  async stop(leave: 'auto' | 'leave' | 'stay' = 'auto'): Promise<void> {
    const { process } = this;
    if (process === undefined) return; // it is down as it is; the next one is not asked to stop
    await this.close(leave);
    process.end('exit');
  }
  /** The same, but the process stays, as that of a user who goes on with something else. Resolves with the virtual ms it took. */
  async close(leave: 'auto' | 'leave' | 'stay'): Promise<number> {
    const { app } = this;
    this.closing = true;
    const startedMs = this.ground.world.time.clock.monotonicMs();
    await app?.close({ leave });
    return this.ground.world.time.clock.monotonicMs() - startedMs;
  }
}
