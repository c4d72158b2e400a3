// What a transactional id answers and writes: pure functions from its state, one request and the time to a decision.
// Owns: the checks of id, epoch and state (KIP-98, KIP-360, KIP-447, KIP-890) through the table in state.ts.
// Never: writes, waits, reads a clock. The coordinator carries decisions out.
// Fenced is answered with PRODUCER_FENCED; handlers say INVALID_PRODUCER_EPOCH to versions that do not know it.
import { assert, type TopicPartition } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import {
  holds,
  type PartitionTable,
  TRANSACTION_TABLE,
  type TransactionEvent,
  type TransactionResponse,
  type TransactionState,
  type TransactionStatus,
} from './state.ts';

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

/** For decisions that may need an id that was never handed out. */
export interface IdentityFacts extends TransactionFacts {
  readonly freshProducerId: number;
}

export interface InitFacts extends IdentityFacts {
  readonly timeoutMaxMs: number;
}

/** A decision whose answer tells the producer who it is from now on. */
export interface IdentityDecision extends TransactionDecision {
  /** -1 and -1 beside an error. */
  readonly identity: ProducerIdentity;
}

const NOBODY: ProducerIdentity = { producerId: -1, producerEpoch: -1 };
const NO_PARTITIONS: PartitionTable = new Map();

/** As producer id and as epoch: the caller has none. */
const NO_PRODUCER = -1;

