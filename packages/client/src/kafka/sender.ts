// Sends the producer's batches to the leaders and sees each through to its acknowledgement.
// Owns: partition queues, one lane per leader, retries.  Never: knows how a transaction begins or ends (producer.ts).
// S1 order per partition is the order of `enqueue`, over every retry.  S2 a batch waiting for a retry is outstanding like one in flight.
// S3 a request goes out when its leader has none to answer; else batches gather until the last answer, or until they fill a request.
// S4 sequence, epoch and checksum are set when a batch is first sent.  S5 answers of an abandoned life are dropped.
// S6 memory of a batch goes back to its pool only after an acknowledgement: an unanswered one may still be in the socket.
// Source: KIP-98, KIP-679, KIP-890; lessons 9-14 of the performance notes.
import { backoffMs, MillraceError, partitionKey, type Timer } from '@millrace/core';
import { APIS, type BatchBuilder, BatchPool, COMPRESSIONS, sequenceAfter } from '@millrace/protocol';
import type { FilledProducerOptions } from '../options.ts';
import type { ProduceAck } from '../port.ts';
import type { KafkaCluster } from './cluster.ts';
import type { BrokerConnection } from './connection.ts';
import { kafkaCodeOf, kafkaFailure, responseTo } from './error-response.ts';
import { createLatch, type Latch } from './latch.ts';
import { PartitionQueue, type PendingBatch, renumber } from './partition-queue.ts';
import {
  answerFor,
  explanationIn,
  type PartitionAnswer,
  PRODUCE_EXPLICIT_MAX,
  PRODUCE_IMPLICIT_MAX,
  type ProduceBody,
  type ProducerIdentity,
  produceRequest,
} from './produce-exchange.ts';
import { describeRecord, splitBatch } from './split-batch.ts';

/** What the sender may ask of the producer. */
export interface SenderHost {
  /** Adds partitions to the open transaction, then calls `registered`. */
  register(queues: readonly PartitionQueue[]): void;
  /** A batch was given up. */
  batchFailed(error: MillraceError): void;
  /** Nothing can be sent under this identity any more. */
  broken(error: MillraceError): void;
}

export interface SenderMode {
  readonly transactionalId: string | undefined;
  /** The broker adds partitions by itself (transaction.version 2). */
  readonly implicitRegistration: boolean;
}

interface Lane {
  readonly nodeId: number;
  connection: BrokerConnection | undefined;
  connecting: boolean;
  requests: number;
}

const REQUESTS_IN_FLIGHT_MAX = 5;
const BACKOFF_FIRST_MS = 20;
const BACKOFF_MS_MAX = 1_000;
const UNKNOWN_TOPIC = 3;
const OUT_OF_ORDER_SEQUENCE = 45;
/** MESSAGE_TOO_LARGE and RECORD_LIST_TOO_LARGE: both are about the batch. */
const TOO_LARGE: ReadonlySet<number> = new Set([10, 18]);
/** INVALID_TIMESTAMP, POLICY_VIOLATION and INVALID_RECORD: about one of the batch's records, which shows when it is alone. */
const ABOUT_A_RECORD: ReadonlySet<number> = new Set([32, 44, 87]);

export class Sender {
  readonly #cluster: KafkaCluster;
  readonly #options: FilledProducerOptions;
  readonly #host: SenderHost;
  readonly #compression: number;
  readonly #queues = new Map<string, PartitionQueue>();
  /** Queues with something waiting. */
  readonly #active = new Set<PartitionQueue>();
  readonly #lanes = new Map<number, Lane>();
  readonly #outstanding = new Set<PendingBatch>();
  #bytes = 0;
  #order = 0;
  #life = 0;
  #mode: SenderMode = { transactionalId: undefined, implicitRegistration: false };
  #identity: ProducerIdentity | undefined;
  /** Set while the transaction is being aborted: what fails is not tried again. */
  #givingUp: MillraceError | undefined;
  #uncertain = false;
  #answered: Latch<void> | undefined;
  #pumpQueued = false;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #refreshing = false;
  readonly #splitPool = new BatchPool();

  constructor(cluster: KafkaCluster, options: FilledProducerOptions, host: SenderHost) {
    this.#cluster = cluster;
    this.#options = options;
    this.#host = host;
    this.#compression = COMPRESSIONS[options.compression];
  }

