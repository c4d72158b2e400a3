// LogProducer over Kafka: identity, transactions, offsets in transactions. Sending is sender.ts.
// Owns: the producer's state, the requests to the transaction coordinator.  Never: repeats a request of unknown outcome, commits what was not acknowledged.
//
//   new ──initialise──▶ ready ──begin──▶ open ──end──▶ ending ──▶ ready
//    ▲                                    │              │
//    └── broken ◀── fenced, no answer ────┴──────────────┘      (any state: close ──▶ closed)
//
// T1 after an indefinite result only `initialise` may follow: a late EndTxn could end the next transaction (KAFKA-17754).
// T2 EndTxn(commit) is sent only when every batch since `begin` was acknowledged (KAFKA-9279).
// T3 EndTxn(abort) is sent only when nothing is in flight, so nothing lands in the next transaction.
// T4 under transaction.version 2 each end brings a new epoch, which is adopted before `end` resolves (KIP-890).
import { assert, MillraceError } from '@millrace/core';
import { APIS, type BatchBuilder } from '@millrace/protocol';
import type { FilledProducerOptions } from '../options.ts';
import type { GroupMetadata, LogProducer, OffsetToCommit, ProduceAck } from '../port.ts';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import { type BrokerConnection, isConnectionFailure, wasSent } from './connection.ts';
import { kafkaFailure } from './error-response.ts';
import { offsetTopics } from './offset-topics.ts';
import type { PartitionQueue } from './partition-queue.ts';
import type { ProducerIdentity } from './produce-exchange.ts';
import { withCoordinator, withRetries } from './retry.ts';
import { Sender, type SenderHost } from './sender.ts';

const PRODUCER_MOVES = {
  new: ['initialising', 'closed'],
  initialising: ['ready', 'broken', 'closed'],
  ready: ['open', 'initialising', 'broken', 'closed'],
  open: ['ending', 'initialising', 'broken', 'closed'],
  ending: ['ready', 'open', 'initialising', 'broken', 'closed'],
  broken: ['initialising', 'closed'],
  closed: [],
} as const;
type ProducerState = keyof typeof PRODUCER_MOVES;

const TRANSACTION_VERSION = 'transaction.version';
/** The last versions without implicit registration and epoch bumps. */
const END_TXN_V1_MAX = 4;
const TXN_OFFSET_COMMIT_V1_MAX = 4;
/** [51] passes within milliseconds: Java waits as long before it asks again. */
const CONCURRENT_WAIT_MS = 20;
/** InitProducerId may have to wait for the end of the transaction that it settles, and for a cold coordinator. */
const INITIALISE_MS = 60_000;
const REQUEST_TIMED_OUT = 7;
const INVALID_TXN_STATE = 48;
const OPERATION_NOT_ATTEMPTED = 55;
const MEMBER_FAILURES: ReadonlySet<string> = new Set(['ERR_GENERATION', 'ERR_MEMBERSHIP_LOST', 'ERR_FENCED_INSTANCE']);

export class KafkaProducer implements LogProducer, SenderHost {
  readonly #cluster: KafkaCluster;
  readonly #options: FilledProducerOptions;
  readonly #sender: Sender;
  #state: ProducerState = 'new';
  #identity: ProducerIdentity | undefined;
  /** transaction.version 2: partitions and offsets join by themselves, EndTxn brings the next epoch. */
  #implicit = false;
  /** The first failure since `begin`, or why the producer is broken. */
  #failure: MillraceError | undefined;
  /** The coordinator may know of the open transaction. */
  #touched = false;
  #groupsAdded = new Set<string>();
  /** Counts initialisations: what an older one started is none of ours. */
  #life = 0;

  constructor(cluster: KafkaCluster, options: FilledProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#sender = new Sender(cluster, options, this);
  }

  get inFlight(): { readonly batches: number; readonly bytes: number } {
    return this.#sender.inFlight;
  }

