// What a transactional id answers and writes: pure functions from its state, one request and the time to a decision.
// Owns: the checks of id, epoch and state (KIP-98, KIP-360, KIP-447) through the table in state.ts.
// Never: writes, waits, reads a clock. The coordinator carries decisions out.
// Fenced is answered with PRODUCER_FENCED; handlers say INVALID_PRODUCER_EPOCH to versions that do not know it.
import { assert, type TopicPartition } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import { holds, type PartitionTable, TRANSACTION_TABLE, type TransactionResponse, type TransactionState, type TransactionStatus } from './state.ts';

const { NONE, CONCURRENT_TRANSACTIONS, INVALID_PRODUCER_ID_MAPPING, INVALID_TXN_STATE, PRODUCER_FENCED } = ERROR_CODES;
const { INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT } = ERROR_CODES;

/** The last epoch that a producer may hold; the one after it is left for fencing. */
export const PRODUCER_EPOCH_MAX = 32_766;

export interface TransactionFacts {
  /** Undefined: the id is not known. */
  readonly state: TransactionState | undefined;
  /** An earlier decision about this id is still being carried out. */
  readonly inFlight: boolean;
  readonly nowMs: number;
}

export interface TransactionDecision {
  readonly errorCode: number;
  /** The state to write; undefined: nothing changes. */
  readonly next: TransactionState | undefined;
}

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

export interface InitRequest {
  readonly transactionalId: string;
  readonly timeoutMs: number;
  /** What the caller takes itself for; -1 and -1 when it has no idea. */
  readonly expected: ProducerIdentity;
}

export interface InitFacts extends TransactionFacts {
  readonly timeoutMaxMs: number;
  /** An id that was never handed out, should one be needed. */
  readonly freshProducerId: number;
}

export interface InitDecision extends TransactionDecision {
  /** -1 and -1 beside an error. */
  readonly identity: ProducerIdentity;
}

const NOBODY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
const NO_PARTITIONS: PartitionTable = new Map();

export function decideInit(facts: InitFacts, request: InitRequest): InitDecision {
  const { state } = facts;
  const { expected } = request;
  const refuse = (errorCode: number): InitDecision => ({ errorCode, next: undefined, identity: NOBODY });
  if (request.transactionalId === '' || expected.producerId < 0 !== expected.producerEpoch < 0) return refuse(INVALID_REQUEST);
  if (request.timeoutMs <= 0 || request.timeoutMs > facts.timeoutMaxMs) return refuse(INVALID_TRANSACTION_TIMEOUT);
  if (facts.inFlight) return refuse(CONCURRENT_TRANSACTIONS);
  if (state === undefined) return grant(initialState(facts, request));
  const caller = recognise(state, expected);
  if (caller === 'stranger') return refuse(PRODUCER_FENCED);
  const response = TRANSACTION_TABLE[state.status].init;
  if (response === 'busy') return refuse(CONCURRENT_TRANSACTIONS);
  const named = caller === 'unnamed' ? NOBODY : expected;
  if (response === 'fence') return { errorCode: CONCURRENT_TRANSACTIONS, next: fenced(state, facts.nowMs, named), identity: NOBODY };
  assert(response === 'bump', `init in ${state.status}`);
  // Empty since this caller's own bump: the answer was lost, and it asks again.
  if (caller === 'previous' && state.status === 'Empty') return { errorCode: NONE, next: undefined, identity: state };
  return grant(bumped(state, facts, request.timeoutMs, named));
}

function grant(next: TransactionState): InitDecision {
  return { errorCode: NONE, next, identity: next };
}

function initialState(facts: InitFacts, request: InitRequest): TransactionState {
  return {
    transactionalId: request.transactionalId,
    producerId: facts.freshProducerId,
    producerEpoch: 0,
    previousProducerId: -1,
    previousEpoch: -1,
    timeoutMs: request.timeoutMs,
    status: 'Empty',
    partitions: NO_PARTITIONS,
    startedAtMs: -1,
    updatedAtMs: facts.nowMs,
  };
}

/** The next epoch, or a new producer id when epochs are used up. */
function bumped(state: TransactionState, facts: InitFacts, timeoutMs: number, named: ProducerIdentity): TransactionState {
  const exhausted = state.producerEpoch >= PRODUCER_EPOCH_MAX;
  return {
    ...state,
    producerId: exhausted ? facts.freshProducerId : state.producerId,
    producerEpoch: exhausted ? 0 : state.producerEpoch + 1,
    previousProducerId: named.producerId,
    previousEpoch: named.producerEpoch,
    timeoutMs,
    status: 'Empty',
    partitions: NO_PARTITIONS,
    startedAtMs: -1,
    updatedAtMs: facts.nowMs,
  };
}

/** The open transaction ends in an abort under an epoch that nobody holds, so that its producer is shut out. */
function fenced(state: TransactionState, nowMs: number, named: ProducerIdentity): TransactionState {
  return {
    ...state,
    producerEpoch: state.producerEpoch + 1,
    previousProducerId: named.producerId,
    previousEpoch: named.producerEpoch,
    status: 'PrepareAbort',
    updatedAtMs: nowMs,
  };
}

