// The stores that every instance holds whole: takes records of their topics through their processors, and hands out views for tasks.
// Owns: one store and one small graph per global store, over one database.  Never: awaits, fetches, decides where to begin.
// G1 what has been taken is on disk together with how far each partition has been taken, after every `settle`; nothing else is staged for long.
// G2 a view sees what has been settled: lookups of tasks follow no transaction, they see the newest row.
import { type Logger, MillraceError, noHeaders } from '@millrace/core';
import type { RecordReader } from '@millrace/protocol';
import { type Database, type KeyValueReadView, keyValueView, META_STORE, StagedKeyValueStore, WriteBatch } from '@millrace/state';
import { type ErrorPolicy, type Failure, type GlobalStore, type SourceNode, type Subtopology, type Topology, topicName } from '@millrace/topology';
import type { ErrorPolicies } from '../options.ts';
import { TaskCursor } from '../task/cursor.ts';
import { createDecoder, type Decoder } from '../task/decode.ts';
import { decideFailure, isForPolicy, taskFailed } from '../task/error-policy.ts';
import { createGraph, type GraphHost, type TaskGraph } from '../task/graph.ts';
import { GlobalView } from './global-view.ts';

export interface GlobalRowsOptions {
  readonly applicationId: string;
  readonly topology: Topology;
  readonly database: Database;
  readonly errors: ErrorPolicies;
  readonly log: Logger;
  readonly wallClockMs: () => number;
  readonly dropped: (node: string, reason: string) => void;
}

/** Id under which global stores are asked for, where tasks have theirs. */
export const GLOBAL_TASK = 'global';

interface Kept {
  readonly global: GlobalStore;
  readonly source: SourceNode;
  readonly store: StagedKeyValueStore<unknown, unknown>;
  readonly decoder: Decoder;
  readonly graph: TaskGraph;
  readonly enter: (key: unknown, value: unknown) => void;
  readonly cursor: TaskCursor;
}

export class GlobalRows {
  readonly #options: GlobalRowsOptions;
  readonly #kept: readonly Kept[];
  readonly #byTopic: ReadonlyMap<string, Kept>;
  readonly #views = new Map<string, GlobalView>();

  constructor(options: GlobalRowsOptions) {
    this.#options = options;
    this.#kept = options.topology.globals.map((global) => this.#open(global));
    this.#byTopic = new Map(this.#kept.map((one) => [one.global.topic, one]));
  }

  /** Stores that a database for them must have. */
  static storesOf(topology: Topology): readonly string[] {
    return [META_STORE, ...topology.globals.map(({ store }) => store)];
  }