  async initialise(): Promise<void> {
    this.#move('initialising');
    const life = ++this.#life;
    this.#sender.abandon(new MillraceError('ERR_TRANSACTION_ABORTABLE', 'The producer was initialised anew before this batch was acknowledged.'));
    try {
      await this.#cluster.start();
      const identity = await this.#obtainIdentity();
      if (life !== this.#life || this.#is('closed')) throw new MillraceError('ERR_CLOSED', 'The producer was closed, or initialised again, meanwhile.');
      this.#identity = identity;
      this.#failure = undefined;
      this.#touched = false;
      this.#sender.start(identity, { transactionalId: this.#options.transactionalId, implicitRegistration: this.#implicit });
      this.#move('ready');
    } catch (error) {
      if (life === this.#life && this.#is('initialising')) this.#break(asMillrace(error));
      throw error;
    }
  }

  begin(): void {
    if (this.#options.transactionalId === undefined) {
      if (this.#state !== 'broken') this.#failure = undefined;
      return;
    }
    if (this.#state === 'broken') throw this.#brokenError();
    this.#move('open');
    this.#failure = undefined;
    this.#touched = false;
    this.#groupsAdded = new Set();
    this.#sender.newTransaction();
  }

  send(topic: string, partition: number, batch: BatchBuilder): Promise<ProduceAck> {
    const transactional = this.#options.transactionalId !== undefined;
    if (this.#state !== (transactional ? 'open' : 'ready')) return Promise.reject(this.#notSendable(transactional));
    if (transactional && this.#failure !== undefined) return Promise.reject(this.#failure);
    // Explicit registration touches the coordinator when it happens; implicit registration happens by the send itself.
    if (this.#implicit) this.#touched = true;
    return this.#sender.enqueue(topic, partition, batch);
  }

  async flush(): Promise<void> {
    await this.#sender.acknowledged();
    if (this.#failure !== undefined) throw this.#failure;
  }

  async sendOffsets(group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void> {
    const id = this.#openTransaction('Offsets belong to a transaction');
    if (offsets.length === 0) return;
    this.#touched = true;
    try {
      if (!this.#implicit && !this.#groupsAdded.has(group.groupId)) {
        await this.#addOffsets(id, group.groupId);
        this.#groupsAdded.add(group.groupId);
      }
      await this.#commitOffsets(id, group, offsets);
    } catch (error) {
      const failure = asMillrace(error);
      // About the member, not the producer: the transaction stays open.
      if (MEMBER_FAILURES.has(failure.code)) throw failure;
      throw this.#controlFailed(failure, 'Committing offsets in the transaction');
    }
  }

  async end(commit: boolean): Promise<void> {
    const id = this.#openTransaction('There is nothing to end');
    if (commit) {
      await this.flush();
      if (this.#state !== 'open') throw this.#brokenError();
    } else await this.#sender.giveUp(new MillraceError('ERR_TRANSACTION_ABORTABLE', 'The transaction was aborted before this batch was acknowledged.'));
    // While in-flight batches were answered, a fencing answer may have broken the producer.
    if (this.#is('broken')) throw this.#brokenError();
    this.#move('ending');
    if (this.#touched) await this.#endTransaction(id, commit);
    else this.#move('ready');
    if (!commit && this.#sender.uncertain && this.#is('ready')) await this.initialise();
  }

  close(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve();
    this.#move('closed');
    this.#life++;
    this.#sender.abandon(new MillraceError('ERR_CLOSED', 'The producer was closed before this batch was acknowledged.'));
    this.#cluster.close();
    return Promise.resolve();
  }

  // ---- what the sender reports --------------------------------------------------------------------------------------

  register(queues: readonly PartitionQueue[]): void {
    const life = this.#life;
    this.#touched = true;
    this.#addPartitions(queues).then(
      () => {
        if (life === this.#life) this.#sender.registered(queues);
      },
      (error: unknown) => {
        if (life === this.#life) this.#controlFailed(asMillrace(error), 'Adding partitions to the transaction');
      },
    );
  }

  batchFailed(error: MillraceError): void {
    this.#failure ??= error;
    // The transaction cannot commit any more: what waits would only be aborted.
    if (this.#options.transactionalId !== undefined) this.#sender.dropWaiting(error);
  }

  broken(error: MillraceError): void {
    this.#break(error);
  }

  // ---- requests to coordinators -------------------------------------------------------------------------------------

  async #obtainIdentity(): Promise<ProducerIdentity> {
    const transactionalId = this.#options.transactionalId;
    const ask = async (connection: BrokerConnection): Promise<ProducerIdentity> => {
      const body = await connection.request(APIS.initProducerId, {
        transactionalId: transactionalId ?? null,
        transactionTimeoutMs: this.#options.transactionTimeoutMs,
        producerId: -1,
        producerEpoch: -1,
      });
      if (body.errorCode !== 0) throw kafkaFailure(body.errorCode, this.#what('Initialising the producer'), this.#where());
      this.#implicit = transactionalId !== undefined && connection.featureLevel(TRANSACTION_VERSION) >= 2;
      return { producerId: body.producerId, producerEpoch: body.producerEpoch };
    };
    const options = {
      what: this.#what('Initialising the producer'),
      timeoutMs: Math.max(INITIALISE_MS, this.#cluster.options.requestTimeoutMs),
      firstWaitMs: CONCURRENT_WAIT_MS,
    };
    if (transactionalId === undefined) return withRetries(this.#cluster, options, async () => ask(await this.#cluster.anyConnection()));
    return withCoordinator(this.#cluster, 'transaction', transactionalId, options, ask);
  }

  #addPartitions(queues: readonly PartitionQueue[]): Promise<void> {
    const transactionalId = this.#options.transactionalId as string;
    const topics = groupByTopic(queues).map(({ topic, items }) => ({ name: topic, partitions: items.map(({ partition }) => partition) }));
    return this.#control('transaction', transactionalId, 'Adding partitions to the transaction', async (connection) => {
      const body = await connection.request(APIS.addPartitionsToTxn, { transactionalId, ...this.#producer(), topics });
      const codes = body.resultsByTopic.flatMap((topic) =>
        topic.resultsByPartition.map((each) => ({ topic: topic.name, partition: each.partitionIndex, code: each.partitionErrorCode })),
      );
      // A neighbour of the one that failed says 55: the cause is the other.
      const failed = codes.find(({ code }) => code !== 0 && code !== OPERATION_NOT_ATTEMPTED) ?? codes.find(({ code }) => code !== 0);
      if (failed !== undefined) throw this.#codeFailure(failed.code, `Adding ${failed.topic}-${failed.partition} to the transaction`);
    });
  }

  #addOffsets(transactionalId: string, groupId: string): Promise<void> {
    return this.#control('transaction', transactionalId, 'Adding offsets to the transaction', async (connection) => {
      const body = await connection.request(APIS.addOffsetsToTxn, { transactionalId, ...this.#producer(), groupId });
      if (body.errorCode !== 0) throw this.#codeFailure(body.errorCode, `Adding the offsets of group "${groupId}" to the transaction`);
    });
  }

  #commitOffsets(transactionalId: string, group: GroupMetadata, offsets: readonly OffsetToCommit[]): Promise<void> {
    const topics = offsetTopics(offsets);
    const body = {
      transactionalId,
      groupId: group.groupId,
      ...this.#producer(),
      generationId: group.generation,
      memberId: group.memberId,
      groupInstanceId: group.instanceId ?? null,
      topics,
    };
    return this.#control('group', group.groupId, 'Committing offsets in the transaction', async (connection) => {
      const answer = await connection.request(APIS.txnOffsetCommit, body, this.#implicit ? {} : { versionMax: TXN_OFFSET_COMMIT_V1_MAX });
      for (const topic of answer.topics) {
        for (const each of topic.partitions) {
          if (each.errorCode !== 0) throw this.#codeFailure(each.errorCode, `Committing the offset of ${topic.name}-${each.partitionIndex}`);
        }
      }
    });
  }

  async #endTransaction(transactionalId: string, commit: boolean): Promise<void> {
    const what = commit ? 'Committing the transaction' : 'Aborting the transaction';
    const life = this.#life;
    try {
      const next = await this.#control('transaction', transactionalId, what, async (connection) => {
        const options = this.#implicit ? {} : { versionMax: END_TXN_V1_MAX };
        const body = await connection.request(APIS.endTxn, { transactionalId, ...this.#producer(), committed: commit }, options);
        if (body.errorCode !== 0) throw this.#codeFailure(body.errorCode, what);
        return { producerId: body.producerId, producerEpoch: body.producerEpoch };
      });
      if (life !== this.#life || !this.#is('ending')) throw this.#brokenError();
      if (this.#implicit && next.producerId >= 0 && next.producerEpoch >= 0) {
        this.#identity = next;
        this.#sender.adopt(next);
      }
      this.#failure = undefined;
      this.#move('ready');
    } catch (error) {
      if (life !== this.#life || !this.#is('ending')) throw error;
      this.#move('open');
      const failure = asMillrace(error);
      if (!commit && failure.where.kafkaCode === INVALID_TXN_STATE) {
        // Nothing is open at the coordinator (it timed out, say): aborted is what was wanted; a new epoch makes sure of it.
        await this.initialise();
        return;
      }
      throw this.#controlFailed(failure, what);
    }
  }

  /** One request to a coordinator; repeated only where it certainly was not carried out. */
  #control<T>(kind: 'group' | 'transaction', key: string, what: string, attempt: (connection: BrokerConnection) => Promise<T>): Promise<T> {
    const options = { what: this.#what(what), timeoutMs: this.#options.transactionTimeoutMs, repeatSent: false, firstWaitMs: CONCURRENT_WAIT_MS };
    return withCoordinator(this.#cluster, kind, key, options, attempt);
  }

  /** What follows from a failed control request; returns the error to hand up. */
  #controlFailed(error: MillraceError, what: string): MillraceError {
    if (error.code === 'ERR_PRODUCER_FENCED' || error.code === 'ERR_CLOSED') {
      this.#break(error);
      return error;
    }
    if (isConnectionFailure(error) && wasSent(error)) {
      const message = `${what}: no answer came, so nobody knows whether it happened. The producer is initialised again and the work since the last commit is repeated.`;
      const indefinite = new MillraceError('ERR_TRANSACTION_INDEFINITE', message, this.#where(), error);
      this.#break(indefinite);
      return indefinite;
    }
    const abortable = error.response === 'retry' ? new MillraceError('ERR_TRANSACTION_ABORTABLE', error.message, error.where, error) : error;
    this.batchFailed(abortable);
    return abortable;
  }

  /** An error code as an error; a time-out on the broker's side leaves as much in the dark as a lost answer. */
  #codeFailure(code: number, what: string): MillraceError {
    if (code !== REQUEST_TIMED_OUT) return kafkaFailure(code, this.#what(what), this.#where());
    return new MillraceError('ERR_TIMEOUT', `${this.#what(what)}: the broker timed out.`, { ...this.#where(), sent: 1 });
  }

  // ---- state --------------------------------------------------------------------------------------------------------

  #move(to: ProducerState): void {
    const moves: readonly ProducerState[] = PRODUCER_MOVES[this.#state];
    if (this.#state === 'closed') throw new MillraceError('ERR_CLOSED', 'The producer is closed.');
    assert(moves.includes(to) || to === this.#state, `producer cannot go from ${this.#state} to ${to}`);
    this.#state = to;
  }

  /** The state may have changed during an await, which the compiler cannot see. */
  #is(state: ProducerState): boolean {
    return this.#state === state;
  }

  #break(error: MillraceError): void {
    if (this.#state === 'closed' || this.#state === 'broken') return;
    this.#move('broken');
    this.#failure = error;
    this.#sender.abandon(error);
  }

  #openTransaction(refusal: string): string {
    if (this.#state === 'broken') throw this.#brokenError();
    if (this.#state === 'closed') throw new MillraceError('ERR_CLOSED', 'The producer is closed.');
    assert(this.#state === 'open' && this.#options.transactionalId !== undefined, `${refusal}: no transaction is open (${this.#state})`);
    return this.#options.transactionalId;
  }

  #brokenError(): MillraceError {
    return this.#failure ?? new MillraceError('ERR_CLOSED', 'The producer is closed or was initialised anew.');
  }

  #notSendable(transactional: boolean): MillraceError {
    if (this.#state === 'broken') return this.#brokenError();
    if (this.#state === 'closed') return new MillraceError('ERR_CLOSED', 'The producer is closed.');
    assert(false, transactional ? `send outside a transaction (${this.#state})` : `send before initialise (${this.#state})`);
  }

  #producer(): ProducerIdentity {
    assert(this.#identity !== undefined, 'the producer has no identity');
    return this.#identity;
  }

  #where(): Readonly<Record<string, string>> {
    return this.#options.transactionalId === undefined ? {} : { transactionalId: this.#options.transactionalId };
  }

  #what(what: string): string {
    return this.#options.transactionalId === undefined ? what : `${what} ("${this.#options.transactionalId}")`;
  }
}

function asMillrace(error: unknown): MillraceError {
  if (MillraceError.is(error)) return error;
  if (error instanceof Error && error.name === 'AssertionFailed') throw error;
  return new MillraceError('ERR_CONNECTION', String(error), {}, error);
}
