// The stores of one task and what ties each to the log: its changelog lane (or source topic) and the offset it is level with.
// Owns: the typed stores, their checkpoints in the making.  Never: sends, restores, decides when to settle.
// T1 `checkpointOffset` is committed and applied here, never merely produced (I2 of reliability.md).
// T2 data and checkpoint of all stores of the task go into one write batch.
import { asBuffer, assert, noHeaders, type RecordHeaders } from '@millrace/core';
import {
  type ChangelogSink,
  type Database,
  ExpiringStore,
  type KeyValueStoreOptions,
  putCheckpoint,
  RecentRowsStore,
  StagedKeyValueStore,
  StagedSessionStore,
  type StagedStore,
  StagedVersionedStore,
  StagedWindowStore,
  WriteBatch,
} from '@millrace/state';
import { type KeyValueSpec, type StoreSpec, type Topology, topicName } from '@millrace/topology';
import type { LogPosition, OutputLane } from '../outbox.ts';
import type { TaskCursor } from './cursor.ts';

/** Where the changes of a store can be read again. */
export type ChangeLog =
  | { readonly kind: 'changelog'; readonly topic: string; readonly lane: OutputLane }
  | { readonly kind: 'sourceTopic'; readonly topic: string }
  | { readonly kind: 'none' };

export interface TaskStore {
  readonly spec: StoreSpec;
  readonly store: StagedStore;
  readonly log: ChangeLog;
  readonly sink: ChangelogSink | undefined;
  /** Id of the topic behind `log`; empty until restore has looked it up. */
  topicId: string;
  /** Under which `checkpointOffset` was in that log; -1 unknown. */
  leaderEpoch: number;
  checkpointOffset: number;
}

export interface TaskStoresOptions {
  readonly applicationId: string;
  readonly topology: Topology;
  readonly names: readonly string[];
  readonly partition: number;
  readonly database: Database;
  readonly cursor: TaskCursor;
  readonly lane: (topic: string, partition: number) => OutputLane;
  /** Does this store log every write, not one per key and span? */
  readonly logsEveryWrite: (store: string) => boolean;
  readonly onExpired: (store: string) => void;
}

export class TaskStores {
  readonly all: readonly TaskStore[];
  readonly database: Database;
  /** Those whose rows go by themselves. */
  readonly expiring: readonly ExpiringStore<unknown, unknown>[];
  readonly #byName: ReadonlyMap<string, TaskStore>;
  #unsettled = false;
  #settledAtMs = 0;

  #checksWrites = false;
  #rowsOpen = false;
  /** What the last close that failed has thrown. */
  #refusal: unknown;

  constructor(options: TaskStoresOptions) {
    this.database = options.database;
    const onRows = (): void => {
      this.#rowsOpen = true;
    };
    this.all = options.names.map((name) => openStore(options, name, onRows));
    this.expiring = this.all.flatMap(({ store }) => (store instanceof ExpiringStore ? [store] : []));
    this.#byName = new Map(this.all.map((one) => [one.spec.name, one]));
  }

  get(name: string): StagedStore {
    const found = this.#byName.get(name);
    assert(found !== undefined, `the task has no store ${name}`);
    return found.store;
  }
  get stagedBytes(): number {
    let bytes = 0;
    for (const { store } of this.all) bytes += store.stagedBytes;
    return bytes;
  }
  get cachedBytes(): number {
    let bytes = 0;
    for (const { store } of this.all) bytes += store.cachedBytes;
    return bytes;
  }
  get dirty(): boolean {
    return this.all.some(({ store }) => store.dirty);
  }
  /** True if something committed is not on disk yet. */
  get unsettled(): boolean {
    return this.#unsettled;
  }
  /** True if some store has nothing to be rebuilt from. */
  get someUnlogged(): boolean {
    return this.all.some(({ log }) => log.kind === 'none');
  }
  get settledAtMs(): number {
    return this.#settledAtMs;
  }

