// An instance on the calling thread over an embedded broker on loopback sockets: what tests of restarts start, feed, stop and start again.
// Other ports (a network that answers for the broker, a disk that fails, virtual time) come in from outside.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, type BrokerOptions, startBroker } from '@millrace/broker';
import { type ConnectionOptions, createAdmin, createConsumer, createProducer, type LogAdmin } from '@millrace/client';
import {
  nodeDisk,
  nodeNetwork,
  nodeThreads,
  noHeaders,
  type Ports,
  partitionForKey,
  type RecordHeaders,
  silentLogger,
  systemChance,
  systemClock,
  systemTimers,
} from '@millrace/core';
import { BatchPool, RecordReader } from '@millrace/protocol';
import { type AppOptions, createRunningApp, type RunningApp } from '@millrace/runtime';
import type { Topology } from '@millrace/topology';

const ports: Ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
export type EngineName = 'memory' | 'lmdb' | 'rocksdb';
export const ENGINE_NAMES: readonly EngineName[] = ['memory', 'lmdb', 'rocksdb'];
const ENGINES = (['rocksdb', 'lmdb'] as const).map((name) => ({ name, module: new URL(`../../packages/state-${name}/src/index.ts`, import.meta.url).href }));

export interface Sent {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
  readonly headers?: RecordHeaders;
}
export interface Seen {
  readonly key: string;
  readonly value: string | null;
  readonly timestamp: number;
  /** Where there are any. */
  readonly headers?: RecordHeaders;
}

/** What a rig stands on; without it, this machine. */
export interface Ground {
  /** Of the broker and of whoever sends and reads. */
  readonly ports?: Partial<Ports>;
  /** Of the application, where they differ. */
  readonly appPorts?: Partial<Ports>;
  readonly broker?: Partial<BrokerOptions>;
  /** What all clients add to their connections. */
  readonly connection?: Pick<ConnectionOptions, 'ssl' | 'sasl'>;
}

export interface RigAppOptions extends AppOptions {
  readonly engine: EngineName;
  readonly disk: string;
}

export class AppRig {
  /** Of the broker's files and of the state directories, by the name of their disk. */
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-rig-'));
  readonly #ports: Ports;
  readonly #appPorts: Ports;
  readonly #brokerOptions: Partial<BrokerOptions>;
  readonly #secrets: Pick<ConnectionOptions, 'ssl' | 'sasl'>;
  readonly #batches = new BatchPool();
  #broker: Broker | undefined;

  constructor(ground: Ground = {}) {
    this.#ports = { ...ports, ...ground.ports };
    this.#appPorts = { ...this.#ports, ...ground.appPorts };
    this.#brokerOptions = ground.broker ?? {};
    this.#secrets = ground.connection ?? {};
  }

  /** Also after `stopBroker`: on the same files, and on another port unless the options name one. */
  async start(): Promise<void> {
    this.#broker = await startBroker({ dataDir: join(this.folder, 'broker'), port: 0, ...this.#brokerOptions }, this.#ports);
  }
  get broker(): Broker {
    if (this.#broker === undefined) throw new Error('the rig has not been started');
    return this.#broker;
  }
  async stopBroker(): Promise<void> {
    await this.#broker?.close();
    this.#broker = undefined;
  }
  async close(): Promise<void> {
    await this.stopBroker();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async createTopics(partitions: number, policy: 'delete' | 'compact', ...names: readonly string[]): Promise<void> {
    await this.createTopicsWith(partitions, { 'cleanup.policy': policy }, ...names);
  }
  async createTopicsWith(partitions: number, config: Readonly<Record<string, string>>, ...names: readonly string[]): Promise<void> {
    const admin = this.admin('setup');
    await admin.createTopics(names.map((name) => ({ name, partitions, replication: -1, config })));
    await admin.close();
  }

  /** `disk` names a state directory of its own: the same name, the same disk. */
  async app(topology: Topology, options: RigAppOptions): Promise<RunningApp> {
    const app = this.create(topology, options);
    await app.start();
    await app.waitFor('running');
    return app;
  }

  /** The same before its start. `brokers`: another way to the broker. */
  create(topology: Topology, { disk, ...options }: RigAppOptions): RunningApp {
    const { brokers = [this.address], ...rest } = options;
    return createRunningApp(
      topology,
      {
        workers: 0,
        stateDir: join(this.folder, disk),
        commitInterval: '30ms',
        settleInterval: '60ms',
        internalTopics: { partitions: 2 },
        ...(this.#secrets as object),
        ...rest,
      },
      { ports: this.#appPorts, threads: nodeThreads, engines: ENGINES, brokers, embedded: true, address: () => undefined },
    );
  }

  async send(topic: string, records: readonly Sent[]): Promise<void> {
    const admin = this.admin('sender-admin');
    const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 1;
    await admin.close();
    const producer = createProducer(this.#connection('sender'), {}, this.#ports);
    await producer.initialise();
    producer.begin();
    for (const { key, value, timestamp, headers = noHeaders } of records) {
      const keyBytes = key === null ? null : Buffer.from(key);
      const valueBytes = value === null ? null : Buffer.from(value);
      const builder = this.#batches.take();
      builder.append(timestamp, keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes?.length ?? 0, headers);
      await producer.send(topic, keyBytes === null ? 0 : partitionForKey(keyBytes, 0, keyBytes.length, partitions), builder);
    }
    await producer.flush();
    await producer.close();
  }

  /** Everything committed in a topic, partition by partition. */
  async read(topic: string): Promise<readonly Seen[]> {
    const admin = this.admin('reader-admin');
    const count = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0;
    const places = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
    const ends = await admin.listOffsets(places, 'latestStable');
    await admin.close();
    const consumer = createConsumer(this.#connection('reader'), { isolation: 'read_committed' }, this.#ports);
    consumer.assign(places.map((place) => ({ ...place, offset: 0 as never })));
    const seen: Seen[] = [];
    const reader = new RecordReader();
    while (places.some((place) => (consumer.position(place) ?? 0) < (ends.get(`${topic}-${place.partition}`) ?? 0))) {
      for (const event of await consumer.poll(100)) {
        if (event.kind !== 'data') throw new Error(`reading ${topic} brought ${JSON.stringify(event)}`);
        for (const view of event.data.batches) {
          reader.reset(view);
          while (reader.next()) {
            const text = (start: number, length: number): string | null => (length < 0 ? null : reader.buffer.toString('utf8', start, start + length));
            const headers = reader.headers();
            seen.push({
              key: text(reader.keyStart, reader.keyLength) ?? '',
              value: text(reader.valueStart, reader.valueLength),
              timestamp: reader.timestamp,
              ...(headers.size === 0 ? {} : { headers }),
            });
          }
        }
        event.data.release();
      }
    }
    await consumer.close();
    return seen;
  }

  get address(): string {
    return this.broker.address;
  }
  /** A client's own connection to the broker. */
  admin(clientId = 'admin'): LogAdmin {
    return createAdmin(this.#connection(clientId), {}, this.#ports);
  }
  #connection(clientId: string) {
    return { brokers: [this.address], clientId, connectionTimeoutMs: 5_000, requestTimeoutMs: 10_000, ...this.#secrets };
  }
}

/** The last value of each key, as a table has it. */
export function asTable(seen: readonly Seen[]): ReadonlyMap<string, string> {
  const rows = new Map<string, string>();
  for (const { key, value } of seen) {
    if (value === null) rows.delete(key);
    else rows.set(key, value);
  }
  return new Map([...rows].sort());
}
