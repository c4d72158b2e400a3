// Runs a topology on one thread with one partition a topic, as the recording driver did: every record is processed to its
// end and committed before the next one. The graph is the runtime's own; topics are lists, stores are in memory.
import { createHeaders, decodeWith, encodeWith, MillraceError, noHeaders, type RecordHeaders, silentLogger } from '@millrace/core';
import { type Database, META_STORE, memoryEngine, type OpenDatabase, type StagedStore, StagedKeyValueStore, StagedSessionStore, StagedWindowStore, WriteBatch } from '@millrace/state';
import { type NodeProcessor, type SinkNode, type SourceNode, type StoreSpec, type Subtopology, type Topology, topicName } from '@millrace/topology';
// The graph executor is the runtime's own part and not among its public names; this driver exists to test exactly it.
import { TaskCursor } from '../../packages/runtime/src/task/cursor.ts';
import { createGraph, type GraphHost, type TaskGraph } from '../../packages/runtime/src/task/graph.ts';
import { Punctuations } from '../../packages/runtime/src/task/punctuations.ts';
import { type Arrival, ArrivalQueue } from './arrival-queue.ts';

export const APPLICATION_ID = 'parity';

export interface Produced {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timestamp: number;
  readonly headers: readonly (readonly [string, Uint8Array | null])[];
}

export interface DriverOptions {
  readonly topology: Topology;
  /** A changelog record for every write (Kafka Streams without its cache), not one per key and commit. */
  readonly logEveryWrite: boolean;
  readonly skipsUndecodable: boolean;
  readonly skipsFailing: boolean;
  /** Wall clock at the start, ms. */
  readonly wallClockMs?: number;
}

type Store = StagedKeyValueStore<unknown, unknown> | StagedWindowStore<unknown, unknown> | StagedSessionStore<unknown, unknown>;

export class Driver {
  /** Everything that reached a topic, in order, changelogs included. */
  readonly produced: Produced[] = [];
  dropped = 0;
  readonly stores = new Map<string, Store>();
  readonly #options: DriverOptions;
  readonly #sources = new Map<string, SourceNode>();
  readonly #partitionTimes = new Map<string, number>();
  readonly #offsets = new Map<string, number>();
  readonly #queue = new ArrivalQueue();
  readonly #cursor = new TaskCursor('0_0');
  readonly #graph: TaskGraph;
  readonly #database: Database;
  readonly #punctuations = new Punctuations();
  #wallClockMs: number;
  /** Records that sinks have sent since the last commit. */
  #sent: Produced[] = [];

  static async open(options: DriverOptions): Promise<Driver> {
    const database = await memoryEngine.open({ directory: '', stores: [META_STORE, ...options.topology.stores.keys()], cacheBytes: 0 });
    return new Driver(options, database);
  }

  constructor(options: DriverOptions, database: OpenDatabase) {
    this.#options = options;
    this.#wallClockMs = options.wallClockMs ?? 0;
    this.#database = database;
    const { topology } = options;
    for (const spec of topology.stores.values()) this.stores.set(spec.name, this.#openStore(spec));
    for (const node of topology.nodes.values()) {
      if (node.kind === 'source') for (const topic of node.topics) this.#sources.set(topicName(APPLICATION_ID, topic), node);
    }
    // One task holds all sub-topologies, as the recording driver's did; nodes were added parents first.
    const whole: Subtopology = { id: 0, nodes: [...topology.nodes.keys()], stores: [...topology.stores.keys()], sources: [], sinks: [] };
    this.#graph = createGraph(topology, whole, this.#cursor, options.skipsFailing ? 'skip' : 'fail', this.#host());
  }

  /** Queues a record and runs until nothing is queued. Throws what the program throws. */
  pipe(arrival: Arrival): void {
    this.#queue.add(arrival);
    this.#run();
  }

  /** Moves the wall clock, fires its timers once, and runs what that made. */
  advanceWallClock(byMs: number): void {
    this.#wallClockMs += byMs;
    this.#punctuate(this.#wallClockMs, (at) => this.#punctuations.fireWallClock(at));
    this.#commit();
    this.#run();
  }

  #run(): void {
    for (let next = this.#queue.take(); next !== undefined; next = this.#queue.take()) {
      this.#process(next);
      this.#punctuate(this.#cursor.streamTime, (at) => this.#punctuations.fireStreamTime(at));
      this.#commit();
    }
  }