  get inFlight(): { readonly batches: number; readonly bytes: number } {
    return { batches: this.#outstanding.size, bytes: this.#bytes };
  }

  /** True when a batch was sent and nobody knows whether it was appended: sequences must start anew. */
  get uncertain(): boolean {
    return this.#uncertain;
  }

  // ---- what the producer tells --------------------------------------------------------------------------------------

  /** A new life: everything before is forgotten, sequences start at 0. */
  start(identity: ProducerIdentity, mode: SenderMode): void {
    this.#identity = identity;
    this.#mode = mode;
    this.#queues.clear();
    this.#active.clear();
    this.#uncertain = false;
    this.#givingUp = undefined;
  }

  /** The coordinator gave another epoch at the end of a transaction: sequences start at 0 again. */
  adopt(identity: ProducerIdentity): void {
    this.#identity = identity;
    for (const queue of this.#queues.values()) queue.nextSequence = 0;
    this.#uncertain = false;
  }

  newTransaction(): void {
    this.#givingUp = undefined;
    for (const queue of this.#queues.values()) queue.newTransaction();
  }

  /** The partitions are part of the transaction now. */
  registered(queues: readonly PartitionQueue[]): void {
    for (const queue of queues) {
      queue.registering = false;
      queue.registered = true;
    }
    this.#pumpSoon();
  }

  enqueue(topic: string, partition: number, builder: BatchBuilder): Promise<ProduceAck> {
    const key = partitionKey(topic, partition);
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new PartitionQueue(topic, partition);
      this.#queues.set(key, queue);
      this.#cluster.want([topic]);
    }
    const latch = createLatch<ProduceAck>();
    // Whoever relies on `flush` need not listen to each batch.
    latch.promise.catch(() => {});
    const queuedAtMs = this.#cluster.ports.clock.monotonicMs();
    const batch: PendingBatch = {
      queue,
      builder,
      bytes: builder.sizeBytes,
      order: this.#order++,
      orders: 1,
      queuedAtMs,
      latch,
      baseSequence: -1,
      ordinal: -1,
      leaderEpoch: -1,
      sealed: undefined,
      failures: 0,
      doubtful: false,
    };
    queue.waiting.push(batch);
    this.#active.add(queue);
    this.#outstanding.add(batch);
    this.#bytes += batch.bytes;
    this.#pumpSoon();
    return latch.promise;
  }

  /** Resolves when all that is outstanding now is acknowledged; rejects when one of them is given up. */
  async acknowledged(): Promise<void> {
    if (this.#outstanding.size > 0) await Promise.all([...this.#outstanding].map((batch) => batch.latch.promise));
  }

  /** Gives up what waits, and what fails from now on; resolves when nothing is in flight. */
  async giveUp(error: MillraceError): Promise<void> {
    this.#givingUp = error;
    this.dropWaiting(error);
    while (this.#outstanding.size > 0) {
      this.#answered ??= createLatch<void>();
      await this.#answered.promise;
    }
  }

  /** Gives up what waits to be sent. */
  dropWaiting(error: MillraceError): void {
    for (const queue of this.#active) {
      for (const batch of queue.waiting.splice(0)) {
        if (batch.baseSequence >= 0) this.#uncertain = true;
        this.#finish(batch);
        batch.latch.reject(error);
      }
    }
    this.#active.clear();
  }

  /** Ends this life: all outstanding batches are rejected, their answers ignored, the produce connections closed. */
  abandon(error: MillraceError): void {
    this.#life++;
    this.#identity = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (const nodeId of this.#lanes.keys()) this.#cluster.dropConnection(nodeId, 'produce');
    this.#lanes.clear();
    this.#active.clear();
    this.#queues.clear();
    const batches = [...this.#outstanding];
    this.#outstanding.clear();
    this.#bytes = 0;
    for (const batch of batches) batch.latch.reject(error);
    this.#answeredAll();
  }

  // ---- sending ------------------------------------------------------------------------------------------------------

  #pumpSoon(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      if (this.#identity !== undefined) this.#pump();
    });
  }

  #pump(): void {
    const nowMs = this.#cluster.ports.clock.monotonicMs();
    const byNode = new Map<number, PartitionQueue[]>();
    const unregistered: PartitionQueue[] = [];
    let leaderless = false;
    const { transactionalId, implicitRegistration } = this.#mode;
    for (const queue of this.#active) {
      if (queue.retryAtMs > nowMs) this.#pumpAt(queue.retryAtMs, nowMs);
      if (!queue.isSendable(nowMs)) continue;
      if (transactionalId !== undefined && !implicitRegistration && !queue.registered) {
        if (!queue.registering) unregistered.push(queue);
        continue;
      }
      const leader = this.#cluster.topic(queue.topic)?.leaders[queue.partition];
      if (leader === undefined) {
        leaderless = true;
        continue;
      }
      const group = byNode.get(leader.nodeId);
      if (group === undefined) byNode.set(leader.nodeId, [queue]);
      else group.push(queue);
    }
    if (leaderless) this.#findLeaders();
    if (unregistered.length > 0) {
      for (const queue of unregistered) queue.registering = true;
      this.#host.register(unregistered);
    }
    for (const [nodeId, queues] of byNode) this.#fillLane(nodeId, queues, nowMs);
  }

