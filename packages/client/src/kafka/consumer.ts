// LogConsumer over Kafka: fetches the assigned partitions from their leaders, ahead of `poll` within a byte bound.
// Owns: cursors and their positions, when to ask for what.  Never: knows groups, commits, decodes a record, throws from a callback.
// F1 no partition waits long for the parked fetch of another (fetch-lanes.ts).
// F2 held bytes ≤ bufferedBytesMax + one fetch of each partition that holds nothing: no partition starves because another's data is not used yet.
// F3 the next offset comes from batch headers; what may not be seen still moves it.
// F4 data of a cursor that is no longer live is dropped when it arrives.
// Source: KIP-227 (we stay sessionless), KIP-320, KIP-516.
import { backoffMs, MillraceError, type Offset, partitionKey, type Timer, type TopicPartition } from '@millrace/core';
import { APIS, NO_UUID, type RecordBatchView, readBatches } from '@millrace/protocol';
import type { FilledConsumerOptions } from '../options.ts';
import type { LogConsumer, PartitionStart, PollEvent } from '../port.ts';
import { checkOrder } from './batch-order.ts';
import type { KafkaCluster } from './cluster.ts';
import { kafkaCodeOf, kafkaFailure, responseTo } from './error-response.ts';
import { eachPart, fetchRequest, fetchVersionMax, type PartitionPart, topicIdOf } from './fetch-exchange.ts';
import { EXTRA_LANE_WAIT_MS, FetchLanes, type Lane } from './fetch-lanes.ts';
import type { PooledFrame } from './frame-pool.ts';
import { visibleBatches } from './isolation-filter.ts';
import { EARLIEST, LATEST, listOffsets } from './list-offsets.ts';
import { FetchedRun, PartitionCursor } from './partition-cursor.ts';
import { PollQueue } from './poll-queue.ts';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MS_MAX = 1_000;
/** An answer below this is small: pause before asking again. */
const SMALL_ANSWER_BYTES = 16 * 1024;
const OFFSET_OUT_OF_RANGE = 1;
const CORRUPT_MESSAGE = 2;
const UNKNOWN_TOPIC = 3;
const UNKNOWN_TOPIC_ID = 100;
/** What an event without batches counts for, so that a long aborted stretch cannot fill the memory with events. */
const EMPTY_RUN_BYTES = 512;

export class KafkaConsumer implements LogConsumer {
  readonly #cluster: KafkaCluster;
  readonly #options: FilledConsumerOptions;
  readonly #cursors = new Map<string, PartitionCursor>();
  readonly #lanes = new FetchLanes();
  readonly #queue: PollQueue;
  /** Topic ids as first seen under this assignment: another one later means that the topic was made again. */
  readonly #topicIds = new Map<string, string>();
  #heldBytes = 0;
  #assignment = 0;
  #pumpQueued = false;
  #retryTimer: Timer | undefined;
  #refreshTimer: Timer | undefined;
  #refreshing = false;
  #refreshFailures = 0;
  #started = false;
  #closed = false;

  constructor(cluster: KafkaCluster, options: FilledConsumerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#queue = new PollQueue(cluster.ports.timers);
  }

  // ---- the port -----------------------------------------------------------------------------------------------------