export function decideInit(facts: InitFacts, request: InitRequest): IdentityDecision {
  const { state } = facts;
  const { expected } = request;
  if (request.transactionalId === '' || (expected.producerId === NO_PRODUCER) !== (expected.producerEpoch === NO_PRODUCER)) return refuse(INVALID_REQUEST);
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

function grant(next: TransactionState): IdentityDecision {
  return { errorCode: NONE, next, identity: next };
}

function refuse(errorCode: number): IdentityDecision {
  return { errorCode, next: undefined, identity: NOBODY };
}

function initialState(facts: InitFacts, request: InitRequest): TransactionState {
  return {
    transactionalId: request.transactionalId,
    producerId: facts.freshProducerId,
    producerEpoch: 0,
    previousProducerId: -1,
    previousEpoch: -1,
    nextProducerId: -1,
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

/** EndTxn 0-4: the producer keeps its epoch. */
export function decideEnd(facts: TransactionFacts, request: ProducerRequest, commit: boolean): TransactionDecision {
  const { state } = facts;
  const refused = refuseProducer(facts, request);
  if (refused !== NONE || state === undefined) return { errorCode: refused, next: undefined };
  const response = TRANSACTION_TABLE[state.status][commit ? 'commit' : 'abort'];
  if (response !== 'prepare') return { errorCode: endCode(response), next: undefined };
  return { errorCode: NONE, next: { ...state, status: commit ? 'PrepareCommit' : 'PrepareAbort', updatedAtMs: facts.nowMs } };
}

/**
 * EndTxn 5: the markers carry the next epoch, which the answer hands to the producer: what is still on its way from the transaction that
 * ended can belong to no later one. When the epochs are used up the answer names a new producer id, which takes over after the markers.
 */
export function decideEndAndBump(facts: IdentityFacts, request: ProducerRequest, commit: boolean): IdentityDecision {
  const { state } = facts;
  if (request.transactionalId === '') return refuse(INVALID_REQUEST);
  if (state === undefined) return refuse(INVALID_PRODUCER_ID_MAPPING);
  if (facts.inFlight) return refuse(CONCURRENT_TRANSACTIONS);
  const caller = whoEnds(state, request);
  if (caller === 'stranger') return refuse(state.producerId === request.producerId ? PRODUCER_FENCED : strangerCode(state, request));
  if (request.producerEpoch > PRODUCER_EPOCH_MAX) return refuse(PRODUCER_FENCED);
  const response = TRANSACTION_TABLE[state.status][END_EVENTS[caller][commit ? 'commit' : 'abort']];
  if (response === 'done') return { errorCode: NONE, next: undefined, identity: state };
  if (response !== 'prepare') return refuse(endCode(response));
  const next: TransactionState = {
    ...state,
    producerEpoch: state.producerEpoch + 1,
    previousProducerId: request.producerId,
    previousEpoch: request.producerEpoch,
    nextProducerId: state.producerEpoch >= PRODUCER_EPOCH_MAX ? facts.freshProducerId : -1,
    status: commit ? 'PrepareCommit' : 'PrepareAbort',
    startedAtMs: state.startedAtMs < 0 ? facts.nowMs : state.startedAtMs,
    updatedAtMs: facts.nowMs,
  };
  return { errorCode: NONE, next, identity: completed(next, facts.nowMs) };
}

/**
 * Who asks for an end: the current producer; the one whose transaction brought the current epoch by ending, also where a timeout ended it (its abort
 * then is what has happened, and it goes on); or someone older.
 */
function whoEnds(state: TransactionState, { producerId, producerEpoch }: ProducerIdentity): 'current' | 'previous' | 'stranger' {
  if (producerId === state.producerId && producerEpoch === state.producerEpoch) return 'current';
  if (producerId === state.producerId && producerEpoch + 1 === state.producerEpoch && producerEpoch >= 0) return 'previous';
  return producerId >= 0 && producerId === state.previousProducerId && producerEpoch === state.previousEpoch ? 'previous' : 'stranger';
}

const END_EVENTS: Readonly<Record<'current' | 'previous', Readonly<Record<'commit' | 'abort', TransactionEvent>>>> = {
  current: { commit: 'commitBump', abort: 'abortBump' },
  previous: { commit: 'commitAgain', abort: 'abortAgain' },
};

function endCode(response: TransactionResponse): number {
  switch (response) {
    case 'done':
      return NONE;
    case 'busy':
      return CONCURRENT_TRANSACTIONS;
    case 'stranger':
      return PRODUCER_FENCED;
    default:
      return INVALID_TXN_STATE;
  }
}

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
  const ended: TransactionState = { ...state, status, partitions: NO_PARTITIONS, startedAtMs: -1, updatedAtMs: nowMs };
  return state.nextProducerId < 0 ? ended : { ...ended, producerId: state.nextProducerId, producerEpoch: 0, nextProducerId: -1 };
}

/** The checks that AddPartitions, AddOffsets and EndTxn 0-4 share. */
function refuseProducer({ state, inFlight }: TransactionFacts, request: ProducerRequest): number {
  if (request.transactionalId === '') return INVALID_REQUEST;
  if (state === undefined) return INVALID_PRODUCER_ID_MAPPING;
  if (state.producerId !== request.producerId) return strangerCode(state, request);
  if (state.producerEpoch !== request.producerEpoch || state.producerEpoch > PRODUCER_EPOCH_MAX) return PRODUCER_FENCED;
  return inFlight ? CONCURRENT_TRANSACTIONS : NONE;
}

/** The id that takes over after the markers may be early; any other id has no business here. */
function strangerCode(state: TransactionState, request: ProducerIdentity): number {
  return state.nextProducerId >= 0 && state.nextProducerId === request.producerId ? CONCURRENT_TRANSACTIONS : INVALID_PRODUCER_ID_MAPPING;
}

/** Is this the producer of that transactional id? NONE, or why not; also while its transaction is being ended. */
export function checkProducer(facts: TransactionFacts, request: ProducerRequest): number {
  return refuseProducer(facts, request);
}

/** TxnOffsetCommit: is the group's partition of the offsets topic part of the open transaction? INVALID_TXN_STATE if not. */
export function checkOffsets(facts: TransactionFacts, request: ProducerRequest, offsets: TopicPartition): number {
  const refused = refuseProducer(facts, request);
  if (refused !== NONE) return refused;
  const { state } = facts;
  const open = state?.status === 'Ongoing' && holds(state.partitions, offsets.topic, offsets.partition);
  return open ? NONE : INVALID_TXN_STATE;
}