  #fillLane(nodeId: number, queues: readonly PartitionQueue[], nowMs: number): void {
    let lane = this.#lanes.get(nodeId);
    if (lane === undefined) this.#lanes.set(nodeId, (lane = { nodeId, connection: undefined, connecting: false, requests: 0 }));
    if (lane.connection === undefined || lane.connection.closed) return void this.#connect(lane);
    let sendable = [...queues];
    while (sendable.length > 0 && lane.requests < REQUESTS_IN_FLIGHT_MAX) {
      if (lane.requests > 0 && bytesReady(sendable) < this.#options.requestBytesMax / 2) return;
      const batches: PendingBatch[] = [];
      let bytes = 0;
      for (const queue of sendable) {
        this.#fitHead(queue);
        const head = queue.waiting[0] as PendingBatch;
        if (bytes > 0 && bytes + head.bytes > this.#options.requestBytesMax) continue;
        bytes += head.bytes;
        batches.push(queue.takeHead());
        if (queue.waiting.length === 0) this.#active.delete(queue);
      }
      this.#send(lane, lane.connection, batches);
      sendable = sendable.filter((queue) => queue.isSendable(nowMs));
    }
  }

  async #connect(lane: Lane): Promise<void> {
    if (lane.connecting) return;
    lane.connecting = true;
    const life = this.#life;
    try {
      lane.connection = await this.#cluster.connectionTo(lane.nodeId, 'produce');
    } catch (error) {
      this.#cluster.ports.log.debug({ nodeId: lane.nodeId, error: String(error) }, 'no connection to send on; trying again');
      if (life === this.#life) {
        this.#waitForLeaders();
        this.#refreshLeaders();
      }
    }
    lane.connecting = false;
    if (life === this.#life) this.#pumpSoon();
  }

  #send(lane: Lane, connection: BrokerConnection, batches: readonly PendingBatch[]): void {
    const identity = this.#identity as ProducerIdentity;
    const { transactionalId, implicitRegistration } = this.#mode;
    const body = produceRequest(batches, identity, transactionalId, this.#compression, this.#cluster.options.requestTimeoutMs);
    const versionMax = implicitRegistration ? PRODUCE_IMPLICIT_MAX : PRODUCE_EXPLICIT_MAX;
    const life = this.#life;
    for (const batch of batches) batch.leaderEpoch = this.#cluster.topic(batch.queue.topic)?.leaders[batch.queue.partition]?.epoch ?? -1;
    lane.requests++;
    connection.request(APIS.produce, body, { versionMax }).then(
      (answer) => {
        if (life !== this.#life) return;
        lane.requests--;
        this.#answer(batches, answer);
      },
      (error: unknown) => {
        if (life !== this.#life) return;
        lane.requests--;
        this.#lost(batches, error);
      },
    );
  }

  // ---- answers ------------------------------------------------------------------------------------------------------

  #answer(batches: readonly PendingBatch[], body: ProduceBody): void {
    for (const batch of batches) {
      const { queue } = batch;
      const answer = answerFor(body, queue);
      if (this.#identity === undefined) return;
      if (answer === undefined) this.#tryAgain(batch, kafkaFailure(-1, `Writing to ${partitionKey(queue.topic, queue.partition)}`));
      else if (answer.errorCode === 0) this.#acknowledge(batch, answer);
      else this.#refused(batch, answer);
      queue.settle();
    }
    this.#pumpSoon();
  }

  #acknowledge(batch: PendingBatch, answer: PartitionAnswer): void {
    const { queue } = batch;
    const { count } = batch.builder;
    queue.leaveFlight(batch);
    queue.proven = true;
    if (queue.waiting.length === 0 || !queue.draining) queue.retryAtMs = 0;
    if (queue.resumeSequence !== undefined) queue.resumeSequence = sequenceAfter(batch.baseSequence, count);
    batch.builder.release();
    // Sound: offsets on the wire are read as safe integers.
    this.#finish(batch);
    batch.latch.resolve({
      baseOffset: answer.baseOffset as ProduceAck['baseOffset'],
      nextOffset: (answer.baseOffset + count) as ProduceAck['nextOffset'],
      logAppendTime: answer.logAppendTimeMs,
      leaderEpoch: batch.leaderEpoch,
    });
  }

  #refused(batch: PendingBatch, answer: PartitionAnswer): void {
    const { queue } = batch;
    const code = answer.errorCode;
    const tooLarge = TOO_LARGE.has(code);
    const aboutRecord = ABOUT_A_RECORD.has(code);
    if ((tooLarge || aboutRecord) && batch.builder.count > 1 && this.#givingUp === undefined) {
      if (tooLarge) queue.refusedBytes = Math.min(queue.refusedBytes, batch.bytes);
      this.#split(batch);
      return;
    }
    const place = { topic: queue.topic, partition: queue.partition };
    const where = tooLarge ? { ...place, bytes: batch.bytes } : aboutRecord ? { ...place, ...describeRecord(batch.builder) } : place;
    const failure = kafkaFailure(code, `Writing to ${partitionKey(queue.topic, queue.partition)}`, where, explanationIn(answer));
    const { reaction, error } = responseTo(code);
    const outOfOrder = code === OUT_OF_ORDER_SEQUENCE;
    if (outOfOrder && queue.resumeSequence !== undefined) this.#renumber(batch);
    else if (reaction !== 'fail' || (outOfOrder && queue.hasEarlier(batch))) {
      if (reaction === 'refresh') this.#refreshLeaders();
      this.#tryAgain(batch, failure);
    } else if (error === 'ERR_PRODUCER_FENCED' || (error === 'ERR_SEQUENCE' && this.#mode.transactionalId === undefined)) this.#host.broken(failure);
    else this.#refuse(batch, failure);
  }

  /** Larger than the topic takes (max.message.bytes counts a whole batch), or with a record it does not take: the same records again, in two batches. */
  #split(batch: PendingBatch): void {
    const { queue } = batch;
    queue.leaveFlight(batch);
    // Behind a hole it would have been renumbered, had the broker looked at its sequence.
    this.#replace(batch, queue.resumeSequence === undefined ? batch.baseSequence : -1);
    queue.drain();
  }

  /** What the topic will not take anyway is split before it is first sent. */
  #fitHead(queue: PartitionQueue): void {
    for (let head = queue.waiting[0]; head !== undefined && head.baseSequence < 0 && head.bytes >= queue.refusedBytes; head = queue.waiting[0]) {
      if (head.builder.count === 1) return;
      queue.waiting.shift();
      this.#replace(head, -1);
    }
  }

  #replace(batch: PendingBatch, sequence: number): void {
    this.#outstanding.delete(batch);
    this.#bytes -= batch.bytes;
    const parts = splitBatch(batch, sequence, this.#splitPool);
    for (const part of parts) {
      this.#outstanding.add(part);
      this.#bytes += part.bytes;
    }
    batch.queue.replace(batch, parts);
    this.#active.add(batch.queue);
  }

  /** Refused for good. */
  #refuse(batch: PendingBatch, failure: MillraceError): void {
    batch.queue.leaveFlight(batch);
    this.#drop(batch, failure);
    if (this.#mode.transactionalId === undefined) batch.queue.leaveHole(batch);
    else this.#uncertain = true;
    this.#host.batchFailed(failure);
  }

  /** Behind a batch that was refused for good: not appended for certain, so it may take another sequence. */
  #renumber(batch: PendingBatch): void {
    batch.queue.leaveFlight(batch);
    renumber(batch);
    batch.queue.putBack(batch, 0);
    this.#active.add(batch.queue);
  }

