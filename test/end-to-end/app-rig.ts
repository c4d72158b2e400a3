// An instance on the calling thread over an embedded broker on loopback sockets: what tests of restarts start, feed, stop and start again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '@millrace/broker';
import { createAdmin, createConsumer, createProducer } from '@millrace/client';
import { nodeDisk, nodeNetwork, nodeThreads, noHeaders, partitionForKey, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { BatchPool, RecordReader } from '@millrace/protocol';
import { createRunningApp, type RunningApp } from '@millrace/runtime';
import type { Topology } from '@millrace/topology';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
export type EngineName = 'memory' | 'lmdb' | 'rocksdb';
export const ENGINE_NAMES: readonly EngineName[] = ['memory', 'lmdb', 'rocksdb'];
const ENGINES = (['rocksdb', 'lmdb'] as const).map((name) => ({ name, module: new URL(`../../packages/state-${name}/src/index.ts`, import.meta.url).href }));

export interface Sent {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
}
export interface Seen {
  readonly key: string;
  readonly value: string | null;
  readonly timestamp: number;
}

export class AppRig {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-rig-'));
  readonly #batches = new BatchPool();
  #broker: Broker | undefined;

  async start(): Promise<void> {
    this.#broker = await startBroker({ dataDir: join(this.#folder, 'broker'), port: 0 }, ports);
  }
  async close(): Promise<void> {
    await this.#broker?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async createTopics(partitions: number, policy: 'delete' | 'compact', ...names: readonly string[]): Promise<void> {
    const admin = createAdmin(this.#connection('setup'), {}, ports);
    await admin.createTopics(names.map((name) => ({ name, partitions, replication: -1, config: { 'cleanup.policy': policy } })));
    await admin.close();
  }

  /** `disk` names a state directory of its own: the same name, the same disk. */
  async app(topology: Topology, options: { readonly engine: EngineName; readonly disk: string }): Promise<RunningApp> {
    const app = createRunningApp(
      topology,
      {
        workers: 0,
        engine: options.engine,
        stateDir: join(this.#folder, options.disk),
        commitInterval: '30ms',
        settleInterval: '60ms',
        internalTopics: { partitions: 2 },
      },
      { ports, threads: nodeThreads, engines: ENGINES, brokers: [this.#address], embedded: true, address: () => undefined },
    );
    await app.start();
    await app.waitFor('running');
    return app;
  }

  async send(topic: string, records: readonly Sent[]): Promise<void> {
    const admin = createAdmin(this.#connection('sender-admin'), {}, ports);
    const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 1;
    await admin.close();
    const producer = createProducer(this.#connection('sender'), {}, ports);
    await producer.initialise();
    producer.begin();
    for (const { key, value, timestamp } of records) {
      const keyBytes = key === null ? null : Buffer.from(key);
      const valueBytes = value === null ? null : Buffer.from(value);
      const builder = this.#batches.take();
      builder.append(timestamp, keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes?.length ?? 0, noHeaders);
      await producer.send(topic, keyBytes === null ? 0 : partitionForKey(keyBytes, 0, keyBytes.length, partitions), builder);
    }
    await producer.flush();
    await producer.close();
  }

  /** Everything committed in a topic, partition by partition. */
  async read(topic: string): Promise<readonly Seen[]> {
    const admin = createAdmin(this.#connection('reader-admin'), {}, ports);
    const count = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0;
    const places = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
    const ends = await admin.listOffsets(places, 'latestStable');
    await admin.close();
    const consumer = createConsumer(this.#connection('reader'), { isolation: 'read_committed' }, ports);
    consumer.assign(places.map((place) => ({ ...place, offset: 0 as never })));
    const seen: Seen[] = [];
    const reader = new RecordReader();
    while (places.some((place) => (consumer.position(place) ?? 0) < (ends.get(`${topic}-${place.partition}`) ?? 0))) {
      for (const event of await consumer.poll(100)) {
        if (event.kind !== 'data') continue;
        for (const view of event.data.batches) {
          reader.reset(view);
          while (reader.next()) {
            const text = (start: number, length: number): string | null => (length < 0 ? null : reader.buffer.toString('utf8', start, start + length));
            seen.push({ key: text(reader.keyStart, reader.keyLength) ?? '', value: text(reader.valueStart, reader.valueLength), timestamp: reader.timestamp });
          }
        }
        event.data.release();
      }
    }
    await consumer.close();
    return seen;
  }

  get #address(): string {
    if (this.#broker === undefined) throw new Error('the rig has not been started');
    return this.#broker.address;
  }
  #connection(clientId: string) {
    return { brokers: [this.#address], clientId, connectionTimeoutMs: 5_000, requestTimeoutMs: 10_000 };
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
