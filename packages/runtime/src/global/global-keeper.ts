// Keeps an instance's global stores: reads all partitions of their topics to the end before tasks run, then follows them.
// Where several threads can share a database it is one per instance, on the main thread; a memory engine has one in every worker.
// Owns: a consumer, and how far each partition has been taken.  Never: takes part in a transaction or in the group.
// K1 rows and the checkpoint of the partition they came from are one write batch.
// K2 rows do not tell their partition: if one partition cannot be trusted, the whole store is emptied and read again.
// K3 memory is bounded by what the consumer may buffer; the thread is given back after every fetched partition.
import type { FetchedPartition, LogAdmin, LogConsumer, PartitionStart, PollEvent } from '@millrace/client';
import {
  asBuffer,
  type Clock,
  explainError,
  type Logger,
  MillraceError,
  type Offset,
  partitionKey,
  sleep,
  type Timers,
  type TopicPartition,
} from '@millrace/core';
import { RecordReader } from '@millrace/protocol';
import { type Checkpoint, type Database, META_STORE, putCheckpoint, readCheckpoint, WriteBatch } from '@millrace/state';
import type { GlobalStore, Topology } from '@millrace/topology';
import { passes } from '../commit/failures.ts';
import { planRestore } from '../restore/plan.ts';
import type { GlobalRows } from './global-rows.ts';

export interface GlobalKeeperOptions {
  readonly topology: Topology;
  readonly database: Database;
  readonly rows: GlobalRows;
  readonly createConsumer: () => LogConsumer;
  readonly admin: LogAdmin;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
  /** It cannot go on; told once, and only after `start` has resolved. */
  readonly failed: (error: Error) => void;
  /** True once nobody waits for the start any more. */
  readonly abandoned: () => boolean;
}

/** One partition of a global topic. */
interface Part {
  readonly global: GlobalStore;
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  position: number;
  leaderEpoch: number;
}

/** What the brokers say of the topic's partitions, by `partitionKey`. */
interface LogBounds {
  readonly starts: ReadonlyMap<string, Offset>;
  readonly ends: ReadonlyMap<string, Offset>;
  readonly epochEnds: ReadonlyMap<string, Offset>;
  readonly deleteRetentionMs: number;
}

const POLL_MS = 500;
const CAUGHT_UP_MS = 10;
const DAY_MS = 86_400_000;

export class GlobalKeeper {
  readonly #options: GlobalKeeperOptions;
  readonly #parts = new Map<string, Part>();
  readonly #reader = new RecordReader();
  #consumer: LogConsumer | undefined;
  #loop: Promise<void> | undefined;
  #closed = false;

  constructor(options: GlobalKeeperOptions) {
    this.#options = options;
  }

