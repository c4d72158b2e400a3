// The state table of transactions, every cell, and the checks of ids and epochs around it.
import { ERROR_CODES } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import {
  checkOffsets,
  completed,
  decideAdd,
  decideEnd,
  decideEndAndBump,
  decideExpiry,
  decideInit,
  decideTimeout,
  type IdentityDecision,
  type InitRequest,
  PRODUCER_EPOCH_MAX,
} from './decide.ts';
import { decodeTransactionRecord, encodeTransactionRecord } from './records.ts';
import { TRANSACTION_MOVES, TRANSACTION_TABLE, type TransactionState, type TransactionStatus } from './state.ts';

const E = ERROR_CODES;
const PID = 40;
const FRESH = 77;
const NOW = 1_000;

function state(status: TransactionStatus, change: Partial<TransactionState> = {}): TransactionState {
  const open = status !== 'Empty' && !status.startsWith('Complete');
  return {
    transactionalId: 'x',
    producerId: PID,
    producerEpoch: 3,
    previousProducerId: -1,
    previousEpoch: -1,
    nextProducerId: -1,
    timeoutMs: 60_000,
    status,
    partitions: new Map(open ? [['t', new Set([0])]] : []),
    startedAtMs: open ? 500 : -1,
    updatedAtMs: 500,
    ...change,
  };
}
const init = (from: TransactionState | undefined, change: Partial<InitRequest> = {}, inFlight = false): IdentityDecision =>
  decideInit(
    { state: from, inFlight, nowMs: NOW, timeoutMaxMs: 900_000, freshProducerId: FRESH },
    { transactionalId: 'x', timeoutMs: 60_000, expected: { producerId: -1, producerEpoch: -1 }, ...change },
  );
const facts = (from: TransactionState | undefined, inFlight = false) => ({ state: from, inFlight, nowMs: NOW });
const me = { transactionalId: 'x', producerId: PID, producerEpoch: 3 };

