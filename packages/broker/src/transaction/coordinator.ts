// Runs the transactions: asks `decide`, writes its records, and hands what a Prepare record decided to the completions.
// Owns: the transactional ids of this broker, the clock of open transactions, the producer ids.  Never: decides anything itself.
// C1 data before its verdict: with fsync on, what a transaction appended is durable before its PrepareCommit is written.
// C2 a producer's partition is part of its transaction on the device before its data is: `join` says what to wait for.
// C3 what is decided is carried out by `completions.ts`, whatever happens.
import type { Clock, Logger, Timer, Timers, TopicPartition } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import { coordinatorPartition } from '../coordinator-partition.ts';
import { type InternalLog, type JoinReply, OFFSETS_TOPIC, TRANSACTIONS_TOPIC, type TransactionGate } from '../internal-log.ts';
import { applyTransactionRecord } from './apply.ts';
import { Completions, type OffsetKeeper } from './completions.ts';
import {
  checkOffsets,
  checkProducer,
  completed,
  decideAdd,
  decideEnd,
  decideEndAndBump,
  decideExpiry,
  decideInit,
  decideTimeout,
  type IdentityDecision,
  type IdentityFacts,
  type InitRequest,
  type ProducerIdentity,
  type ProducerRequest,
  type TransactionDecision,
  type TransactionFacts,
} from './decide.ts';
import type { TransactionOptions } from './options.ts';
import { ProducerIds } from './producer-ids.ts';
import { decodeTransactionRecord, encodeTransactionRecord, type TransactionRecord } from './records.ts';
import { assertTransactionMove, createTransactionsState, holds, type TransactionState, type TransactionsState } from './state.ts';

export interface TransactionPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

/** Who a producer is from now on; -1 and -1 beside an error. */
export interface IdentityReply extends ProducerIdentity {
  readonly errorCode: number;
}

const { NONE, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR } = ERROR_CODES;
const NOBODY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
/** Producer ids are kept here: one record, whichever partition. */
const PRODUCER_IDS_PARTITION = 0;

export class TransactionCoordinator implements TransactionGate {
  readonly #ports: TransactionPorts;
  readonly #internalLog: InternalLog;
  readonly #options: TransactionOptions;
  readonly #state: TransactionsState = createTransactionsState();
  readonly #byProducer = new Map<number, string>();
  /** Ids whose Prepare record waits for the data to be durable. */
  readonly #inFlight = new Set<string>();
  /** Ids whose newest partitions are not durable yet. */
  readonly #joining = new Map<string, Promise<void>>();
  /** Monotonic ms at which an open transaction has lasted too long. */
  readonly #deadlines = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #completions: Completions;
  #producerIds = new ProducerIds(0);
  #sweeps: Timer[] = [];

  constructor(ports: TransactionPorts, internalLog: InternalLog, offsets: OffsetKeeper, options: TransactionOptions) {
    this.#ports = ports;
    this.#internalLog = internalLog;
    this.#options = options;
    const host = {
      prepared: (transactionalId: string) => this.#state.byId.get(transactionalId),
      markersWritten: (state: TransactionState) => this.#write({ errorCode: NONE, next: completed(state, ports.clock.nowMs()) }),
    };
    const { timers, log } = ports;
    this.#completions = new Completions({ timers, log, internalLog, offsets, host, markerDelayMs: options.markerDelayMs }, this.#stopping.signal);
  }