  /** Resolves when every partition has been taken up to its end as of the call. Rejects with what stands in the way. */
  async start(): Promise<void> {
    const ends = await this.#prepare();
    const consumer = this.#options.createConsumer();
    this.#consumer = consumer;
    consumer.assign([...this.#parts.values()].map(({ topic, partition, position }): PartitionStart => ({ topic, partition, offset: position as Offset })));
    while (!this.#closed && !this.#isLevel(ends)) {
      if (this.#options.abandoned()) throw new MillraceError('ERR_ABORTED', 'closed while the global stores were read');
      await this.#turn(consumer);
    }
    this.#loop = this.#follow(consumer);
  }

  /** Resolves when everything that was in the topics at the call has been taken. */
  async caughtUp(): Promise<void> {
    const { admin, timers } = this.#options;
    const ends = await admin.listOffsets([...this.#parts.values()], 'latestStable');
    while (!this.#closed && !this.#isLevel(ends)) await sleep(timers, CAUGHT_UP_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#consumer?.wake();
    await this.#loop;
    await this.#consumer?.close();
    const { rows } = this.#options;
    // Says when the stores were last level, so that a later start need not distrust them for their age.
    if (this.#parts.size > 0) rows.settle((batch) => this.#checkpoint(batch, [...this.#parts.values()]));
    rows.close();
  }

  // ---- where to begin -------------------------------------------------------------------------------------------------

  async #prepare(): Promise<ReadonlyMap<string, Offset>> {
    const { admin, topology } = this.#options;
    const topics = topology.globals.map(({ topic }) => topic);
    const described = await admin.describeTopics(topics);
    for (const global of topology.globals) {
      const topic = described.get(global.topic);
      if (topic === undefined)
        throw new MillraceError('ERR_TOPIC_MISSING', `global store "${global.store}" is fed by topic ${global.topic}, which does not exist. Create it first.`, {
          topic: global.topic,
          store: global.store,
        });
      for (let partition = 0; partition < topic.partitions; partition++)
        this.#parts.set(partitionKey(global.topic, partition), {
          global,
          topic: global.topic,
          partition,
          topicId: topic.topicId,
          position: 0,
          leaderEpoch: -1,
        });
    }
    const parts = [...this.#parts.values()];
    const starts = await admin.listOffsets(parts, 'earliest');
    const ends = await admin.listOffsets(parts, 'latest');
    for (const global of topology.globals) {
      const deleteRetentionMs = Number((await admin.topicConfig(global.topic))['delete.retention.ms'] ?? DAY_MS);
      const mine = parts.filter((part) => part.global === global);
      const epochEnds = await admin.epochEnds(mine.flatMap((part) => this.#epochOf(part)));
      this.#beginAt(global, mine, { starts, ends, epochEnds, deleteRetentionMs });
    }
    return ends;
  }

  #epochOf(part: Part): readonly (TopicPartition & { readonly leaderEpoch: number })[] {
    const checkpoint = readCheckpoint(this.#options.database, checkpointName(part));
    if (checkpoint === undefined || checkpoint === 'corrupt' || checkpoint.leaderEpoch < 0) return [];
    return [{ topic: part.topic, partition: part.partition, leaderEpoch: checkpoint.leaderEpoch }];
  }

  #beginAt(global: GlobalStore, parts: readonly Part[], { starts, ends, epochEnds, deleteRetentionMs }: LogBounds): void {
    const { database, clock, log, rows } = this.#options;
    const hasRows = someRow(database, global.store);
    let distrust: string | undefined;
    for (const part of parts) {
      const key = partitionKey(part.topic, part.partition);
      const start = starts.get(key) ?? 0;
      const checkpoint = readCheckpoint(database, checkpointName(part));
      const plan = planRestore({
        log: { start, end: Math.max(start, ends.get(key) ?? 0), topicId: part.topicId },
        checkpoint,
        hasRows,
        nowMs: clock.nowMs(),
        deleteRetentionMs,
        epochEnd: epochEnds.get(key),
      });
      if (plan.kind === 'quarantine-and-replay') distrust = plan.reason;
      part.position = plan.from;
      part.leaderEpoch = checkpoint === undefined || checkpoint === 'corrupt' ? -1 : checkpoint.leaderEpoch;
    }
    if (distrust === undefined) return;
    if (hasRows) log.warn({ store: global.store, reason: distrust }, 'the local copy of a global store is not to be trusted and is read again');
    emptyStore(database, global.store, parts);
    rows.forget(global.store);
    for (const part of parts) part.position = starts.get(partitionKey(part.topic, part.partition)) ?? 0;
  }

  #isLevel(ends: ReadonlyMap<string, Offset>): boolean {
    for (const [key, part] of this.#parts) {
      // What no record stands for (markers, aborted and compacted records) counts as passed.
      const passed = Math.max(part.position, this.#consumer?.position(part) ?? 0);
      if (passed < (ends.get(key) ?? 0)) return false;
    }
    return true;
  }

  // ---- records ----------------------------------------------------------------------------------------------------------

  async #follow(consumer: LogConsumer): Promise<void> {
    try {
      while (!this.#closed) await this.#turn(consumer);
    } catch (error) {
      if (!this.#closed) this.#options.failed(error as Error);
    }
  }

  async #turn(consumer: LogConsumer): Promise<void> {
    for (const event of await consumer.poll(POLL_MS)) {
      if (event.kind === 'data') this.#take(event.data);
      else this.#trouble(event, consumer);
      await this.#options.timers.yield();
    }
  }

  #take(data: FetchedPartition): void {
    const part = this.#parts.get(partitionKey(data.topic, data.partition));
    try {
      if (part === undefined || this.#closed || data.nextOffset <= part.position) return;
      for (const view of data.batches) {
        const reader = this.#reader.reset(view);
        while (reader.next()) if (reader.offset >= part.position) this.#options.rows.take(part.topic, part.partition, reader);
      }
      part.position = data.nextOffset;
      part.leaderEpoch = data.leaderEpoch;
      this.#options.rows.settle((batch) => this.#checkpoint(batch, [part]));
    } finally {
      data.release();
    }
  }

  #checkpoint(batch: WriteBatch, parts: readonly Part[]): void {
    const levelAtMs = this.#options.clock.nowMs();
    for (const part of parts) {
      const { position, topicId, leaderEpoch } = part;
      const checkpoint: Checkpoint = { changelogOffset: position, topicId, leaderEpoch, observedTime: -1, duplicates: 0, levelAtMs };
      putCheckpoint(batch, checkpointName(part), checkpoint);
    }
  }

  #trouble(event: Exclude<PollEvent, { kind: 'data' }>, consumer: LogConsumer): void {
    if (event.kind === 'failed' && passes(event.error)) {
      this.#options.log.warn({ topic: event.topic, partition: event.partition }, `a global topic cannot be read just now: ${explainError(event.error)}`);
      const part = this.#parts.get(partitionKey(event.topic, event.partition));
      // Only a partition that moves is fetched again: left out once, then named anew.
      const all = [...this.#parts.values()].map(({ topic, partition, position }): PartitionStart => ({ topic, partition, offset: position as Offset }));
      consumer.assign(all.filter((start) => start.topic !== part?.topic || start.partition !== part.partition));
      consumer.assign(all);
      return;
    }
    if (event.kind === 'failed') throw event.error;
    throw new MillraceError(
      'ERR_CHANGELOG_TRUNCATED',
      `global topic ${event.topic} ${event.kind === 'recreated' ? 'was deleted and made again' : 'no longer holds what comes next'}. Start the instance again: its copy is then read anew.`,
      { topic: event.topic },
    );
  }
}

/** Each partition has a checkpoint of its own beside the store's. */
function checkpointName({ global, partition }: Part): string {
  return `${global.store}@${partition}`;
}

function someRow(database: Database, store: string): boolean {
  const rows = database.store(store).scan({ limit: 1 });
  try {
    return rows.next();
  } finally {
    rows.close();
  }
}

function emptyStore(database: Database, store: string, parts: readonly Part[]): void {
  const batch = new WriteBatch();
  const last = database.store(store).scan({ reverse: true, limit: 1 });
  if (last.next()) batch.deleteRange(store, Buffer.alloc(0), Buffer.concat([last.key, Buffer.from([0])]));
  last.close();
  for (const part of parts) batch.delete(META_STORE, asBuffer(Buffer.from(`checkpoint/${checkpointName(part)}`, 'utf8')));
  database.write(batch);
}