/** Who asks: nobody in particular, the current producer, the one that asked for the current epoch, or someone older. */
function recognise(state: TransactionState, expected: ProducerIdentity): 'unnamed' | 'current' | 'previous' | 'stranger' {
  if (expected.producerId < 0) return 'unnamed';
  if (expected.producerId === state.producerId && expected.producerEpoch === state.producerEpoch) return 'current';
  if (expected.producerId === state.previousProducerId && expected.producerEpoch === state.previousEpoch) return 'previous';
  return 'stranger';
}

export interface ProducerRequest extends ProducerIdentity {
  readonly transactionalId: string;
}

/** AddPartitionsToTxn and AddOffsetsToTxn: `partitions` exist. */
export function decideAdd(facts: TransactionFacts, request: ProducerRequest, partitions: readonly TopicPartition[]): TransactionDecision {
  const { state } = facts;
  const refused = refuseProducer(facts, request);
  if (refused !== NONE || state === undefined) return { errorCode: refused, next: undefined };
  const response = TRANSACTION_TABLE[state.status].add;
  if (response !== 'open') return { errorCode: CONCURRENT_TRANSACTIONS, next: undefined };
  const open = state.status === 'Ongoing';
  const held = open ? state.partitions : NO_PARTITIONS;
  const added = partitions.filter(({ topic, partition }) => !holds(held, topic, partition));
  if (added.length === 0) return { errorCode: NONE, next: undefined };
  const next: TransactionState = {
    ...state,
    // The producer works under its epoch, so it has had the answer that gave it.
    previousProducerId: -1,
    previousEpoch: -1,
    status: 'Ongoing',
    partitions: joined(held, added),
    startedAtMs: open ? state.startedAtMs : facts.nowMs,
    updatedAtMs: facts.nowMs,
  };
  return { errorCode: NONE, next };
}

function joined(held: PartitionTable, added: readonly TopicPartition[]): PartitionTable {
  const table = new Map([...held].map(([topic, ids]) => [topic, new Set(ids)]));
  for (const { topic, partition } of added) {
    let ids = table.get(topic);
    if (ids === undefined) table.set(topic, (ids = new Set()));
    ids.add(partition);
  }
  return table;
}

export function decideEnd(facts: TransactionFacts, request: ProducerRequest, commit: boolean): TransactionDecision {
  const { state } = facts;
  const refused = refuseProducer(facts, request);
  if (refused !== NONE || state === undefined) return { errorCode: refused, next: undefined };
  const response = TRANSACTION_TABLE[state.status][commit ? 'commit' : 'abort'];
  if (response !== 'prepare') return { errorCode: END_CODES[response] ?? INVALID_TXN_STATE, next: undefined };
  return { errorCode: NONE, next: { ...state, status: commit ? 'PrepareCommit' : 'PrepareAbort', updatedAtMs: facts.nowMs } };
}

const END_CODES: Partial<Record<TransactionResponse, number>> = { done: NONE, busy: CONCURRENT_TRANSACTIONS, invalid: INVALID_TXN_STATE };

/** The coordinator has seen the transaction open for longer than its timeout. */
export function decideTimeout(facts: TransactionFacts): TransactionState | undefined {
  const { state } = facts;
  if (state === undefined || facts.inFlight || TRANSACTION_TABLE[state.status].timeout !== 'fence') return undefined;
  return fenced(state, facts.nowMs, NOBODY);
}

/** True when the id may be forgotten: nothing is open and nobody has used it for `idleMs`. */
export function decideExpiry(facts: TransactionFacts, idleMs: number): boolean {
  const { state } = facts;
  if (state === undefined || facts.inFlight || TRANSACTION_TABLE[state.status].expire !== 'forget') return false;
  return facts.nowMs - state.updatedAtMs >= idleMs;
}

/** All markers are written. */
export function completed(state: TransactionState, nowMs: number): TransactionState {
  const status: TransactionStatus = state.status === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort';
  return { ...state, status, partitions: NO_PARTITIONS, startedAtMs: -1, updatedAtMs: nowMs };
}

/** The checks that AddPartitions, AddOffsets and EndTxn share. */
function refuseProducer({ state, inFlight }: TransactionFacts, request: ProducerRequest): number {
  if (request.transactionalId === '') return INVALID_REQUEST;
  if (state === undefined || state.producerId !== request.producerId) return INVALID_PRODUCER_ID_MAPPING;
  if (state.producerEpoch !== request.producerEpoch) return PRODUCER_FENCED;
  return inFlight ? CONCURRENT_TRANSACTIONS : NONE;
}

/** TxnOffsetCommit: is the group's partition of the offsets topic part of the open transaction? INVALID_TXN_STATE if not. */
export function checkOffsets(facts: TransactionFacts, request: ProducerRequest, offsets: TopicPartition): number {
  const refused = refuseProducer(facts, request);
  if (refused !== NONE) return refused;
  const { state } = facts;
  const open = state?.status === 'Ongoing' && holds(state.partitions, offsets.topic, offsets.partition);
  return open ? NONE : INVALID_TXN_STATE;
}