  /** Reads everything back and completes what was decided. Once, after the group coordinator has started. */
  start(): void {
    for (let partition = 0; partition < this.#internalLog.partitionCount(TRANSACTIONS_TOPIC); partition++) this.#replay(partition);
    let taken = this.#state.producerIdEnd;
    const { wallMs, atMs } = this.#now();
    for (const state of this.#state.byId.values()) {
      this.#byProducer.set(state.producerId, state.transactionalId);
      taken = Math.max(taken, state.producerId + 1, state.nextProducerId + 1);
      const restMs = Math.min(state.timeoutMs, Math.max(0, state.startedAtMs + state.timeoutMs - wallMs));
      if (state.status === 'Ongoing') this.#deadlines.set(state.transactionalId, atMs + restMs);
    }
    this.#producerIds = new ProducerIds(taken);
    for (const state of [...this.#state.byId.values()]) {
      if (state.status === 'PrepareCommit' || state.status === 'PrepareAbort') void this.#completions.begin(state.transactionalId);
    }
    const { timers } = this.#ports;
    this.#sweeps = [
      timers.every(this.#options.sweepIntervalMs, () => this.#abortTimedOut()),
      timers.every(this.#options.expirationIntervalMs, () => this.#forgetIdle()),
    ];
  }

  /** Stops the timers; resolves when no completion is writing any more. What was decided and not completed is completed at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const sweep of this.#sweeps) sweep.cancel();
    await this.#completions.settled();
  }

  /** A producer id for good; with a transactional id also its next epoch. A null id is a producer without transactions. */
  async initProducerId(request: Omit<InitRequest, 'transactionalId'> & { readonly transactionalId: string | null }): Promise<IdentityReply> {
    return this.#guard(
      request.transactionalId ?? '',
      async (): Promise<IdentityReply> => {
        const { transactionalId } = request;
        if (transactionalId !== null && this.#isFull(transactionalId)) return { errorCode: COORDINATOR_NOT_AVAILABLE, ...NOBODY };
        this.#reserveProducerIds();
        const identity = transactionalId === null ? this.#freshIdentity(request.expected) : this.#init({ ...request, transactionalId });
        await this.#internalLog.durable();
        return identity;
      },
      (errorCode) => ({ errorCode, ...NOBODY }),
    );
  }

  /** `partitions` exist: the handler has looked. Answers one code for all. */
  addPartitions(request: ProducerRequest, partitions: readonly TopicPartition[]): Promise<number> {
    return this.#guard(
      request.transactionalId,
      async () => {
        const decision = decideAdd(this.#facts(request.transactionalId), request, partitions);
        this.#write(decision);
        if (decision.next !== undefined) await this.#internalLog.durable();
        return decision.errorCode;
      },
      (errorCode) => errorCode,
    );
  }

  /** Makes the partition that holds `groupId` part of the transaction. */
  addOffsets(request: ProducerRequest, groupId: string): Promise<number> {
    return this.addPartitions(request, [this.#offsetsPartition(groupId)]);
  }

  /**
   * What Produce 12 and TxnOffsetCommit 5 do instead of asking to add partitions first (KIP-890). `ready`: data may be appended only then;
   * requests of one producer that wait go on in the order in which they asked.
   */
  join(request: ProducerRequest, partitions: readonly TopicPartition[]): JoinReply {
    const { transactionalId } = request;
    if (this.#stopping.signal.aborted) return { errorCode: NOT_COORDINATOR, ready: undefined };
    try {
      const decision = decideAdd(this.#facts(transactionalId), request, partitions);
      this.#write(decision);
      if (decision.next !== undefined) this.#hold(transactionalId, this.#internalLog.durable());
      return { errorCode: decision.errorCode, ready: this.#joining.get(transactionalId) };
    } catch (error) {
      return { errorCode: this.#notWritten(transactionalId, error), ready: undefined };
    }
  }

  /** `join` with the group's partition of the offsets topic, waited for. */
  async joinOffsets(request: ProducerRequest, groupId: string): Promise<number> {
    const { errorCode, ready } = this.join(request, [this.#offsetsPartition(groupId)]);
    if (ready === undefined) return errorCode;
    return ready.then(
      () => errorCode,
      (error: unknown) => this.#notWritten(request.transactionalId, error),
    );
  }

  /** EndTxn 0-4. Answers when the outcome is decided and, unless `markerDelayMs` is set, visible to readers. */
  async endTransaction(request: ProducerRequest, commit: boolean): Promise<number> {
    const { errorCode } = await this.#end(request.transactionalId, commit, (facts) => ({ ...decideEnd(facts, request, commit), identity: NOBODY }));
    return errorCode;
  }

  /** EndTxn 5: the same, and the answer is the epoch (or id) under which the producer goes on. */
  endAndBump(request: ProducerRequest, commit: boolean): Promise<IdentityReply> {
    return this.#end(request.transactionalId, commit, (facts) => decideEndAndBump(facts, request, commit));
  }

  #end(transactionalId: string, commit: boolean, decide: (facts: IdentityFacts) => IdentityDecision): Promise<IdentityReply> {
    return this.#guard(
      transactionalId,
      async () => {
        this.#reserveProducerIds();
        let decision = decide(this.#identityFacts(transactionalId));
        if (decision.next === undefined) return replyOf(decision);
        const dataDurable = commit ? this.#internalLog.durable() : undefined;
        if (dataDurable !== undefined) {
          this.#inFlight.add(transactionalId);
          try {
            await dataDurable;
          } finally {
            this.#inFlight.delete(transactionalId);
          }
          decision = decide(this.#identityFacts(transactionalId));
        }
        this.#write(decision);
        if (decision.next !== undefined) await this.#completions.begin(transactionalId);
        return replyOf(decision);
      },
      (errorCode) => ({ errorCode, ...NOBODY }),
    );
  }

  /** TxnOffsetCommit asks before the group is asked: NONE when the group's partition is part of this open transaction. */
  checkOffsets(request: ProducerRequest, groupId: string): number {
    return checkOffsets(this.#facts(request.transactionalId), request, this.#offsetsPartition(groupId));
  }

  checkProducer(request: ProducerRequest): number {
    return checkProducer(this.#facts(request.transactionalId), request);
  }

  holdsPartition(producerId: number, producerEpoch: number, topic: string, partition: number): boolean {
    const transactionalId = this.#byProducer.get(producerId);
    const state = transactionalId === undefined ? undefined : this.#state.byId.get(transactionalId);
    if (state === undefined || state.status !== 'Ongoing' || state.producerId !== producerId || state.producerEpoch !== producerEpoch) return false;
    return holds(state.partitions, topic, partition) && !this.#inFlight.has(state.transactionalId);
  }

  /** Undefined for an id nobody uses. */
  describe(transactionalId: string): TransactionState | undefined {
    return this.#state.byId.get(transactionalId);
  }

  /** Transactions that their producers have not ended. */
  get openCount(): number {
    return this.#deadlines.size;
  }

  list(): readonly TransactionState[] {
    return [...this.#state.byId.values()];
  }

  #init(request: InitRequest): IdentityReply {
    const decision = decideInit({ ...this.#identityFacts(request.transactionalId), timeoutMaxMs: this.#options.timeoutMaxMs }, request);
    this.#write(decision);
    if (decision.next?.status === 'PrepareAbort') void this.#completions.begin(request.transactionalId);
    return replyOf(decision);
  }

  #freshIdentity(expected: ProducerIdentity): IdentityReply {
    if ((expected.producerId === -1) !== (expected.producerEpoch === -1)) return { errorCode: ERROR_CODES.INVALID_REQUEST, ...NOBODY };
    return { errorCode: NONE, producerId: this.#producerIds.take(), producerEpoch: 0 };
  }

  /** Writes down that a block is ours before the first id of it is used. */
  #reserveProducerIds(): void {
    if (!this.#producerIds.exhausted) return;
    const record: TransactionRecord = { kind: 'producer-ids', end: this.#producerIds.next + this.#options.producerIdBlock };
    this.#internalLog.appendRecords(TRANSACTIONS_TOPIC, PRODUCER_IDS_PARTITION, [encodeTransactionRecord(record)]);
    applyTransactionRecord(this.#state, record);
    this.#producerIds.reserved(record.end);
  }

  /** Log first, then state: what could not be written has not happened. */
  #write({ next }: TransactionDecision): void {
    if (next === undefined) return;
    const { transactionalId } = next;
    const old = this.#state.byId.get(transactionalId);
    if (old !== undefined) assertTransactionMove(old.status, next.status);
    this.#append({ kind: 'transaction', transactionalId, value: next });
    if (next.producerId === this.#producerIds.next || next.nextProducerId === this.#producerIds.next) this.#producerIds.take();
    if (old !== undefined && old.producerId !== next.producerId) this.#byProducer.delete(old.producerId);
    this.#byProducer.set(next.producerId, transactionalId);
    if (next.status !== 'Ongoing') this.#deadlines.delete(transactionalId);
    else if (old?.status !== 'Ongoing') this.#deadlines.set(transactionalId, this.#ports.clock.monotonicMs() + next.timeoutMs);
  }

  #append(record: Extract<TransactionRecord, { kind: 'transaction' }>): void {
    const partition = coordinatorPartition(record.transactionalId, this.#internalLog.partitionCount(TRANSACTIONS_TOPIC));
    this.#internalLog.appendRecords(TRANSACTIONS_TOPIC, partition, [encodeTransactionRecord(record)]);
    applyTransactionRecord(this.#state, record);
  }

  #abortTimedOut(): void {
    const { atMs } = this.#now();
    for (const [transactionalId, deadlineMs] of [...this.#deadlines]) {
      if (deadlineMs > atMs) continue;
      const next = decideTimeout(this.#facts(transactionalId));
      if (next === undefined) continue;
      try {
        this.#write({ errorCode: NONE, next });
      } catch (error) {
        this.#ports.log.error({ transactionalId, error: String(error) }, 'a transaction that timed out could not be aborted; trying again at the next sweep');
        continue;
      }
      this.#ports.log.info({ transactionalId, timeoutMs: next.timeoutMs }, 'aborting a transaction that was open for longer than its timeout');
      void this.#completions.begin(transactionalId);
    }
  }

  #forgetIdle(): void {
    for (const [transactionalId, state] of [...this.#state.byId]) {
      if (!decideExpiry(this.#facts(transactionalId), this.#options.idExpirationMs)) continue;
      try {
        this.#append({ kind: 'transaction', transactionalId, value: null });
        this.#byProducer.delete(state.producerId);
      } catch (error) {
        this.#ports.log.error({ transactionalId, error: String(error) }, 'an idle transactional id could not be forgotten; trying again later');
      }
    }
  }

  #replay(partition: number): void {
    this.#internalLog.replay(TRANSACTIONS_TOPIC, partition, {
      record: (bytes, offset) => {
        const where = { topic: TRANSACTIONS_TOPIC, partition, offset };
        try {
          const record = decodeTransactionRecord(bytes);
          if (record !== undefined) applyTransactionRecord(this.#state, record);
        } catch (error) {
          this.#ports.log.warn({ ...where, error: String(error) }, 'skipped a transaction record that cannot be read');
        }
      },
    });
  }

  /** Turns what the log throws into the answer that makes a client look for the coordinator again. */
  async #guard<Reply>(transactionalId: string, run: () => Promise<Reply>, refuse: (errorCode: number) => Reply): Promise<Reply> {
    if (this.#stopping.signal.aborted) return refuse(NOT_COORDINATOR);
    try {
      return await run();
    } catch (error) {
      return refuse(this.#notWritten(transactionalId, error));
    }
  }

  #notWritten(transactionalId: string, error: unknown): number {
    this.#ports.log.error({ transactionalId, error: String(error) }, 'a transaction record could not be written');
    return COORDINATOR_NOT_AVAILABLE;
  }

  /** Data of this transaction waits for `durable`, and for what it waited for before. */
  #hold(transactionalId: string, durable: Promise<void> | undefined): void {
    if (durable === undefined) return;
    const before = this.#joining.get(transactionalId);
    const held = before === undefined ? durable : before.then(() => durable);
    this.#joining.set(transactionalId, held);
    const settled = (): void => {
      if (this.#joining.get(transactionalId) === held) this.#joining.delete(transactionalId);
    };
    held.then(settled, settled);
  }

  #isFull(transactionalId: string): boolean {
    return this.#state.byId.size >= this.#options.transactionalIdsMax && !this.#state.byId.has(transactionalId);
  }

  #facts(transactionalId: string): TransactionFacts {
    return { state: this.#state.byId.get(transactionalId), inFlight: this.#inFlight.has(transactionalId), nowMs: this.#ports.clock.nowMs() };
  }

  #identityFacts(transactionalId: string): IdentityFacts {
    return { ...this.#facts(transactionalId), freshProducerId: this.#producerIds.next };
  }

  #offsetsPartition(groupId: string): TopicPartition {
    return { topic: OFFSETS_TOPIC, partition: coordinatorPartition(groupId, this.#internalLog.partitionCount(OFFSETS_TOPIC)) };
  }

  #now(): { readonly wallMs: number; readonly atMs: number } {
    return { wallMs: this.#ports.clock.nowMs(), atMs: this.#ports.clock.monotonicMs() };
  }
}

function replyOf({ errorCode, identity }: IdentityDecision): IdentityReply {
  return { errorCode, producerId: identity.producerId, producerEpoch: identity.producerEpoch };
}