  get topics(): readonly string[] {
    return [...this.#byTopic.keys()];
  }

  /** The store itself, for tests. */
  storeNamed(name: string): StagedKeyValueStore<unknown, unknown> | undefined {
    return this.#kept.find(({ global }) => global.store === name)?.store;
  }

  /** What tasks read; undefined for a store that is not global. */
  view(name: string): GlobalView | undefined {
    return this.#views.get(name);
  }

  /** Takes one record of a global topic; `reader` stands on it. Throws ERR_TASK_FAILED where the policy says fail. */
  take(topic: string, partition: number, reader: RecordReader): void {
    const kept = this.#byTopic.get(topic);
    if (kept === undefined) return;
    const { cursor, source } = kept;
    cursor.source = { topic, partition, offset: reader.offset };
    cursor.headers = reader.headerCount === 0 ? noHeaders : reader.headers();
    cursor.timestamp = reader.timestamp;
    let key: unknown;
    let value: unknown;
    try {
      key = kept.decoder.key(reader);
      value = kept.decoder.value(reader);
    } catch (error) {
      this.#judge(kept, source.onError ?? this.#options.errors.decode ?? 'fail', 'decode', source.name, error);
      return;
    }
    const timestamp = typeof source.timestamp === 'function' ? source.timestamp(value, key, cursor) : cursor.timestamp;
    if (timestamp < 0) {
      this.#options.dropped(source.name, 'decode');
      return;
    }
    cursor.timestamp = timestamp;
    cursor.streamTime = Math.max(cursor.streamTime, timestamp);
    try {
      kept.enter(key, value);
    } catch (error) {
      throw this.#failure(kept, 'process', kept.graph.currentNode, error);
    }
  }

  /** Everything taken is written, with what `also` adds to the batch. */
  settle(also: (batch: WriteBatch) => void = () => {}): void {
    const batch = new WriteBatch();
    for (const { store } of this.#kept) {
      store.close(undefined);
      store.committed();
      store.settle(batch);
    }
    also(batch);
    this.#options.database.write(batch);
    for (const { store } of this.#kept) store.settled();
  }

  /** Forgets what is staged and cached: rows on disk have been changed beneath. */
  forget(name: string): void {
    this.storeNamed(name)?.drop();
  }

  close(): void {
    for (const { graph } of this.#kept) graph.close();
  }

  #open(global: GlobalStore): Kept {
    const { topology, database, applicationId } = this.#options;
    const spec = topology.stores.get(global.store);
    const source = topology.nodes.get(global.source);
    if (spec?.kind !== 'keyValue' || source?.kind !== 'source')
      throw new MillraceError('ERR_TOPOLOGY', `global store ${global.store} is no key-value store with a source`, { store: global.store });
    const cursor = new TaskCursor(GLOBAL_TASK);
    const { key, value } = spec;
    const store = new StagedKeyValueStore<unknown, unknown>({ name: global.store, key, value, database, currentTimestamp: () => cursor.timestamp });
    this.#views.set(global.store, new GlobalView(global.store, keyValueView(database, spec) as KeyValueReadView<unknown, unknown>));
    const subtopology: Subtopology = { id: global.id, nodes: [global.source, global.processor], stores: [global.store], sources: source.topics, sinks: [] };
    const policy = this.#options.errors.process ?? 'fail';
    const graph = createGraph(
      topology,
      subtopology,
      cursor,
      policy,
      this.#host(global, store, cursor, () => kept),
    );
    const topic = topicName(applicationId, { name: global.topic, internal: false });
    const kept: Kept = { global, source, store, cursor, graph, decoder: createDecoder(source, topic), enter: graph.enter(source.name) };
    return kept;
  }

  #host(global: GlobalStore, store: unknown, cursor: TaskCursor, kept: () => Kept): GraphHost {
    const { options } = { options: this.#options };
    const refuse = (what: string): never => {
      throw new MillraceError(
        'ERR_TOPOLOGY',
        `the processor of global store "${global.store}" ${what}. It keeps its store and nothing else: it runs once per instance, outside every task.`,
        { store: global.store },
      );
    };
    return {
      applicationId: options.applicationId,
      taskId: GLOBAL_TASK,
      partition: cursor.source?.partition ?? 0,
      log: options.log,
      wallClockMs: options.wallClockMs,
      emitIntervalMs: 0,
      store: () => store,
      schedule: () => refuse('schedules a timer'),
      workOutside: () => refuse('works asynchronously'),
      createSink: () => refuse('has a sink'),
      requestCommit() {},
      drop: (node, reason) => options.dropped(node, reason),
      judge: (policy, stage, node, error) => this.#judge(kept(), policy, stage === 'punctuate' ? 'punctuate' : 'process', node, error),
    };
  }

  #judge(kept: Kept, policy: ErrorPolicy, stage: Failure['stage'], node: string, error: unknown): void {
    if (!isForPolicy(error)) throw error;
    const failure = failureOf(kept, stage, node, error);
    // There is no producer here: a dead letter is a record passed over.
    const { decision, fault } = decideFailure(policy, failure);
    if (decision === 'fail') throw taskFailed(failure, fault);
    this.#options.log.warn({ node, source: failure.source }, 'a record of a global topic was passed over');
    this.#options.dropped(node, stage === 'decode' ? 'decode' : 'skipped');
  }

  #failure(kept: Kept, stage: Failure['stage'], node: string, error: unknown): unknown {
    return isForPolicy(error) ? taskFailed(failureOf(kept, stage, node, error)) : error;
  }
}

function failureOf({ cursor }: Kept, stage: Failure['stage'], node: string, error: unknown): Failure {
  const { timestamp, headers, source } = cursor;
  return { stage, error, node, taskId: GLOBAL_TASK, timestamp, headers, source, rawKey: null, rawValue: null, deliveries: 0 };
}