describe('InitProducerId', () => {
  test.each<[TransactionStatus | 'none', number, TransactionStatus | undefined, number, number]>([
    ['none', E.NONE, 'Empty', FRESH, 0],
    ['Empty', E.NONE, 'Empty', PID, 4],
    ['CompleteCommit', E.NONE, 'Empty', PID, 4],
    ['CompleteAbort', E.NONE, 'Empty', PID, 4],
    ['Ongoing', E.CONCURRENT_TRANSACTIONS, 'PrepareAbort', PID, 4],
    ['PrepareCommit', E.CONCURRENT_TRANSACTIONS, undefined, 0, 0],
    ['PrepareAbort', E.CONCURRENT_TRANSACTIONS, undefined, 0, 0],
    ['PrepareEpochFence', E.CONCURRENT_TRANSACTIONS, undefined, 0, 0],
    ['Dead', E.CONCURRENT_TRANSACTIONS, undefined, 0, 0],
  ])('on %s answers %i', (from, code, status, producerId, producerEpoch) => {
    const decision = init(from === 'none' ? undefined : state(from));
    expect(decision.errorCode).toBe(code);
    if (status === undefined) expect(decision.next).toBeUndefined();
    else expect(decision.next).toMatchObject({ status, producerId, producerEpoch });
    expect(decision.identity).toMatchObject(code === E.NONE ? { producerId, producerEpoch } : { producerId: -1, producerEpoch: -1 });
  });
  test.each<[string, Partial<InitRequest>, number]>([
    ['an empty transactional id', { transactionalId: '' }, E.INVALID_REQUEST],
    ['a producer id without an epoch', { expected: { producerId: PID, producerEpoch: -1 } }, E.INVALID_REQUEST],
    ['an epoch without a producer id', { expected: { producerId: -1, producerEpoch: 3 } }, E.INVALID_REQUEST],
    ['no timeout', { timeoutMs: 0 }, E.INVALID_TRANSACTION_TIMEOUT],
    ['a timeout above the most', { timeoutMs: 900_001 }, E.INVALID_TRANSACTION_TIMEOUT],
    ['another producer id', { expected: { producerId: PID + 1, producerEpoch: 3 } }, E.PRODUCER_FENCED],
    ['an older epoch', { expected: { producerId: PID, producerEpoch: 2 } }, E.PRODUCER_FENCED],
    ['a newer epoch', { expected: { producerId: PID, producerEpoch: 4 } }, E.PRODUCER_FENCED],
  ])('refuses %s', (_name, change, code) => {
    for (const from of ['Empty', 'Ongoing', 'CompleteAbort'] as const) expect(init(state(from), change)).toMatchObject({ errorCode: code, next: undefined });
  });
  test('waits for a decision that is being carried out', () => {
    expect(init(state('Ongoing'), {}, true).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
  });
  test('gives the answer again when it was lost, and only then', () => {
    const expected = { producerId: PID, producerEpoch: 3 };
    const bumped = init(state('CompleteCommit'), { expected });
    expect(bumped.identity).toMatchObject({ producerEpoch: 4 });
    const again = init(bumped.next, { expected });
    expect(again).toMatchObject({ errorCode: E.NONE, next: undefined, identity: { producerId: PID, producerEpoch: 4 } });
    const unnamed = init(state('CompleteCommit'));
    expect(init(unnamed.next, { expected })).toMatchObject({ errorCode: E.PRODUCER_FENCED });
    const worked = decideAdd(facts(bumped.next), { ...me, producerEpoch: 4 }, [{ topic: 't', partition: 0 }]).next;
    expect(init(worked, { expected })).toMatchObject({ errorCode: E.PRODUCER_FENCED, next: undefined });
  });
  test('of a producer that names itself while its transaction is open aborts, then bumps a second time (3 to 5)', () => {
    const expected = { producerId: PID, producerEpoch: 3 };
    const fence = init(state('Ongoing'), { expected });
    expect(fence.next).toMatchObject({ status: 'PrepareAbort', producerEpoch: 4 });
    const aborted = completed(fence.next as TransactionState, NOW);
    const second = init(aborted, { expected });
    expect(second.identity).toMatchObject({ producerId: PID, producerEpoch: 5 });
    expect(init(second.next, { expected }).identity).toMatchObject({ producerEpoch: 5 });
  });
  test('changes the producer id when the epochs are used up, and knows a retry of that', () => {
    const expected = { producerId: PID, producerEpoch: PRODUCER_EPOCH_MAX };
    const last = state('CompleteCommit', { producerEpoch: PRODUCER_EPOCH_MAX });
    const decision = init(last, { expected });
    expect(decision.identity).toMatchObject({ producerId: FRESH, producerEpoch: 0 });
    expect(init(decision.next, { expected }).identity).toMatchObject({ producerId: FRESH, producerEpoch: 0 });
    expect(init(state('Empty', { producerEpoch: PRODUCER_EPOCH_MAX - 1 })).identity).toMatchObject({ producerId: PID, producerEpoch: PRODUCER_EPOCH_MAX });
    const fenced = completed(init(state('Ongoing', { producerEpoch: PRODUCER_EPOCH_MAX })).next as TransactionState, NOW);
    expect(fenced.producerEpoch).toBe(32_767);
    expect(init(fenced).identity).toMatchObject({ producerId: FRESH, producerEpoch: 0 });
  });
});

describe('AddPartitions and AddOffsets', () => {
  const one = [{ topic: 't', partition: 1 }];
  test.each<[TransactionStatus | 'none', number]>([
    ['none', E.INVALID_PRODUCER_ID_MAPPING],
    ['Empty', E.NONE],
    ['Ongoing', E.NONE],
    ['CompleteCommit', E.NONE],
    ['CompleteAbort', E.NONE],
    ['PrepareCommit', E.CONCURRENT_TRANSACTIONS],
    ['PrepareAbort', E.CONCURRENT_TRANSACTIONS],
    ['PrepareEpochFence', E.CONCURRENT_TRANSACTIONS],
    ['Dead', E.CONCURRENT_TRANSACTIONS],
  ])('on %s answer %i', (from, code) => {
    const decision = decideAdd(facts(from === 'none' ? undefined : state(from)), me, one);
    expect(decision.errorCode).toBe(code);
    if (code !== E.NONE) return expect(decision.next).toBeUndefined();
    expect(decision.next).toMatchObject({ status: 'Ongoing', startedAtMs: from === 'Ongoing' ? 500 : NOW, updatedAtMs: NOW });
    expect([...(decision.next?.partitions.get('t') ?? [])]).toEqual(from === 'Ongoing' ? [0, 1] : [1]);
  });
  test('check who asks before anything else', () => {
    for (const from of ['Empty', 'Ongoing', 'PrepareCommit'] as const) {
      const of = facts(state(from), true);
      expect(decideAdd(of, { ...me, transactionalId: '' }, one).errorCode).toBe(E.INVALID_REQUEST);
      expect(decideAdd(of, { ...me, producerId: 1 }, one).errorCode).toBe(E.INVALID_PRODUCER_ID_MAPPING);
      expect(decideAdd(of, { ...me, producerEpoch: 2 }, one).errorCode).toBe(E.PRODUCER_FENCED);
      expect(decideAdd(of, { ...me, producerEpoch: 4 }, one).errorCode).toBe(E.PRODUCER_FENCED);
      expect(decideAdd(of, me, one).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    }
  });
  test('write nothing when everything is there already', () => {
    expect(decideAdd(facts(state('Ongoing')), me, [{ topic: 't', partition: 0 }])).toEqual({ errorCode: E.NONE, next: undefined });
  });
  test('leave the state they started from as it was', () => {
    const before = state('Ongoing');
    decideAdd(facts(before), me, one);
    expect([...(before.partitions.get('t') ?? [])]).toEqual([0]);
  });
});

describe('EndTxn', () => {
  test.each<[TransactionStatus | 'none', number, number]>([
    ['none', E.INVALID_PRODUCER_ID_MAPPING, E.INVALID_PRODUCER_ID_MAPPING],
    ['Empty', E.INVALID_TXN_STATE, E.INVALID_TXN_STATE],
    ['Ongoing', E.NONE, E.NONE],
    ['PrepareCommit', E.CONCURRENT_TRANSACTIONS, E.INVALID_TXN_STATE],
    ['PrepareAbort', E.INVALID_TXN_STATE, E.CONCURRENT_TRANSACTIONS],
    ['CompleteCommit', E.NONE, E.INVALID_TXN_STATE],
    ['CompleteAbort', E.INVALID_TXN_STATE, E.NONE],
    ['PrepareEpochFence', E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS],
    ['Dead', E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS],
  ])('on %s answers %i to a commit and %i to an abort', (from, commitCode, abortCode) => {
    for (const [commit, code] of [
      [true, commitCode],
      [false, abortCode],
    ] as const) {
      const decision = decideEnd(facts(from === 'none' ? undefined : state(from)), me, commit);
      expect(decision.errorCode).toBe(code);
      expect(decision.next?.status).toBe(from === 'Ongoing' ? (commit ? 'PrepareCommit' : 'PrepareAbort') : undefined);
    }
  });
  test('from a fenced producer is refused in every state', () => {
    for (const from of Object.keys(TRANSACTION_TABLE) as TransactionStatus[]) {
      expect(decideEnd(facts(state(from)), { ...me, producerEpoch: 2 }, true).errorCode).toBe(E.PRODUCER_FENCED);
    }
  });
});

describe('EndTxn that bumps the epoch (KIP-890)', () => {
  const bumpFacts = (from: TransactionState | undefined, inFlight = false) => ({ ...facts(from, inFlight), freshProducerId: FRESH });
  // Code of: a commit, an abort by the current epoch; a commit, an abort by the one before, whose end brought the current one.
  test.each<[TransactionStatus, number, number, number, number]>([
    ['Empty', E.INVALID_TXN_STATE, E.NONE, E.PRODUCER_FENCED, E.PRODUCER_FENCED],
    ['Ongoing', E.NONE, E.NONE, E.PRODUCER_FENCED, E.PRODUCER_FENCED],
    ['PrepareCommit', E.PRODUCER_FENCED, E.PRODUCER_FENCED, E.CONCURRENT_TRANSACTIONS, E.INVALID_TXN_STATE],
    ['PrepareAbort', E.PRODUCER_FENCED, E.PRODUCER_FENCED, E.INVALID_TXN_STATE, E.CONCURRENT_TRANSACTIONS],
    ['CompleteCommit', E.INVALID_TXN_STATE, E.NONE, E.NONE, E.INVALID_TXN_STATE],
    ['CompleteAbort', E.INVALID_TXN_STATE, E.NONE, E.INVALID_TXN_STATE, E.NONE],
    ['PrepareEpochFence', E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS],
    ['Dead', E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS, E.CONCURRENT_TRANSACTIONS],
  ])('on %s', (status, ...codes) => {
    const from = state(status, { previousProducerId: PID, previousEpoch: 2 });
    const asked = [
      [me, true],
      [me, false],
      [{ ...me, producerEpoch: 2 }, true],
      [{ ...me, producerEpoch: 2 }, false],
    ] as const;
    const decisions = asked.map(([who, commit]) => decideEndAndBump(bumpFacts(from), who, commit));
    expect(decisions.map(({ errorCode }) => errorCode)).toEqual(codes);
    decisions.forEach(({ errorCode, next, identity }, index) => {
      const again = index >= 2;
      if (errorCode !== E.NONE) expect([next, identity]).toEqual([undefined, { producerId: -1, producerEpoch: -1 }]);
      else if (again) expect([next, identity.producerId, identity.producerEpoch]).toEqual([undefined, PID, 3]);
      else {
        expect(next).toMatchObject({ status: index === 0 ? 'PrepareCommit' : 'PrepareAbort', producerEpoch: 4, previousProducerId: PID, previousEpoch: 3 });
        expect(identity).toMatchObject({ producerId: PID, producerEpoch: 4 });
        expect(TRANSACTION_MOVES[status]).toContain(next?.status);
      }
    });
  });
  test('knows nobody else', () => {
    expect(decideEndAndBump(bumpFacts(undefined), me, true).errorCode).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    for (const status of Object.keys(TRANSACTION_TABLE) as TransactionStatus[]) {
      const from = bumpFacts(state(status));
      expect(decideEndAndBump(from, { ...me, transactionalId: '' }, true).errorCode).toBe(E.INVALID_REQUEST);
      expect(decideEndAndBump(from, { ...me, producerId: 1 }, true).errorCode).toBe(E.INVALID_PRODUCER_ID_MAPPING);
      for (const producerEpoch of [-1, 0, 1, 4, 32_767]) expect(decideEndAndBump(from, { ...me, producerEpoch }, false).errorCode).toBe(E.PRODUCER_FENCED);
      expect(decideEndAndBump(bumpFacts(state(status), true), me, true).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    }
  });
  test('on the last epoch hands out a new producer id, which takes over after the markers of the old one', () => {
    const last = state('Ongoing', { producerEpoch: PRODUCER_EPOCH_MAX });
    const mine = { ...me, producerEpoch: PRODUCER_EPOCH_MAX };
    const { next, identity } = decideEndAndBump(bumpFacts(last), mine, true);
    expect(next).toMatchObject({ status: 'PrepareCommit', producerId: PID, producerEpoch: 32_767, nextProducerId: FRESH });
    expect(identity).toMatchObject({ producerId: FRESH, producerEpoch: 0 });
    const prepared = next as TransactionState;
    expect(decideAdd(facts(prepared), { ...me, producerId: FRESH, producerEpoch: 0 }, [{ topic: 't', partition: 0 }]).errorCode).toBe(
      E.CONCURRENT_TRANSACTIONS,
    );
    expect(decideEndAndBump(bumpFacts(prepared), mine, true).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    const after = completed(prepared, NOW);
    expect(after).toMatchObject({ status: 'CompleteCommit', producerId: FRESH, producerEpoch: 0, nextProducerId: -1 });
    expect(decideEndAndBump(bumpFacts(after), mine, true)).toMatchObject({
      errorCode: E.NONE,
      next: undefined,
      identity: { producerId: FRESH, producerEpoch: 0 },
    });
    expect(decideAdd(facts(after), { ...me, producerId: FRESH, producerEpoch: 0 }, [{ topic: 't', partition: 0 }]).errorCode).toBe(E.NONE);
  });
  test('after a timeout an abort is what has happened and brings the next epoch, a commit is invalid', () => {
    const timedOut = decideTimeout(facts(state('Ongoing'))) as TransactionState;
    expect(decideEndAndBump(bumpFacts(timedOut), me, false).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
    const aborted = completed(timedOut, NOW);
    expect(decideEndAndBump(bumpFacts(aborted), me, false)).toMatchObject({
      errorCode: E.NONE,
      next: undefined,
      identity: { producerId: PID, producerEpoch: 4 },
    });
    expect(decideEndAndBump(bumpFacts(aborted), me, true).errorCode).toBe(E.INVALID_TXN_STATE);
    expect(decideEnd(facts(aborted), me, false).errorCode).toBe(E.PRODUCER_FENCED);
  });
  test('the epoch that only fences is nobody’s: neither partitions nor ends are taken from it', () => {
    const beyond = state('CompleteAbort', { producerEpoch: 32_767 });
    const liar = { ...me, producerEpoch: 32_767 };
    expect(decideAdd(facts(beyond), liar, [{ topic: 't', partition: 0 }]).errorCode).toBe(E.PRODUCER_FENCED);
    expect(decideEnd(facts(beyond), liar, false).errorCode).toBe(E.PRODUCER_FENCED);
    expect(decideEndAndBump(bumpFacts(beyond), liar, false).errorCode).toBe(E.PRODUCER_FENCED);
  });
});

describe('time', () => {
  test('fences an open transaction, and nothing else', () => {
    for (const from of Object.keys(TRANSACTION_TABLE) as TransactionStatus[]) {
      const next = decideTimeout(facts(state(from)));
      if (from === 'Ongoing') expect(next).toMatchObject({ status: 'PrepareAbort', producerEpoch: 4, previousEpoch: -1 });
      else expect(next).toBeUndefined();
    }
    expect(decideTimeout(facts(state('Ongoing'), true))).toBeUndefined();
  });
  test('forgets ids that nobody used for long, unless something is open', () => {
    const forgotten = (Object.keys(TRANSACTION_TABLE) as TransactionStatus[]).filter((from) => decideExpiry(facts(state(from)), 500));
    expect(forgotten.sort()).toEqual(['CompleteAbort', 'CompleteCommit', 'Empty']);
    expect(decideExpiry(facts(state('Empty')), 501)).toBe(false);
  });
});

test('TxnOffsetCommit needs the group partition in the open transaction of that very producer', () => {
  const offsets = { topic: '__consumer_offsets', partition: 2 };
  const open = state('Ongoing', { partitions: new Map([[offsets.topic, new Set([2])]]) });
  expect(checkOffsets(facts(open), me, offsets)).toBe(E.NONE);
  expect(checkOffsets(facts(open), me, { ...offsets, partition: 1 })).toBe(E.INVALID_TXN_STATE);
  expect(checkOffsets(facts(state('CompleteCommit')), me, offsets)).toBe(E.INVALID_TXN_STATE);
  expect(checkOffsets(facts(open), { ...me, producerEpoch: 2 }, offsets)).toBe(E.PRODUCER_FENCED);
  expect(checkOffsets(facts(open), { ...me, producerId: 1 }, offsets)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
  expect(checkOffsets(facts(undefined), me, offsets)).toBe(E.INVALID_PRODUCER_ID_MAPPING);
});

test('what a decision may write is a move of the table', () => {
  for (const from of Object.keys(TRANSACTION_TABLE) as TransactionStatus[]) {
    const before = state(from);
    const nexts = [
      init(before).next,
      decideAdd(facts(before), me, [{ topic: 'u', partition: 0 }]).next,
      decideEnd(facts(before), me, true).next,
      decideTimeout(facts(before)),
    ];
    for (const next of nexts) {
      const fence = from === 'Ongoing' && next?.status === 'PrepareAbort';
      if (next !== undefined && !fence) expect(TRANSACTION_MOVES[from]).toContain(next.status);
    }
  }
});

describe('records', () => {
  test('come back as they were', () => {
    for (const status of Object.keys(TRANSACTION_TABLE) as TransactionStatus[]) {
      const value = state(status, { previousProducerId: 9, previousEpoch: 2, nextProducerId: 12 });
      expect(decodeTransactionRecord(encodeTransactionRecord({ kind: 'transaction', transactionalId: 'x', value }))).toEqual({
        kind: 'transaction',
        transactionalId: 'x',
        value,
      });
    }
    for (const record of [
      { kind: 'transaction', transactionalId: 'ü', value: null },
      { kind: 'producer-ids', end: 2 ** 40 },
    ] as const) {
      expect(decodeTransactionRecord(encodeTransactionRecord(record))).toEqual(record);
    }
  });
  test('that are damaged are told as such, not taken', () => {
    const producerIds = encodeTransactionRecord({ kind: 'producer-ids', end: 9 });
    expect(() => decodeTransactionRecord({ key: producerIds.key, value: Buffer.alloc(3) })).toThrow(/3 bytes, not 8/);
    const { key, value } = encodeTransactionRecord({ kind: 'transaction', transactionalId: 'x', value: state('Empty') });
    const odd = Buffer.from(value as Buffer);
    odd[2 + 8 + 2 + 4] = 99;
    expect(() => decodeTransactionRecord({ key, value: odd })).toThrow(/status 99/);
  });
  test('have the key that Kafka writes, and unknown keys are skipped', () => {
    expect(encodeTransactionRecord({ kind: 'transaction', transactionalId: 'x', value: null }).key.toString('hex')).toBe('0000' + '000178');
    expect(decodeTransactionRecord({ key: Buffer.from([0, 9]), value: null })).toBeUndefined();
  });
});