  #lost(batches: readonly PendingBatch[], error: unknown): void {
    const failure = MillraceError.is(error) ? error : new MillraceError('ERR_CONNECTION', String(error), {}, error);
    if (failure.response === 'stop') {
      this.#uncertain = true;
      this.#host.broken(failure);
      return;
    }
    for (const batch of batches) {
      if (this.#identity === undefined) return;
      this.#tryAgain(batch, failure);
      batch.queue.settle();
    }
    this.#refreshLeaders();
    this.#pumpSoon();
  }

  #tryAgain(batch: PendingBatch, failure: MillraceError): void {
    const { queue } = batch;
    const { clock, chance } = this.#cluster.ports;
    const nowMs = clock.monotonicMs();
    queue.leaveFlight(batch);
    batch.failures++;
    // [45] says that it is not there; anything else may be the answer to a second copy.
    batch.doubtful = kafkaCodeOf(failure) !== OUT_OF_ORDER_SEQUENCE;
    const overdue = nowMs - batch.queuedAtMs > this.#options.deliveryTimeoutMs;
    // A hole in the sequences and an unknown outcome behind it: no sequence would be right for what follows.
    const stuck = queue.resumeSequence !== undefined;
    if (this.#givingUp === undefined && !overdue && !stuck) {
      queue.putBack(batch, nowMs + backoffMs(chance, batch.failures, BACKOFF_FIRST_MS, BACKOFF_MS_MAX));
      this.#active.add(queue);
      return;
    }
    this.#uncertain = true;
    const error = this.#givingUp ?? failure;
    this.#drop(batch, error);
    if (this.#givingUp !== undefined) return;
    if (this.#mode.transactionalId === undefined) this.#host.broken(failure);
    else this.#host.batchFailed(failure);
  }

  #drop(batch: PendingBatch, error: MillraceError): void {
    this.#finish(batch);
    batch.latch.reject(error);
  }