  assign(partitions: readonly PartitionStart[]): number {
    this.#assignment++;
    const wanted = new Set(partitions.map(({ topic, partition }) => partitionKey(topic, partition)));
    for (const [key, cursor] of this.#cursors) if (!wanted.has(key)) this.#retire(key, cursor);
    for (const { topic, partition, offset } of partitions) {
      const key = partitionKey(topic, partition);
      const old = this.#cursors.get(key);
      if (old !== undefined && !old.stopped && old.position === offset) continue;
      if (old !== undefined) this.#retire(key, old);
      this.#cursors.set(key, new PartitionCursor(topic, partition, offset));
    }
    const topics = new Set(partitions.map(({ topic }) => topic));
    for (const topic of this.#topicIds.keys()) if (!topics.has(topic)) this.#topicIds.delete(topic);
    this.#cluster.want(topics);
    this.#pumpSoon();
    return this.#assignment;
  }

  pause(partition: TopicPartition): void {
    const cursor = this.#cursor(partition);
    if (cursor !== undefined) cursor.paused = true;
  }

  resume(partition: TopicPartition): void {
    const cursor = this.#cursor(partition);
    if (cursor === undefined || !cursor.paused) return;
    cursor.paused = false;
    this.#queue.notify();
    this.#pumpSoon();
  }

  position(partition: TopicPartition): Offset | undefined {
    return this.#cursor(partition)?.position;
  }

  endOffset(partition: TopicPartition): Offset | undefined {
    const cursor = this.#cursor(partition);
    return this.#options.isolation === 'read_committed' ? cursor?.lastStableOffset : cursor?.highWatermark;
  }

  get bufferedBytes(): number {
    return this.#heldBytes;
  }

  get idleBytes(): number {
    return this.#cluster.idleFrameBytes;
  }

  poll(maxWaitMs: number): Promise<readonly PollEvent[]> {
    return this.#queue.poll(this.#closed ? 0 : maxWaitMs, () => this.#assignment);
  }

  wake(): void {
    this.#queue.wake();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    for (const [key, cursor] of this.#cursors) this.#retire(key, cursor);
    this.#retryTimer?.cancel();
    this.#refreshTimer?.cancel();
    this.#cluster.close();
    this.#queue.wake();
    return Promise.resolve();
  }

  #cursor({ topic, partition }: TopicPartition): PartitionCursor | undefined {
    return this.#cursors.get(partitionKey(topic, partition));
  }

  #retire(key: string, cursor: PartitionCursor): void {
    cursor.live = false;
    this.#cursors.delete(key);
    this.#queue.drop(cursor);
  }