  /** The callback that opened iterators has returned. */
  endRows(): void {
    if (!this.#rowsOpen) return; // asked after every record
    this.#rowsOpen = false;
    for (const { store } of this.all) store.endRows();
  }

  /** Lets rows go that are due, at most `rowsMax` of each store; returns how many. */
  expire(rowsMax: number): number {
    let gone = 0;
    for (const store of this.expiring) gone += store.expire(rowsMax);
    return gone;
  }

  /** Freezes the open span of every store, in order; logged ones into the outbox. Throws what the serde of a value says: then only `drop` helps. */
  close(): void {
    try {
      for (const { store, sink } of this.all) store.close(sink);
    } catch (error) {
      this.#refusal = error;
      throw error;
    }
  }

  /** True if a close has failed at a value, so that nobody knows the record: from now on, until a commit, each write is checked when it is made. */
  checkWritesAfter(error: unknown): boolean {
    if (error === undefined || this.#refusal !== error || this.#checksWrites) return false;
    this.#checkWrites(true);
    return true;
  }

  #checkWrites(on: boolean): void {
    this.#checksWrites = on;
    for (const { store } of this.all) store.checkWrites(on);
  }

  /** The closing span is committed: `ends` are its acknowledged changelog offsets, `inputs` its input positions by topic. */
  committed(ends: ReadonlyMap<OutputLane, LogPosition>, inputs: ReadonlyMap<string, LogPosition>): void {
    for (const one of this.all) {
      one.store.committed();
      const end = one.log.kind === 'changelog' ? ends.get(one.log.lane) : one.log.kind === 'sourceTopic' ? inputs.get(one.log.topic) : undefined;
      if (end === undefined) continue;
      assert(end.offset >= one.checkpointOffset, `the changelog of ${one.spec.name} went back from ${one.checkpointOffset} to ${end.offset}`);
      if (end.offset === one.checkpointOffset) continue; // the epoch of what was read before stays
      one.checkpointOffset = end.offset;
      one.leaderEpoch = end.leaderEpoch;
    }
    if (this.all.length > 0) this.#unsettled = true;
    if (this.#checksWrites) this.#checkWrites(false);
  }

  /** Step 10: committed writes and checkpoints, one batch. Throws ERR_STORE_IO with nothing written. */
  settle(nowMs: number, inputPositions: string): void {
    const batch = new WriteBatch();
    for (const one of this.all) {
      one.store.settle(batch);
      const memory = one.store.memory();
      putCheckpoint(batch, one.spec.name, {
        changelogOffset: one.checkpointOffset,
        topicId: one.topicId,
        leaderEpoch: one.leaderEpoch,
        ...memory,
        levelAtMs: nowMs,
        inputPositions,
      });
    }
    this.database.write(batch);
    for (const { store } of this.all) store.settled();
    this.#unsettled = false;
    this.#settledAtMs = nowMs;
  }

  /** Everything not on disk is forgotten; what was committed comes back from the changelog. */
  drop(): void {
    for (const { store } of this.all) store.drop();
    this.#unsettled = false;
  }

  setCacheMax(bytes: number): void {
    for (const { store } of this.all) store.setCacheMax(Math.floor(bytes / Math.max(1, this.all.length)));
  }
}

function openStore(options: TaskStoresOptions, name: string, onRows: () => void): TaskStore {
  const spec = options.topology.stores.get(name);
  assert(spec !== undefined, `no store ${name} in the topology`);
  const log = changeLogOf(options, spec);
  const { cursor, database } = options;
  const common = {
    name,
    key: spec.key,
    value: spec.value,
    database,
    topic: log.kind === 'none' ? undefined : log.topic,
    currentTimestamp: () => cursor.timestamp,
    logEveryWrite: options.logsEveryWrite(name),
    onRows,
  };
  const store =
    spec.kind === 'window'
      ? new StagedWindowStore({
          ...common,
          windowSizeMs: spec.windowSizeMs,
          retentionMs: spec.retentionMs,
          duplicates: spec.duplicates,
          holdsClosed: spec.holdsClosed,
          currentHeaders: spec.logsHeaders === true ? () => cursor.headers : undefined,
          onExpired: () => options.onExpired(name),
        })
      : spec.kind === 'session'
        ? new StagedSessionStore({ ...common, retentionMs: spec.retentionMs, holdsClosed: spec.holdsClosed, onExpired: () => options.onExpired(name) })
        : spec.kind === 'versioned'
          ? new StagedVersionedStore({ ...common, historyMs: spec.historyMs, onExpired: () => options.onExpired(name) })
          : keyValueStore(spec, {
              ...common,
              logEveryWrite: common.logEveryWrite && spec.isBuffer !== true,
              currentHeaders: changelogHeaders(spec, cursor),
              streamTime: () => cursor.streamTime,
              onExpired: () => options.onExpired(name),
            });
  return { spec, store, log, sink: log.kind === 'changelog' ? changelogSink(log.lane) : undefined, topicId: '', leaderEpoch: -1, checkpointOffset: 0 };
}

function keyValueStore(
  { entriesMax, ttlMs }: KeyValueSpec,
  options: KeyValueStoreOptions & { readonly streamTime: () => number; readonly onExpired: () => void },
): StagedKeyValueStore<unknown, unknown> {
  if (ttlMs !== undefined) return new ExpiringStore({ ...options, ttlMs, entriesMax });
  return entriesMax === undefined ? new StagedKeyValueStore(options) : new RecentRowsStore({ ...options, entriesMax });
}

function changelogHeaders(spec: KeyValueSpec, cursor: TaskCursor): ((present: boolean) => RecordHeaders) | undefined {
  const { changelogHeaders: fixed } = spec;
  if (fixed !== undefined) return (present) => (present ? fixed : noHeaders);
  return spec.logsHeaders === true ? () => cursor.headers : undefined;
}

function changeLogOf(options: TaskStoresOptions, spec: StoreSpec): ChangeLog {
  if (spec.sourceTopic !== undefined) return { kind: 'sourceTopic', topic: spec.sourceTopic };
  if (spec.changelog === false) return { kind: 'none' };
  const topic = topicName(options.applicationId, { name: `${spec.name}-changelog`, internal: true });
  return { kind: 'changelog', topic, lane: options.lane(topic, options.partition) };
}

function changelogSink(lane: OutputLane): ChangelogSink {
  return {
    append(key, value, timestamp, headers = noHeaders) {
      const keyBytes = asBuffer(key);
      const valueBytes = value === null ? null : asBuffer(value);
      const length = valueBytes?.length ?? 0;
      lane.room(keyBytes.length + length + headerBytes(headers) + 64).append(timestamp, keyBytes, 0, keyBytes.length, valueBytes, 0, length, headers);
    },
  };
}

/** At most what the headers take in a record. */
function headerBytes(headers: RecordHeaders): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += 3 * name.length + (value?.length ?? 0) + 10;
  return bytes;
}