  #punctuate(at: number, fire: (at: number) => void): void {
    const cursor = this.#cursor;
    const { source, headers, timestamp } = cursor;
    cursor.source = undefined;
    cursor.headers = noHeaders;
    cursor.timestamp = at;
    fire(at);
    cursor.source = source;
    cursor.headers = headers;
    cursor.timestamp = timestamp;
  }

  #process(arrival: Arrival): void {
    const { topic } = arrival;
    const source = this.#sources.get(topic);
    if (source === undefined) return;
    const offset = this.#offsets.get(topic) ?? 0;
    this.#offsets.set(topic, offset + 1);
    const record = this.#decode(source, arrival, offset);
    if (record === undefined) return;
    const cursor = this.#cursor;
    cursor.source = { topic, partition: 0, offset };
    cursor.timestamp = record.timestamp;
    cursor.headers = arrival.headers.length === 0 ? noHeaders : createHeaders(arrival.headers);
    if (record.timestamp > cursor.streamTime) cursor.streamTime = record.timestamp;
    this.#graph.enter(source.name)(record.key, record.value);
  }

  #decode(source: SourceNode, arrival: Arrival, offset: number): { readonly key: unknown; readonly value: unknown; readonly timestamp: number } | undefined {
    const { topic } = arrival;
    const headers = createHeaders(arrival.headers);
    let key: unknown;
    let value: unknown;
    try {
      key = decodeWith(source.key, arrival.key, { topic, role: 'key', headers });
      value = arrival.value === null && source.nullValues === 'tombstone' ? null : decodeWith(source.value, arrival.value, { topic, role: 'value', headers });
    } catch (error) {
      if (!this.#options.skipsUndecodable) throw error;
      this.dropped++;
      return undefined;
    }
    const partitionTime = this.#partitionTimes.get(topic) ?? -1;
    const timestamp = this.#timestamp(source, arrival, key, value, partitionTime, offset);
    if (timestamp === undefined) return undefined;
    this.#partitionTimes.set(topic, Math.max(partitionTime, timestamp));
    return { key, value, timestamp };
  }

  #timestamp(source: SourceNode, arrival: Arrival, key: unknown, value: unknown, partitionTime: number, offset: number): number | undefined {
    let timestamp = arrival.timestamp;
    if (typeof source.timestamp === 'function') {
      const { topic } = arrival;
      timestamp = source.timestamp(value, key, { timestamp, headers: createHeaders(arrival.headers), streamTime: partitionTime, taskId: '0_0', source: { topic, partition: 0, offset } });
    }
    if (timestamp >= 0) return timestamp;
    if (source.onInvalidTimestamp === 'partitionTime' && partitionTime >= 0) return partitionTime;
    if (source.onInvalidTimestamp === 'fail') throw new MillraceError('ERR_INVALID_TIMESTAMP', `record time ${timestamp} is negative`);
    this.dropped++;
    return undefined;
  }

  #commit(): void {
    this.#graph.drain();
    const batch = new WriteBatch();
    for (const spec of this.#options.topology.stores.values()) {
      const store: StagedStore = this.stores.get(spec.name) as Store;
      const isLogged = spec.changelog !== false && spec.sourceTopic === undefined;
      store.close(isLogged ? { append: (key, value, timestamp, headers) => this.#append(`${APPLICATION_ID}-${spec.name}-changelog`, key, value, timestamp, headers) } : undefined);
      store.committed();
      store.settle(batch);
    }
    this.#database.write(batch);
    for (const store of this.stores.values()) store.settled();
    const sent = this.#sent;
    this.#sent = [];
    for (const record of sent) if (this.#sources.has(record.topic)) this.#queue.add(record);
  }

  #append(topic: string, key: Uint8Array, value: Uint8Array | null, timestamp: number, headers: RecordHeaders = noHeaders): void {
    this.produced.push({ topic, key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp, headers: [...headers] });
  }

  #openStore(spec: StoreSpec): Store {
    const shared = {
      name: spec.name,
      key: spec.key,
      value: spec.value,
      database: this.#database,
      currentTimestamp: () => this.#cursor.timestamp,
      logEveryWrite: this.#options.logEveryWrite,
    };
    if (spec.kind === 'keyValue') return new StagedKeyValueStore({ ...shared, currentHeaders: spec.logsHeaders === true ? () => this.#cursor.headers : undefined });
    if (spec.kind === 'session') return new StagedSessionStore({ ...shared, retentionMs: spec.retentionMs, onExpired: () => void this.dropped++ });
    const { windowSizeMs, retentionMs, duplicates } = spec;
    return new StagedWindowStore({ ...shared, windowSizeMs, retentionMs, duplicates, currentHeaders: () => this.#cursor.headers, onExpired: () => void this.dropped++ });
  }

  #host(): GraphHost {
    return {
      applicationId: APPLICATION_ID,
      taskId: '0_0',
      partition: 0,
      log: silentLogger,
      wallClockMs: () => this.#wallClockMs,
      emitIntervalMs: 0,
      store: (name) => this.stores.get(name),
      createSink: (node) => this.#sink(node),
      schedule: (everyMs, by, run, startAtMs) => this.#punctuations.schedule(everyMs, by, run, this.#wallClockMs, startAtMs),
      requestCommit() {},
      drop: () => void this.dropped++,
      judge: (policy, _stage, _node, error) => {
        if (policy !== 'skip') throw error;
        this.dropped++;
      },
    };
  }

  #sink(node: SinkNode): NodeProcessor {
    const topic = topicName(APPLICATION_ID, node.topic);
    return {
      process: (key, value) => {
        const { headers, timestamp } = this.#cursor;
        const copy = (bytes: Uint8Array | null): Uint8Array | null => (bytes === null ? null : Buffer.from(bytes));
        const record: Produced = {
          topic,
          key: copy(encodeWith(node.key, key, { topic, role: 'key', headers })),
          value: copy(encodeWith(node.value, value, { topic, role: 'value', headers })),
          timestamp,
          headers: [...headers],
        };
        this.produced.push(record);
        this.#sent.push(record);
      },
    };
  }
}
