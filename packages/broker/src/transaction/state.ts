// What a transactional id is doing, and which moves it may make.
// Owns: the shapes, the two tables.  Never: changes in place: a record brings a whole new state.
//
//               AddPartitions, AddOffsets              EndTxn: prepare record            markers written
//   Empty ────────────────────────────────▶ Ongoing ───────────────────────▶ PrepareX ────────────────────▶ CompleteX
//     │                                                                          ▲                              │
//     └───────────EndTxn 5: abort although nothing is open, for its bump─────────┴──────────────────────────────┘
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
  Empty: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Ongoing: ['Ongoing', 'PrepareCommit', 'PrepareAbort', 'PrepareEpochFence'],
  PrepareEpochFence: ['PrepareAbort'],
  PrepareCommit: ['CompleteCommit'],
  PrepareAbort: ['CompleteAbort'],
  CompleteCommit: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  CompleteAbort: ['Empty', 'Ongoing', 'PrepareAbort', 'Dead'],
  Dead: [],
};

/**
 * commit, abort: EndTxn 0-4 · commitBump, abortBump: EndTxn 5 by the current epoch · commitAgain, abortAgain: EndTxn 5 by the epoch before it,
 * whose transaction has ended: the answer was lost, or a timeout was faster.
 */
export type TransactionEvent = 'init' | 'add' | 'commit' | 'abort' | 'commitBump' | 'abortBump' | 'commitAgain' | 'abortAgain' | 'timeout' | 'expire';
/**
 * bump: the next epoch, state Empty · fence: epoch + 1 and abort · open: join partitions · prepare: the outcome is decided ·
 * done: it was so already · busy: come again · invalid: not in this state · stranger: nobody of that epoch may ask ·
 * ignore: nothing to do · forget: drop the id.
 */
export type TransactionResponse = 'bump' | 'fence' | 'open' | 'prepare' | 'done' | 'busy' | 'invalid' | 'stranger' | 'ignore' | 'forget';

/** What each event means in each state. */
export const TRANSACTION_TABLE: Readonly<Record<TransactionStatus, Readonly<Record<TransactionEvent, TransactionResponse>>>> = {
  Empty: {
    ...{ init: 'bump', add: 'open', timeout: 'ignore', expire: 'forget' },
    ...{ commit: 'invalid', commitBump: 'invalid', commitAgain: 'stranger' },
    ...{ abort: 'invalid', abortBump: 'prepare', abortAgain: 'stranger' },
  },
  Ongoing: {
    ...{ init: 'fence', add: 'open', timeout: 'fence', expire: 'ignore' },
    ...{ commit: 'prepare', commitBump: 'prepare', commitAgain: 'stranger' },
    ...{ abort: 'prepare', abortBump: 'prepare', abortAgain: 'stranger' },
  },
  PrepareCommit: {
    ...{ init: 'busy', add: 'busy', timeout: 'ignore', expire: 'ignore' },
    ...{ commit: 'busy', commitBump: 'stranger', commitAgain: 'busy' },
    ...{ abort: 'invalid', abortBump: 'stranger', abortAgain: 'invalid' },
  },
  PrepareAbort: {
    ...{ init: 'busy', add: 'busy', timeout: 'ignore', expire: 'ignore' },
    ...{ commit: 'invalid', commitBump: 'stranger', commitAgain: 'invalid' },
    ...{ abort: 'busy', abortBump: 'stranger', abortAgain: 'busy' },
  },
  CompleteCommit: {
    ...{ init: 'bump', add: 'open', timeout: 'ignore', expire: 'forget' },
    ...{ commit: 'done', commitBump: 'invalid', commitAgain: 'done' },
    ...{ abort: 'invalid', abortBump: 'prepare', abortAgain: 'invalid' },
  },
  CompleteAbort: {
    ...{ init: 'bump', add: 'open', timeout: 'ignore', expire: 'forget' },
    ...{ commit: 'invalid', commitBump: 'invalid', commitAgain: 'invalid' },
    ...{ abort: 'done', abortBump: 'prepare', abortAgain: 'done' },
  },
  PrepareEpochFence: {
    ...{ init: 'busy', add: 'busy', timeout: 'ignore', expire: 'ignore' },
    ...{ commit: 'busy', commitBump: 'busy', commitAgain: 'busy' },
    ...{ abort: 'busy', abortBump: 'busy', abortAgain: 'busy' },
  },
  Dead: {
    ...{ init: 'busy', add: 'busy', timeout: 'ignore', expire: 'ignore' },
    ...{ commit: 'busy', commitBump: 'busy', commitAgain: 'busy' },
    ...{ abort: 'busy', abortBump: 'busy', abortAgain: 'busy' },
  },
};

/** Partitions by topic. */
export type PartitionTable = ReadonlyMap<string, ReadonlySet<number>>;

export interface TransactionState {
  readonly transactionalId: string;
  readonly producerId: number;
  readonly producerEpoch: number;
  /**
   * What the producer called itself when it asked for the current epoch (InitProducerId, EndTxn 5): a retry of that request gets the same answer.
   * -1: it named nothing, or has gone on since.
   */
  readonly previousProducerId: number;
  readonly previousEpoch: number;
  /** The id that takes over, with epoch 0, once the markers are written, because the epochs of this one are used up; -1 without one. */
  readonly nextProducerId: number;
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
