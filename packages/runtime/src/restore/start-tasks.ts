// Begins the lives of tasks: from an assignment, or after a drop. The order is the point (design, "Restore"):
// transactional ids of the vanished are initialised; then committed offsets, which waits out pending transactions; then log ends;
// then stores are replayed up to there by position; then the task may run.
// Owns: nothing.  Never: lets a task run before every store of it is level.
import type { CommittedOffset, LogAdmin, OffsetSpec } from '@millrace/client';
import { asBuffer, type Clock, type Logger, MillraceError, type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import type { RecordReader } from '@millrace/protocol';
import { type Checkpoint, META_STORE, readCheckpoint, WriteBatch } from '@millrace/state';
import type { SourceNode } from '@millrace/topology';
import { decodeOffsetMetadata } from '../commit/offset-metadata.ts';
import { createDecoder } from '../task/decode.ts';
import type { RecordQueue } from '../task/record-queue.ts';
import type { Task } from '../task/task.ts';
import type { TaskStore } from '../task/task-stores.ts';
import type { WorkerTrace } from '../worker-ports.ts';
import { planRestore } from './plan.ts';
import type { Restorer, SourceRow } from './restorer.ts';

export interface StartOptions {
  readonly admin: LogAdmin;
  readonly restorer: Restorer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly groupId: string;
  readonly exactlyOnce: boolean;
  readonly fence: readonly string[];
  /** Inputs come and go with what patterns match: one that is new has no committed offset, whatever the stores hold. */
  readonly inputsVary?: boolean;
  readonly trace: WorkerTrace | undefined;
  /** True while the task is still wanted in this life. */
  readonly wanted: (task: Task) => boolean;
  /** All stores are level and the queues stand at their positions. */
  readonly ready: (task: Task) => void;
}

/** Resolves when every task is ready or no longer wanted. Rejects with the first error that is not about a task nobody wants. */
export async function startTasks(tasks: readonly Task[], options: StartOptions): Promise<void> {
  if (tasks.length === 0) return;
  const { admin, trace } = options;
  for (const id of options.fence) await admin.fenceTransactionalId(id);
  trace?.onPoint?.('fenced');
  const queues = tasks.flatMap((task) => task.group.queues);
  const committed = await admin.committedOffsets(options.groupId, queues);
  const positions = await startPositions(queues, committed, options);
  const logs = await describeLogs(tasks, options);
  await Promise.all(tasks.map((task) => startTask(task, positions, committed, logs, options)));
}

interface LogFacts {
  readonly starts: ReadonlyMap<string, Offset>;
  readonly ends: ReadonlyMap<string, Offset>;
  /** Of the epochs that checkpoints name. */
  readonly epochEnds: ReadonlyMap<string, Offset>;
  readonly topicIds: ReadonlyMap<string, string>;
  readonly deleteRetentionMs: ReadonlyMap<string, number>;
}

const DAY_MS = 86_400_000;

async function describeLogs(tasks: readonly Task[], options: StartOptions): Promise<LogFacts> {
  const partitions: TopicPartition[] = tasks.flatMap((task) =>
    task.stores.all.flatMap(({ log }) => (log.kind === 'none' ? [] : [{ topic: log.topic, partition: task.partition }])),
  );
  const topics = [...new Set(partitions.map(({ topic }) => topic))];
  if (partitions.length === 0) return { starts: new Map(), ends: new Map(), epochEnds: new Map(), topicIds: new Map(), deleteRetentionMs: new Map() };
  const described = await options.admin.describeTopics(topics);
  for (const topic of topics) {
    if (!described.has(topic))
      throw new MillraceError(
        'ERR_TOPIC_MISSING',
        `changelog topic ${topic} does not exist. It is created at start; if it was deleted, delete the local state as well, or restore the topic`,
        { topic },
      );
  }
  const starts = await options.admin.listOffsets(partitions, 'earliest');
  // The log end, not the last stable offset: a marker may be late here, and replaying waits for it.
  const ends = await options.admin.listOffsets(partitions, 'latest');
  // Only of tasks that are still here: the databases of others are closed by now.
  const epochEnds = await options.admin.epochEnds(tasks.filter(options.wanted).flatMap((task) => task.stores.all.flatMap((store) => epochOf(task, store))));
  const retentions = await Promise.all(
    topics.map(async (topic) => [topic, Number((await options.admin.topicConfig(topic))['delete.retention.ms'] ?? DAY_MS)] as const),
  );
  const topicIds = new Map([...described].map(([name, { topicId }]) => [name, topicId]));
  return { starts, ends, epochEnds, topicIds, deleteRetentionMs: new Map(retentions) };
}

/** Under which epoch the store stood where its checkpoint says: a leader elected uncleanly may not have what was written then (KIP-320). */
function epochOf(task: Task, { log, spec }: TaskStore): readonly (TopicPartition & { readonly leaderEpoch: number })[] {
  if (log.kind === 'none' || task.distrusted.has(spec.name)) return [];
  const checkpoint = readCheckpoint(task.stores.database, spec.name);
  if (checkpoint === undefined || checkpoint === 'corrupt' || checkpoint.leaderEpoch < 0) return [];
  return [{ topic: log.topic, partition: task.partition, leaderEpoch: checkpoint.leaderEpoch }];
}

async function startTask(
  task: Task,
  positions: ReadonlyMap<string, number>,
  committed: ReadonlyMap<string, CommittedOffset>,
  logs: LogFacts,
  options: StartOptions,
): Promise<void> {
  try {
    if (!options.wanted(task)) return;
    const identity = readIdentity(task);
    const own = `${options.groupId}/${task.id}`;
    if (identity !== undefined && identity !== own) {
      options.log.warn({ task: task.id, found: identity }, 'the local state is that of another task and is rebuilt from the changelogs');
      task.distrust(undefined);
    }
    const isTakenOver = options.inputsVary === true && hasOtherInputs(task); // as the disk says before it is restored
    const hasRows = await Promise.all(task.stores.all.map((store) => restoreStore(task, store, positions, logs, options)));
    if (!options.wanted(task)) return;
    if (identity !== own) writeIdentity(task, own); // now that all of its stores are its own
    if (!isTakenOver) refuseExpiredOffsets(task, committed, hasRows, options);
    task.progress.clear();
    let pendingTold = 0;
    for (const queue of task.group.queues) {
      const key = partitionKey(queue.topic, queue.partition);
      const { partitionTime, processors, pendingOutside = 0 } = decodeOffsetMetadata(committed.get(key)?.metadata ?? '');
      pendingTold = Math.max(pendingTold, pendingOutside);
      queue.start(positions.get(key) ?? 0, partitionTime);
      for (const [name, value] of processors) task.progress.set(name, Math.max(value, task.progress.get(name) ?? value));
    }
    options.trace?.onPoint?.('restored');
    options.ready(task);
    // At-least-once: calls that the committed offsets still tell of have been answered, and what that made was written, but the commit that says so was refused.
    if (pendingTold !== task.pendingOutside) task.commitAgain();
  } catch (error) {
    if (options.wanted(task)) throw error;
  }
}

const IDENTITY_KEY = Buffer.from('task', 'utf8');

/** Whose state the database says it holds: a folder may have been copied or moved. Undefined: it does not say. */
function readIdentity({ stores }: Task): string | undefined {
  return stores.all.length === 0 ? undefined : stores.database.store(META_STORE).get(IDENTITY_KEY)?.toString('utf8');
}

function writeIdentity({ stores }: Task, identity: string): void {
  if (stores.all.length === 0) return;
  const batch = new WriteBatch();
  batch.put(META_STORE, asBuffer(IDENTITY_KEY), Buffer.from(identity, 'utf8'));
  stores.database.write(batch);
}

/** Makes one store level; true if it holds rows then. */
async function restoreStore(task: Task, store: TaskStore, positions: ReadonlyMap<string, number>, logs: LogFacts, options: StartOptions): Promise<boolean> {
  if (!options.wanted(task)) return false;
  const { database } = task.stores;
  const checkpoint = task.distrusted.has(store.spec.name) ? 'corrupt' : readCheckpoint(database, store.spec.name);
  if (checkpoint !== undefined && checkpoint !== 'corrupt') store.store.restoreMemory(checkpoint);
  const { log } = store;
  if (log.kind === 'none') {
    reportUnlogged(task, store, checkpoint, positions, options.log);
    return false;
  }
  const key = partitionKey(log.topic, task.partition);
  store.topicId = logs.topicIds.get(log.topic) ?? '';
  const nowMs = options.clock.nowMs();
  for (let attempt = 1; ; attempt++) {
    const start =
      attempt === 1
        ? (logs.starts.get(key) ?? 0)
        : ((await options.admin.listOffsets([{ topic: log.topic, partition: task.partition }], 'earliest')).get(key) ?? 0);
    if (!options.wanted(task)) return false; // whoever has it now may be writing
    const logEnd = logs.ends.get(key) ?? 0;
    // A table must not hold what its task has not processed: a source topic ends at the committed position.
    const end = log.kind === 'sourceTopic' ? Math.max(start, Math.min(logEnd, positions.get(key) ?? 0)) : Math.max(start, logEnd);
    const hasRows = someRow(task, store);
    const plan = planRestore({
      log: { start, end, topicId: store.topicId },
      checkpoint: attempt === 1 ? checkpoint : undefined,
      hasRows,
      nowMs,
      deleteRetentionMs: logs.deleteRetentionMs.get(log.topic) ?? DAY_MS,
      epochEnd: logs.epochEnds.get(key),
    });
    if (plan.kind === 'quarantine-and-replay') {
      if (hasRows || checkpoint !== undefined)
        options.log.warn(
          { task: task.id, store: store.spec.name, reason: plan.reason },
          'the local copy of the store is not to be trusted and is rebuilt from its changelog',
        );
      emptyStore(task, store);
      store.store.restoreMemory({ observedTime: -1, duplicates: 0 });
    }
    const trusted = plan.kind !== 'quarantine-and-replay' && checkpoint !== undefined && checkpoint !== 'corrupt' ? checkpoint : undefined;
    store.leaderEpoch = trusted?.leaderEpoch ?? -1;
    const to = plan.kind === 'up-to-date' ? plan.from : plan.to;
    const readSource = log.kind === 'sourceTopic' ? sourceReader(task, log.topic) : undefined;
    try {
      await options.restorer.restore({
        taskId: task.id,
        stores: task.stores,
        store,
        topic: log.topic,
        partition: task.partition,
        from: plan.from,
        to,
        levelAtMs: trusted?.levelAtMs ?? nowMs,
        readSource,
      });
      return options.wanted(task) && someRow(task, store);
    } catch (error) {
      if (!MillraceError.is(error) || error.code !== 'ERR_CHANGELOG_TRUNCATED' || attempt >= 3) throw error;
      emptyStore(task, store);
    }
  }
}

function someRow(task: Task, { spec }: TaskStore): boolean {
  const rows = task.stores.database.store(spec.name).scan({ limit: 1 });
  try {
    return rows.next();
  } finally {
    rows.close();
  }
}

/** Deletes every row and, in the same batch, the checkpoint: a crash right after leaves an empty store that says so. */
function emptyStore(task: Task, { spec }: TaskStore): void {
  const { database } = task.stores;
  const last = database.store(spec.name).scan({ reverse: true, limit: 1 });
  const batch = new WriteBatch();
  try {
    if (last.next()) batch.deleteRange(spec.name, Buffer.alloc(0), Buffer.concat([last.key, Buffer.from([0])]));
  } finally {
    last.close();
  }
  batch.delete(META_STORE, asBuffer(Buffer.from(`checkpoint/${spec.name}`, 'utf8')));
  database.write(batch);
}

/** Looks at a record of a source topic the way its source does: what it would skip does not reach the store either. */
function sourceReader(task: Task, topic: string): (reader: RecordReader) => SourceRow {
  const queue = task.group.queues.find((one) => one.topic === topic);
  if (queue === undefined)
    throw new MillraceError('ERR_TOPOLOGY', `topic ${topic} serves as the changelog of a store of task ${task.id}, which does not read it`, { topic });
  const { source } = queue;
  const decoder = createDecoder(source, topic);
  let partitionTime = -1;
  return (reader) => {
    try {
      const key = decoder.key(reader);
      const value = decoder.value(reader);
      const timestamp = timeOf(source, queue, reader, key, value, partitionTime);
      if (timestamp < 0) return undefined;
      partitionTime = Math.max(partitionTime, timestamp);
      return { timestamp };
    } catch {
      return undefined; // its offset has been committed, so a policy has passed it over (and dead letters are not written twice)
    }
  };
}

function timeOf(source: SourceNode, queue: RecordQueue, reader: RecordReader, key: unknown, value: unknown, partitionTime: number): number {
  const { timestamp: extract } = source;
  const { topic, partition } = queue;
  const time =
    typeof extract === 'function'
      ? extract(value, key, {
          timestamp: reader.timestamp,
          headers: reader.headers(),
          streamTime: partitionTime,
          taskId: '',
          source: { topic, partition, offset: reader.offset },
        })
      : reader.timestamp;
  return time < 0 && source.onInvalidTimestamp === 'partitionTime' ? partitionTime : time;
}

function reportUnlogged(
  task: Task,
  store: TaskStore,
  checkpoint: Checkpoint | 'corrupt' | undefined,
  positions: ReadonlyMap<string, number>,
  log: Logger,
): void {
  const seen = checkpoint === undefined || checkpoint === 'corrupt' ? undefined : checkpoint.inputPositions;
  const held: Record<string, number> = seen === undefined ? {} : (JSON.parse(seen) as Record<string, number>);
  for (const { topic, partition } of task.group.queues) {
    const key = partitionKey(topic, partition);
    const position = positions.get(key) ?? 0;
    if ((held[key] ?? 0) < position)
      log.warn(
        { task: task.id, store: store.spec.name, input: key, holds: held[key] ?? 0, committed: position },
        'a store without a changelog is behind its input: what it missed is gone',
      );
  }
}

/** Under exactly-once committed changelog data cannot be without committed offsets, unless these have expired: going on would count twice. */
function refuseExpiredOffsets(task: Task, committed: ReadonlyMap<string, CommittedOffset>, hasRows: readonly boolean[], options: StartOptions): void {
  if (!options.exactlyOnce) return;
  const logged = task.stores.all.some((store, index) => store.log.kind === 'changelog' && hasRows[index] === true);
  if (!logged || task.group.queues.some(({ topic, partition }) => committed.has(partitionKey(topic, partition)))) return;
  throw new MillraceError(
    'ERR_OFFSETS_EXPIRED',
    `task ${task.id} has state in its changelog, but group ${options.groupId} has no committed offsets for its input: they have expired (offsets.retention.minutes), or the topology has changed and feeds the store from another topic. Reading from the start would count everything again. Set the group's offsets by hand, take the former topology back, or start with a new applicationId.`,
    { task: task.id, group: options.groupId },
  );
}

/** What lies on the disk was made from topics that are gone, and none of those read now had a part in it. */
function hasOtherInputs({ stores, group }: Task): boolean {
  const made = new Set<string>();
  for (const { spec } of stores.all) {
    const checkpoint = readCheckpoint(stores.database, spec.name);
    if (checkpoint === undefined || checkpoint === 'corrupt' || checkpoint.inputPositions === undefined) continue;
    const positions = JSON.parse(checkpoint.inputPositions) as Readonly<Record<string, number>>;
    for (const [input, position] of Object.entries(positions)) if (position > 0) made.add(input);
  }
  return made.size > 0 && !group.queues.some(({ topic, partition }) => made.has(partitionKey(topic, partition)));
}

// ---- where input begins ---------------------------------------------------------------------------------------------

async function startPositions(
  queues: readonly RecordQueue[],
  committed: ReadonlyMap<string, CommittedOffset>,
  options: StartOptions,
): Promise<ReadonlyMap<string, number>> {
  const positions = new Map<string, number>();
  const unknown = new Map<string, { readonly at: OffsetSpec; readonly queues: RecordQueue[] }>();
  for (const queue of queues) {
    const key = partitionKey(queue.topic, queue.partition);
    const known = committed.get(key);
    if (known !== undefined) {
      positions.set(key, known.offset);
      continue;
    }
    const at = firstOffsetOf(queue, options.clock.nowMs());
    const name = JSON.stringify(at);
    const group = unknown.get(name) ?? { at, queues: [] };
    group.queues.push(queue);
    unknown.set(name, group);
  }
  for (const { at, queues: wanted } of unknown.values()) {
    const offsets = await options.admin.listOffsets(wanted, at);
    for (const queue of wanted)
      positions.set(partitionKey(queue.topic, queue.partition), Math.max(0, offsets.get(partitionKey(queue.topic, queue.partition)) ?? 0));
  }
  return positions;
}

/** Where a partition without a committed offset begins. Repartition topics always at their start: records there are ours. */
export function firstOffsetOf(queue: Pick<RecordQueue, 'topic' | 'partition' | 'source'>, nowMs: number): OffsetSpec {
  const { source, topic, partition } = queue;
  const from = source.topics.some((ref) => ref.internal) ? 'earliest' : source.startFrom;
  if (typeof from === 'object') return { atMs: nowMs - from.agoMs };
  if (from !== 'fail') return from;
  throw new MillraceError(
    'ERR_OFFSET_OUT_OF_RANGE',
    `there is no committed offset for ${topic}-${partition} that the log still holds, and startFrom is 'fail'. Set the group's offsets, or choose 'earliest' or 'latest'.`,
    { topic, partition },
  );
}