  readonly #released = (run: FetchedRun): void => {
    run.cursor.heldBytes -= run.bytes;
    this.#heldBytes -= run.bytes;
    this.#pumpSoon();
  };

  // ---- asking -------------------------------------------------------------------------------------------------------

  #pumpSoon(): void {
    if (this.#pumpQueued || this.#closed) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      if (!this.#closed) this.#pump();
    });
  }

  /** Starts a fetch on every idle lane that has something to ask. */
  #pump(): void {
    const nowMs = this.#cluster.ports.clock.monotonicMs();
    const byNode = new Map<number, PartitionCursor[]>();
    let leaderless = false;
    let recreated = false;
    let retryAtMs = Number.POSITIVE_INFINITY;
    for (const cursor of this.#cursors.values()) {
      if (!this.#isFetchable(cursor)) continue;
      if (cursor.retryAtMs > nowMs) {
        retryAtMs = Math.min(retryAtMs, cursor.retryAtMs);
        continue;
      }
      const leader = this.#cluster.topic(cursor.topic)?.leaders[cursor.partition];
      if (leader === undefined) {
        leaderless = true;
        continue;
      }
      if (!this.#topicIds.has(cursor.topic)) this.#topicIds.set(cursor.topic, topicIdOf(this.#cluster, cursor.topic));
      if (this.#isRecreated(cursor)) {
        recreated = true;
        continue;
      }
      if (cursor.lastEpoch >= 0 && cursor.leaderEpoch >= 0 && leader.epoch > cursor.leaderEpoch) {
        void this.#checkTruncation(cursor, leader.nodeId, leader.epoch);
        continue;
      }
      const group = byNode.get(leader.nodeId);
      if (group === undefined) byNode.set(leader.nodeId, [cursor]);
      else group.push(cursor);
    }
    for (const [nodeId, cursors] of byNode) {
      const lane = this.#lanes.choose(nodeId);
      if (lane !== undefined) void this.#fetch(lane, cursors);
    }
    if (recreated) this.#noticeRecreated();
    if (leaderless || this.#cluster.stale) this.#refreshMetadata();
    if (retryAtMs < Number.POSITIVE_INFINITY) this.#pumpAt(retryAtMs - nowMs);
  }

  #isFetchable(cursor: PartitionCursor): boolean {
    if (cursor.paused || cursor.stopped || cursor.busy) return false;
    if (cursor.heldBytes === 0) return true;
    return cursor.heldBytes < this.#options.fetchBytesMax * 2 && this.#heldBytes < this.#options.bufferedBytesMax;
  }

  #pumpAt(delayMs: number): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#cluster.ports.timers.after(Math.max(1, Math.ceil(delayMs)), () => {
      this.#retryTimer = undefined;
      if (!this.#closed) this.#pump();
    });
  }

  async #fetch(lane: Lane, cursors: readonly PartitionCursor[]): Promise<void> {
    lane.state = 'parked';
    for (const cursor of cursors) cursor.busy = true;
    let bytes = 0;
    try {
      bytes = await this.#ask(lane, cursors);
    } catch (error) {
      this.#laneFailed(cursors, error);
    }
    for (const cursor of cursors) cursor.busy = false;
    lane.empty = bytes === 0;
    const { gatherMs } = this.#options;
    if (bytes >= SMALL_ANSWER_BYTES || gatherMs === 0 || this.#closed) lane.state = 'free';
    else {
      lane.state = 'resting';
      this.#cluster.ports.timers.after(gatherMs, () => {
        lane.state = 'free';
        this.#pumpSoon();
      });
    }
    this.#pumpSoon();
  }

  /** One fetch; returns the bytes of records that came. */
  async #ask(lane: Lane, cursors: readonly PartitionCursor[]): Promise<number> {
    const { fetchMaxWaitMs, bufferedBytesMax } = this.#options;
    const connection = await this.#cluster.connectionTo(lane.nodeId, lane.extra ? 'fetch-extra' : 'fetch');
    if (cursors.some((cursor) => this.#isRecreated(cursor))) return 0; // while it connected: the next look reports it
    const waitMs = lane.extra ? Math.min(EXTRA_LANE_WAIT_MS, fetchMaxWaitMs) : fetchMaxWaitMs;
    const request = fetchRequest(this.#cluster, this.#options, cursors, waitMs, bufferedBytesMax - this.#heldBytes);
    const versionMax = fetchVersionMax(this.#cluster, cursors);
    const timeoutMs = this.#cluster.options.requestTimeoutMs + waitMs;
    const { body, frame } = await connection.requestPooled(APIS.fetch, request, versionMax === undefined ? { timeoutMs } : { timeoutMs, versionMax });
    try {
      if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, 'Fetch');
      let bytes = 0;
      let filled = 0;
      let cut: PartitionCursor | undefined;
      eachPart(this.#cluster, body, cursors, (cursor, part) => {
        if (part.errorCode !== 0) return this.#partitionFailed(cursor, part);
        const taken = this.#take(cursor, part, frame);
        if ((part.records?.length ?? 0) > 0) filled++;
        if (taken === 'cut') cut = cursor;
        else bytes += taken;
      });
      // A broker cuts the first batch of a partition only behind the data of another (KIP-74).
      if (cut !== undefined && filled === 1) this.#corrupt(cut, 'the length of the batch goes past what the broker has of it');
      return bytes;
    } finally {
      frame?.release();
    }
  }

  // ---- taking answers -----------------------------------------------------------------------------------------------

  /** Returns the bytes of records that came; `cut`: not one whole batch. */
  #take(cursor: PartitionCursor, part: PartitionPart, frame: PooledFrame | undefined): number | 'cut' {
    cursor.highWatermark = Math.max(0, part.highWatermark) as Offset;
    cursor.lastStableOffset = (part.lastStableOffset < 0 ? cursor.highWatermark : part.lastStableOffset) as Offset;
    cursor.logStart = Math.max(0, part.logStartOffset) as Offset;
    cursor.failures = 0;
    const records = part.records;
    if (records === null || records.length === 0) return 0;
    let views: RecordBatchView[];
    let visible: readonly RecordBatchView[];
    try {
      views = readBatches(records, 0, records.length, { checkCrc: true });
      checkOrder(views, cursor.fetchOffset);
      visible = visibleBatches(views, cursor.fetchOffset, this.#options.isolation === 'read_committed' ? (part.abortedTransactions ?? []) : undefined);
    } catch (error) {
      this.#corrupt(cursor, error);
      return records.length;
    }
    const last = views[views.length - 1];
    if (last === undefined) return 'cut';
    if (last.lastOffset >= cursor.highWatermark && cursor.beyondAt !== cursor.fetchOffset) {
      cursor.beyondAt = cursor.fetchOffset; // the log may have grown while the broker read it: asked again, the answer is level
      return 0;
    }
    if (last.lastOffset >= cursor.highWatermark) {
      this.#corrupt(cursor, `a batch says that it ends at offset ${last.lastOffset}, and the log ends before ${cursor.highWatermark}`);
      return records.length;
    }
    cursor.lastEpoch = last.leaderEpoch;
    // A marker or an aborted run at the end is news too: the position passes it, and a restore ends there.
    const bytes = visible.length === 0 ? EMPTY_RUN_BYTES : records.length;
    const run = new FetchedRun(cursor, visible, (last.lastOffset + 1) as Offset, bytes, visible.length === 0 ? undefined : frame, this.#released);
    cursor.fetchOffset = run.nextOffset;
    cursor.heldBytes += bytes;
    this.#heldBytes += bytes;
    // Behind the others in the next request: who got data lets the rest go first.
    const key = partitionKey(cursor.topic, cursor.partition);
    this.#cursors.delete(key);
    this.#cursors.set(key, cursor);
    this.#queue.offer(run);
    return records.length;
  }

  #corrupt(cursor: PartitionCursor, reason: unknown): void {
    const { topic, partition, fetchOffset } = cursor;
    if (cursor.corruptAt !== fetchOffset) {
      cursor.corruptAt = fetchOffset;
      this.#backOff(cursor);
      return;
    }
    const message = `A record batch of ${partitionKey(topic, partition)} at or after offset ${fetchOffset} is damaged, twice in a row. The log on the broker is damaged there, or something between changes bytes.`;
    this.#stop(cursor, new MillraceError('ERR_RECORD_BATCH_CORRUPT', message, { topic, partition, offset: fetchOffset }, reason));
  }

  // ---- failures -----------------------------------------------------------------------------------------------------

  #laneFailed(cursors: readonly PartitionCursor[], error: unknown): void {
    if (this.#closed) return;
    const { log, clock } = this.#cluster.ports;
    log.debug({ error: String(error) }, 'fetch failed; trying again');
    for (const cursor of cursors) {
      this.#backOff(cursor);
      const lastingMs = clock.monotonicMs() - cursor.failingSinceMs;
      // What cannot pass stops at once; bytes that make no sense, when they go on coming; a broker that is away is waited for.
      const code = kafkaCodeOf(error);
      if (!MillraceError.is(error)) this.#stop(cursor, error instanceof Error ? error : new Error(String(error)));
      else if (code !== undefined) {
        if (responseTo(code).reaction === 'fail') this.#stop(cursor, error);
      } else if (error.code === 'ERR_PROTOCOL' ? lastingMs > this.#cluster.options.requestTimeoutMs : error.response === 'stop') this.#stop(cursor, error);
    }
    this.#refreshMetadata();
  }

  #partitionFailed(cursor: PartitionCursor, part: PartitionPart): void {
    const { topic, partition } = cursor;
    const code = part.errorCode;
    if (code === OFFSET_OUT_OF_RANGE) return void this.#outOfRange(cursor);
    const failure = kafkaFailure(code, `Fetching ${partitionKey(topic, partition)} at offset ${cursor.fetchOffset}`, {
      topic,
      partition,
      offset: cursor.fetchOffset,
    });
    const { reaction } = responseTo(code);
    if (reaction === 'fail') {
      this.#stop(cursor, failure);
      return;
    }
    if (code === CORRUPT_MESSAGE) {
      this.#corrupt(cursor, failure);
      return;
    }
    this.#backOff(cursor);
    const gone = code === UNKNOWN_TOPIC || code === UNKNOWN_TOPIC_ID;
    if (gone && this.#cluster.ports.clock.monotonicMs() - cursor.failingSinceMs > this.#cluster.options.requestTimeoutMs) this.#stop(cursor, failure);
    else if (reaction === 'refresh') this.#refreshMetadata();
  }

  #backOff(cursor: PartitionCursor): void {
    const { clock, chance } = this.#cluster.ports;
    const nowMs = clock.monotonicMs();
    if (cursor.failures === 0) cursor.failingSinceMs = nowMs;
    cursor.failures++;
    cursor.retryAtMs = nowMs + backoffMs(chance, cursor.failures, BACKOFF_FIRST_MS, BACKOFF_MS_MAX);
  }

  #stop(cursor: PartitionCursor, error: Error): void {
    if (!cursor.live || cursor.stopped) return;
    cursor.stopped = true;
    this.#queue.offer({ kind: 'failed', topic: cursor.topic, partition: cursor.partition, error });
  }

  async #outOfRange(cursor: PartitionCursor): Promise<void> {
    cursor.stopped = true;
    const key = partitionKey(cursor.topic, cursor.partition);
    try {
      const [starts, ends] = await Promise.all([
        listOffsets(this.#cluster, [cursor], EARLIEST, 'read_uncommitted'),
        listOffsets(this.#cluster, [cursor], LATEST, 'read_uncommitted'),
      ]);
      const [start, end] = [starts.get(key) as Offset, ends.get(key) as Offset];
      if (cursor.fetchOffset < start || cursor.fetchOffset > end) this.#offerOutOfRange(cursor, start, end);
      else this.#fetchAgain(cursor); // a log that has grown back meanwhile
    } catch {
      this.#fetchAgain(cursor); // nobody knows the log's bounds now
    }
  }
  /** Tells whether the offset still is outside. */
  #fetchAgain(cursor: PartitionCursor): void {
    cursor.stopped = false;
    this.#backOff(cursor);
    this.#pumpSoon();
  }

  #offerOutOfRange(cursor: PartitionCursor, logStart: Offset, logEnd: Offset): void {
    if (!cursor.live) return;
    cursor.stopped = true;
    this.#queue.offer({ kind: 'outOfRange', topic: cursor.topic, partition: cursor.partition, position: cursor.fetchOffset, logStart, logEnd });
  }

  /** The leader has changed: what was read last must still be there under the new one (KIP-320). */
  async #checkTruncation(cursor: PartitionCursor, nodeId: number, epoch: number): Promise<void> {
    cursor.busy = true;
    try {
      const connection = await this.#cluster.connectionTo(nodeId, 'admin');
      const body = await connection.request(APIS.offsetForLeaderEpoch, {
        replicaId: -1,
        topics: [{ topic: cursor.topic, partitions: [{ partition: cursor.partition, currentLeaderEpoch: epoch, leaderEpoch: cursor.lastEpoch }] }],
      });
      const answer = body.topics[0]?.partitions[0];
      if (answer === undefined || answer.errorCode !== 0) throw kafkaFailure(answer?.errorCode ?? -1, 'OffsetForLeaderEpoch');
      cursor.leaderEpoch = epoch;
      if (answer.endOffset >= 0 && answer.endOffset < cursor.fetchOffset) this.#offerOutOfRange(cursor, cursor.logStart, answer.endOffset as Offset);
    } catch {
      this.#backOff(cursor);
      this.#refreshMetadata();
    } finally {
      cursor.busy = false;
      this.#pumpSoon();
    }
  }

  // ---- metadata -----------------------------------------------------------------------------------------------------

  #refreshMetadata(): void {
    if (this.#refreshing || this.#closed) return;
    this.#refreshing = true;
    const asked = this.#started ? this.#cluster.refresh() : this.#cluster.start();
    asked.then(
      () => {
        this.#started = true;
        this.#refreshing = false;
        this.#refreshFailures = 0;
        this.#noticeRecreated();
        this.#noticeMissing();
        this.#pumpSoon();
      },
      (error: unknown) => {
        if (this.#closed) return;
        this.#refreshFailures++;
        if (!this.#started) this.#queue.fail(error instanceof Error ? error : new Error(String(error)));
        const { timers, chance } = this.#cluster.ports;
        this.#refreshTimer = timers.after(backoffMs(chance, this.#refreshFailures, BACKOFF_FIRST_MS, BACKOFF_MS_MAX), () => {
          this.#refreshing = false;
          this.#pumpSoon();
        });
      },
    );
  }

  /** The metadata has another id than the one that is read: not only our own questions refresh it. */
  #isRecreated({ topic }: PartitionCursor): boolean {
    const id = topicIdOf(this.#cluster, topic);
    return id !== NO_UUID && this.#topicIds.has(topic) && this.#topicIds.get(topic) !== id;
  }

  #noticeRecreated(): void {
    const reported = new Set<string>();
    for (const cursor of this.#cursors.values()) {
      const { topic } = cursor;
      const id = topicIdOf(this.#cluster, topic);
      const before = this.#topicIds.get(topic);
      if (id === NO_UUID) continue;
      if (before === undefined) this.#topicIds.set(topic, id);
      else if (before !== id && !reported.has(topic)) {
        reported.add(topic);
        for (const other of this.#cursors.values()) if (other.topic === topic) other.stopped = true;
        this.#queue.offer({ kind: 'recreated', topic });
      }
    }
    for (const topic of reported) this.#topicIds.set(topic, topicIdOf(this.#cluster, topic));
  }

  /** A partition without a leader waits; one whose topic stays unknown is reported in the end. */
  #noticeMissing(): void {
    for (const cursor of this.#cursors.values()) {
      if (cursor.stopped || cursor.busy || this.#cluster.topic(cursor.topic)?.leaders[cursor.partition] !== undefined) continue;
      this.#backOff(cursor);
      const sinceMs = this.#cluster.ports.clock.monotonicMs() - cursor.failingSinceMs;
      if (!this.#cluster.isMissing(cursor.topic) || sinceMs <= this.#cluster.options.requestTimeoutMs) continue;
      const { topic, partition } = cursor;
      this.#stop(cursor, kafkaFailure(UNKNOWN_TOPIC, `Fetching ${partitionKey(topic, partition)}`, { topic, partition }));
    }
  }
}