  #finish(batch: PendingBatch): void {
    this.#outstanding.delete(batch);
    this.#bytes -= batch.bytes;
    if (this.#outstanding.size === 0) this.#answeredAll();
  }

  #answeredAll(): void {
    const latch = this.#answered;
    this.#answered = undefined;
    latch?.resolve();
  }

  // ---- leaders and time ---------------------------------------------------------------------------------------------

  #pumpAt(atMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#cluster.ports.timers.after(Math.max(1, Math.ceil(atMs - nowMs)), () => {
      this.#timer = undefined;
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.#pumpSoon();
    });
  }

  #refreshLeaders(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    const done = (): void => {
      this.#refreshing = false;
      if (this.#identity !== undefined) this.#pumpSoon();
    };
    this.#cluster.refresh().then(done, done);
  }

  /** Asks for leaders; what still has none afterwards waits, and is given up in the end. */
  #findLeaders(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    const done = (): void => {
      this.#refreshing = false;
      if (this.#identity !== undefined) this.#waitForLeaders();
      this.#pumpSoon();
    };
    this.#cluster.refresh().then(done, done);
  }

  /** What waits in vain for a leader or a connection backs off; what has waited too long is given up. */
  #waitForLeaders(): void {
    const { clock, chance } = this.#cluster.ports;
    const nowMs = clock.monotonicMs();
    for (const queue of [...this.#active]) {
      const head = queue.waiting[0];
      if (head === undefined || queue.inFlight.length > 0) continue;
      const leader = this.#cluster.topic(queue.topic)?.leaders[queue.partition];
      const lane = leader === undefined ? undefined : this.#lanes.get(leader.nodeId);
      if (leader !== undefined && (lane === undefined || lane.connection?.closed === false)) continue;
      const waitedMs = nowMs - head.queuedAtMs;
      const missing = leader === undefined && this.#cluster.isMissing(queue.topic) && waitedMs > this.#cluster.options.requestTimeoutMs;
      if (!missing && waitedMs <= this.#options.deliveryTimeoutMs) {
        head.failures++;
        queue.retryAtMs = nowMs + backoffMs(chance, head.failures, BACKOFF_FIRST_MS, BACKOFF_MS_MAX);
        continue;
      }
      const where = { topic: queue.topic, partition: queue.partition };
      const failure = kafkaFailure(missing ? UNKNOWN_TOPIC : 5, `Writing to ${partitionKey(queue.topic, queue.partition)}`, where);
      queue.waiting.shift();
      if (queue.waiting.length === 0) this.#active.delete(queue);
      if (head.baseSequence >= 0) this.#uncertain = true;
      this.#drop(head, failure);
      if (head.baseSequence < 0 || this.#mode.transactionalId !== undefined) this.#host.batchFailed(failure);
      else {
        this.#host.broken(failure);
        return;
      }
    }
  }
}

function bytesReady(queues: readonly PartitionQueue[]): number {
  let bytes = 0;
  for (const queue of queues) for (const batch of queue.waiting) bytes += batch.bytes;
  return bytes;
}
