// What a transactional id is doing, and which moves it may make.
// Owns: the shapes, the two tables.  Never: changes in place: a record brings a whole new state.
//
//               AddPartitions, AddOffsets              EndTxn: prepare record            markers written
//   Empty ────────────────────────────────▶ Ongoing ───────────────────────▶ PrepareX ────────────────────▶ CompleteX
//     ▲                                      ▲    │ time is up, or a new producer: epoch + 1                  │  │
//     │                                      │    └──(PrepareEpochFence, never written)──▶ PrepareAbort       │  │
//     │                                      └────────────AddPartitions, AddOffsets───────────────────────────┘  │
//     └───────────────────────────────────────────────────InitProducerId: epoch + 1──────────────────────────────┘
//
// T1 once a Prepare record is in the log the outcome is decided: a restart writes the markers again and completes.
// T2 an epoch is never given to two producers.
import { assert } from '@millrace/core';
import type { TRANSACTION_STATUS } from '@millrace/protocol';

export type TransactionStatus = keyof typeof TRANSACTION_STATUS;

export const TRANSACTION_MOVES: Readonly<Record<TransactionStatus, readonly TransactionStatus[]>> = {
  Empty: ['Empty', 'Ongoing', 'Dead'],
  Ongoing: ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence'],
  PrepareEpochFence: ['PrepareAbort'],
  PrepareCommit: ['CompleteCommit'],
  PrepareAbort: ['CompleteAbort'],
  CompleteCommit: ['Empty', 'Ongoing', 'Dead'],
  CompleteAbort: ['Empty', 'Ongoing', 'Dead'],
  Dead: [],
};

export type TransactionEvent = 'init' | 'add' | 'commit' | 'abort' | 'timeout' | 'expire';
/**
 * bump: the next epoch, state Empty · fence: epoch + 1 and abort · open: join partitions · prepare: the outcome is decided ·
 * done: it was so already · busy: come again · invalid: not in this state · ignore: nothing to do · forget: drop the id.
 */
export type TransactionResponse = 'bump' | 'fence' | 'open' | 'prepare' | 'done' | 'busy' | 'invalid' | 'ignore' | 'forget';

/** What each event means in each state. */
export const TRANSACTION_TABLE: Readonly<Record<TransactionStatus, Readonly<Record<TransactionEvent, TransactionResponse>>>> = {
  Empty: { init: 'bump', add: 'open', commit: 'invalid', abort: 'invalid', timeout: 'ignore', expire: 'forget' },
  Ongoing: { init: 'fence', add: 'open', commit: 'prepare', abort: 'prepare', timeout: 'fence', expire: 'ignore' },
  PrepareEpochFence: { init: 'busy', add: 'busy', commit: 'busy', abort: 'busy', timeout: 'ignore', expire: 'ignore' },
  PrepareCommit: { init: 'busy', add: 'busy', commit: 'busy', abort: 'invalid', timeout: 'ignore', expire: 'ignore' },
  PrepareAbort: { init: 'busy', add: 'busy', commit: 'invalid', abort: 'busy', timeout: 'ignore', expire: 'ignore' },
  CompleteCommit: { init: 'bump', add: 'open', commit: 'done', abort: 'invalid', timeout: 'ignore', expire: 'forget' },
  CompleteAbort: { init: 'bump', add: 'open', commit: 'invalid', abort: 'done', timeout: 'ignore', expire: 'forget' },
  Dead: { init: 'busy', add: 'busy', commit: 'busy', abort: 'busy', timeout: 'ignore', expire: 'ignore' },
};

/** Partitions by topic. */
export type PartitionTable = ReadonlyMap<string, ReadonlySet<number>>;

export interface TransactionState {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  /** What the producer called itself when it asked for the current epoch: a retry of that request gets the same answer. -1: it named nothing, or has gone on since. */
  readonly previousProducerId: number;
  readonly previousEpoch: number;
  readonly timeoutMs: number;
  readonly status: TransactionStatus;
  /** Empty unless a transaction is open or being completed. */
  readonly partitions: PartitionTable;
  /** Wall clock ms at which the open transaction began; -1 without one. */
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
}

/** Everything the transaction topic says. Changed by `applyTransactionRecord` only. */
export interface TransactionsState {
  readonly byId: Map<string, TransactionState>;
  /** Producer ids from here on were never handed out. */
  producerIdEnd: number;
}

export function createTransactionsState(): TransactionsState {
  return { byId: new Map(), producerIdEnd: 0 };
}

export function assertTransactionMove(from: TransactionStatus, to: TransactionStatus): void {
  assert(TRANSACTION_MOVES[from].includes(to), `a transaction does not move from ${from} to ${to}`);
}

export function holds(partitions: PartitionTable, topic: string, partition: number): boolean {
  return partitions.get(topic)?.has(partition) ?? false;
}
