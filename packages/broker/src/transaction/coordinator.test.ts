// The transaction coordinator over a log in memory and virtual time: order of writes, crashes between them, time, ids.
import { silentLogger, type VirtualTime, virtualTime } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GroupCoordinator } from '../group/coordinator.ts';
import { DEFAULT_GROUP_OPTIONS } from '../group/options.ts';
import { OFFSETS_TOPIC } from '../internal-log.ts';
import { MemoryInternalLog } from '../testing/memory-internal-log.ts';
import { type IdentityReply, TransactionCoordinator } from './coordinator.ts';
import { DEFAULT_TRANSACTION_OPTIONS, type TransactionOptions } from './options.ts';

const E = ERROR_CODES;
const T0 = { topic: 't', partition: 0 };
const T1 = { topic: 't', partition: 1 };

interface Rig {
  readonly time: VirtualTime;
  readonly log: MemoryInternalLog;
  readonly groups: GroupCoordinator;
  readonly transactions: TransactionCoordinator;
}
function rig(options: Partial<TransactionOptions> = {}, log = new MemoryInternalLog({ t: 4 }), time = virtualTime({ startMs: 1_700_000_000_000 })): Rig {
  const ports = { clock: time.clock, timers: time.timers, log: silentLogger };
  const groups = new GroupCoordinator(ports, log, DEFAULT_GROUP_OPTIONS);
  const transactions = new TransactionCoordinator(ports, log, groups, { ...DEFAULT_TRANSACTION_OPTIONS, ...options });
  groups.start();
  transactions.start();
  return { time, log, groups, transactions };
}
const init = ({ transactions }: Rig, transactionalId: string | null = 'x', expected = { producerId: -1, producerEpoch: -1 }): Promise<IdentityReply> =>
  transactions.initProducerId({ transactionalId, timeoutMs: 60_000, expected });
/** An open transaction over two partitions. */
async function open(mine: Rig, transactionalId = 'x') {
  const { producerId, producerEpoch } = await init(mine, transactionalId);
  const producer = { transactionalId, producerId, producerEpoch };
  expect(await mine.transactions.addPartitions(producer, [T0, T1])).toBe(E.NONE);
  return producer;
}
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

test('a commit writes a marker to every partition, then says so; asked again it agrees', async () => {
  const mine = rig();
  const producer = await open(mine);
  expect(mine.transactions.holdsPartition(producer.producerId, producer.producerEpoch, 't', 1)).toBe(true);
  expect(mine.transactions.holdsPartition(producer.producerId, producer.producerEpoch, 't', 2)).toBe(false);
  expect(mine.transactions.holdsPartition(producer.producerId, producer.producerEpoch + 1, 't', 1)).toBe(false);
  expect(mine.transactions.holdsPartition(99, 0, 't', 1)).toBe(false);
  expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
  const facts = { producerId: producer.producerId, producerEpoch: producer.producerEpoch, commit: true, coordinatorEpoch: 0 };
  expect(mine.log.markers).toEqual([
    { ...T0, ...facts },
    { ...T1, ...facts },
  ]);
  expect(mine.transactions.describe('x')?.status).toBe('CompleteCommit');
  expect(mine.transactions.holdsPartition(producer.producerId, producer.producerEpoch, 't', 1)).toBe(false);
  expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
  expect(await mine.transactions.endTransaction(producer, false)).toBe(E.INVALID_TXN_STATE);
  expect(mine.log.markers.length).toBe(2);
});

test('a new producer of the same id aborts the transaction of the old one and shuts it out', async () => {
  const mine = rig();
  const old = await open(mine);
  expect((await init(mine)).errorCode).toBe(E.CONCURRENT_TRANSACTIONS);
  expect(mine.log.markers.map(({ commit, producerEpoch }) => [commit, producerEpoch])).toEqual([
    [false, 1],
    [false, 1],
  ]);
  expect(await init(mine)).toEqual({ errorCode: E.NONE, producerId: old.producerId, producerEpoch: 2 });
  expect(await mine.transactions.addPartitions(old, [T0])).toBe(E.PRODUCER_FENCED);
  expect(await mine.transactions.endTransaction(old, true)).toBe(E.PRODUCER_FENCED);
});

describe('ends that bump the epoch (KIP-890)', () => {
  test('when the epochs are used up the producer goes on under a new id, also when the broker dies before the last markers', async () => {
    const mine = rig({ markerDelayMs: 0 });
    let me: { producerId: number; producerEpoch: number } = await init(mine);
    const first = me.producerId;
    for (let epoch = 0; epoch < 32_766; epoch++) me = await mine.transactions.endAndBump({ transactionalId: 'x', ...me }, false);
    expect(me).toMatchObject({ producerId: first, producerEpoch: 32_766 });
    await mine.transactions.stop();

    const slow = rig({ markerDelayMs: 60_000 }, mine.log, mine.time);
    const last = { transactionalId: 'x', producerId: me.producerId, producerEpoch: me.producerEpoch };
    expect(await slow.transactions.addPartitions(last, [T0])).toBe(E.NONE);
    const next = await slow.transactions.endAndBump(last, true);
    expect(next).toMatchObject({ errorCode: E.NONE, producerEpoch: 0 });
    expect(next.producerId).not.toBe(first);
    expect(await slow.transactions.endAndBump(last, true)).toMatchObject({ errorCode: E.CONCURRENT_TRANSACTIONS });
    await slow.transactions.stop();

    const after = rig({}, mine.log, mine.time);
    await turns();
    expect(mine.log.markers.at(-1)).toMatchObject({ ...T0, producerId: first, producerEpoch: 32_767, commit: true });
    expect(await after.transactions.endAndBump(last, true)).toEqual(next);
    const going = { transactionalId: 'x', producerId: next.producerId, producerEpoch: 0 };
    expect(await after.transactions.addPartitions(going, [T1])).toBe(E.NONE);
    expect(await after.transactions.addPartitions(last, [T1])).toBe(E.INVALID_PRODUCER_ID_MAPPING);
    const other = await init(after, 'y');
    expect(other.producerId).toBeGreaterThan(next.producerId);
  });

  test('data of a partition waits until its place in the transaction is durable, in the order it was asked', async () => {
    const mine = rig();
    const { producerId, producerEpoch } = await init(mine);
    const producer = { transactionalId: 'x', producerId, producerEpoch };
    const releases: (() => void)[] = [];
    mine.log.durability = () => new Promise((resolve) => releases.push(resolve));
    const order: string[] = [];
    const join = (name: string, partition: number): void => {
      const { errorCode, ready } = mine.transactions.join(producer, [{ topic: 't', partition }]);
      expect([errorCode, ready === undefined]).toEqual([E.NONE, false]);
      void ready?.then(() => order.push(name));
    };
    join('first', 0);
    join('second, of the same partition', 0);
    join('third, of another', 1);
    releases[1]?.();
    await turns();
    expect(order).toEqual([]);
    releases[0]?.();
    await turns();
    expect(order).toEqual(['first', 'second, of the same partition', 'third, of another']);
    expect(mine.transactions.join(producer, [T0])).toEqual({ errorCode: E.NONE, ready: undefined });
  });

  test('a log that refuses takes nobody in', async () => {
    const mine = rig();
    const { producerId, producerEpoch } = await init(mine);
    const producer = { transactionalId: 'x', producerId, producerEpoch };
    mine.log.failure = 'disk';
    expect(mine.transactions.join(producer, [T0])).toEqual({ errorCode: E.COORDINATOR_NOT_AVAILABLE, ready: undefined });
    expect(await mine.transactions.joinOffsets(producer, 'g')).toBe(E.COORDINATOR_NOT_AVAILABLE);
    mine.log.failure = undefined;
    mine.log.durability = () => Promise.reject(new Error('fsync failed'));
    expect(await mine.transactions.joinOffsets(producer, 'g')).toBe(E.COORDINATOR_NOT_AVAILABLE);
    mine.log.durability = undefined;
    await turns();
    expect(await mine.transactions.joinOffsets(producer, 'g')).toBe(E.NONE);
  });
});

describe('offsets of a transaction', () => {
  test('come with its commit', async () => {
    const mine = rig();
    const producer = await open(mine);
    expect(mine.transactions.checkOffsets(producer, 'g')).toBe(E.INVALID_TXN_STATE);
    expect(await mine.transactions.addOffsets(producer, 'g')).toBe(E.NONE);
    expect(mine.transactions.checkOffsets(producer, 'g')).toBe(E.NONE);
    const offsets = [{ ...T0, offset: 6, leaderEpoch: -1, metadata: '', partitionExists: true }];
    await mine.groups.ask({
      kind: 'commit',
      groupId: 'g',
      generation: -1,
      memberId: '',
      instanceId: null,
      retentionMs: undefined,
      transaction: producer,
      offsets,
    });
    const read = () => mine.groups.fetchOffsets('g', [{ topic: 't', partitions: [0] }], true)[0]?.partitions[0];
    expect(read()?.errorCode).toBe(E.UNSTABLE_OFFSET_COMMIT);
    await mine.transactions.endTransaction(producer, true);
    expect(read()).toMatchObject({ offset: 6, errorCode: E.NONE });
    expect(mine.log.markers.some(({ topic, partition }) => topic === OFFSETS_TOPIC && partition === mine.groups.partitionOf('g'))).toBe(true);
  });
});

describe('with a log that must be made durable', () => {
  test('data comes before the verdict, the verdict before its markers, they before the end', async () => {
    const mine = rig();
    const producer = await open(mine);
    const releases: (() => void)[] = [];
    mine.log.durability = () => new Promise((resolve) => releases.push(resolve));
    let answer: number | undefined;
    void mine.transactions.endTransaction(producer, true).then((code) => {
      answer = code;
    });
    await turns();
    expect([mine.transactions.describe('x')?.status, mine.log.markers.length]).toEqual(['Ongoing', 0]);
    expect(mine.transactions.holdsPartition(producer.producerId, producer.producerEpoch, 't', 0)).toBe(false);
    expect(await mine.transactions.addPartitions(producer, [T0])).toBe(E.CONCURRENT_TRANSACTIONS);
    releases.shift()?.();
    await turns();
    expect([mine.transactions.describe('x')?.status, mine.log.markers.length]).toEqual(['PrepareCommit', 0]);
    releases.shift()?.();
    await turns();
    expect([mine.transactions.describe('x')?.status, mine.log.markers.length, answer]).toEqual(['PrepareCommit', 2, undefined]);
    releases.shift()?.();
    await turns();
    expect([mine.transactions.describe('x')?.status, answer]).toEqual(['CompleteCommit', E.NONE]);
  });
  test('a sync that fails before the verdict leaves the transaction open', async () => {
    const mine = rig();
    const producer = await open(mine);
    mine.log.durability = () => Promise.reject(new Error('fsync failed'));
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.COORDINATOR_NOT_AVAILABLE);
    mine.log.durability = undefined;
    expect(mine.transactions.describe('x')?.status).toBe('Ongoing');
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
  });
});

describe('a log that refuses', () => {
  test('leaves the state as it was, and the client asks again', async () => {
    const mine = rig();
    const producer = await open(mine);
    mine.log.failure = 'disk';
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.COORDINATOR_NOT_AVAILABLE);
    expect(await mine.transactions.addPartitions(producer, [{ topic: 't', partition: 3 }])).toBe(E.COORDINATOR_NOT_AVAILABLE);
    expect((await init(mine, 'y')).errorCode).toBe(E.COORDINATOR_NOT_AVAILABLE);
    expect(mine.transactions.describe('x')).toMatchObject({ status: 'Ongoing' });
    mine.log.failure = undefined;
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
  });
  test('the markers of a decided transaction is asked again until it takes them', async () => {
    const mine = rig({ markerDelayMs: 10 });
    const producer = await open(mine);
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
    expect(await mine.transactions.addPartitions(producer, [T0])).toBe(E.CONCURRENT_TRANSACTIONS);
    mine.log.failure = 'disk';
    await mine.time.advance(5_000);
    expect(mine.transactions.describe('x')?.status).toBe('PrepareCommit');
    mine.log.failure = undefined;
    await mine.time.advance(1_010);
    expect(mine.transactions.describe('x')?.status).toBe('CompleteCommit');
    expect(mine.log.markers.length).toBe(2);
    expect(await mine.transactions.addPartitions(producer, [T0])).toBe(E.NONE);
  });
  test('a deleted topic does not hold the end of a transaction', async () => {
    const mine = rig();
    const producer = await open(mine);
    mine.log.deleteTopic('t');
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
    expect(mine.transactions.describe('x')?.status).toBe('CompleteCommit');
  });
});

describe('after a restart', () => {
  test('a transaction that was decided is completed, markers included', async () => {
    const mine = rig({ markerDelayMs: 1_000 });
    const producer = await open(mine);
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
    const after = rig({}, mine.log);
    await turns();
    expect(after.transactions.describe('x')?.status).toBe('CompleteCommit');
    expect(mine.log.markers.map(({ partition, commit }) => [partition, commit])).toEqual([
      [0, true],
      [1, true],
    ]);
    expect(await after.transactions.endTransaction(producer, true)).toBe(E.NONE);
  });
  test('an open one goes on, and its time too', async () => {
    const mine = rig({}, undefined);
    const producer = await open(mine);
    await mine.time.advance(50_000);
    await mine.transactions.stop();
    const after = rig({}, mine.log, mine.time);
    expect(after.transactions.holdsPartition(producer.producerId, producer.producerEpoch, 't', 0)).toBe(true);
    await after.time.advance(20_000);
    expect(after.transactions.describe('x')).toMatchObject({ status: 'CompleteAbort', producerEpoch: producer.producerEpoch + 1 });
  });
  test('a lost answer to a bump is given again', async () => {
    const mine = rig();
    const first = await init(mine);
    const second = await init(mine, 'x', first);
    expect(second.producerEpoch).toBe(1);
    expect(await init(rig({}, mine.log), 'x', first)).toEqual(second);
  });
  test('no producer id is given twice', async () => {
    const log = new MemoryInternalLog({ t: 4 });
    const seen = new Set<number>();
    for (let run = 0; run < 4; run++) {
      const mine = rig({ producerIdBlock: 3 }, log);
      for (let at = 0; at < 5; at++) {
        const { producerId, errorCode } = await init(mine, at % 2 === 0 ? null : `x${run}-${at}`);
        expect(errorCode).toBe(E.NONE);
        expect(seen.has(producerId)).toBe(false);
        seen.add(producerId);
      }
    }
    expect(seen.size).toBe(20);
  });
});

describe('time', () => {
  test('aborts and fences a transaction that is open for too long, at the next sweep', async () => {
    const mine = rig();
    const producer = await open(mine);
    await mine.time.advance(59_999);
    expect(mine.transactions.describe('x')?.status).toBe('Ongoing');
    await mine.time.advance(10_000);
    expect(mine.transactions.describe('x')).toMatchObject({ status: 'CompleteAbort', producerEpoch: 1 });
    expect(await mine.transactions.endTransaction(producer, true)).toBe(E.PRODUCER_FENCED);
    expect(mine.log.markers.every(({ commit, producerEpoch }) => !commit && producerEpoch === 1)).toBe(true);
  });
  test('a jump of the wall clock aborts nothing', async () => {
    const mine = rig();
    await open(mine);
    mine.time.jumpWallClock(3_600_000);
    await mine.time.advance(20_000);
    expect(mine.transactions.describe('x')?.status).toBe('Ongoing');
  });
  test('forgets ids that nobody has used for a week, for good', async () => {
    const mine = rig({ idExpirationMs: 10_000, expirationIntervalMs: 6_000 });
    await init(mine);
    const busy = await open(mine, 'y');
    await mine.time.advance(12_000);
    expect(mine.transactions.list().map(({ transactionalId }) => transactionalId)).toEqual(['y']);
    expect(rig({}, mine.log).transactions.describe('x')).toBeUndefined();
    expect(await mine.transactions.endTransaction(busy, true)).toBe(E.NONE);
  });
  test('nothing is left running once it has stopped', async () => {
    const mine = rig({ markerDelayMs: 5_000 });
    const producer = await open(mine);
    await mine.transactions.endTransaction(producer, true);
    await mine.transactions.stop();
    expect((await init(mine)).errorCode).toBe(E.NOT_COORDINATOR);
    mine.groups.stop();
    await mine.time.runUntilIdle();
    expect(mine.log.markers).toEqual([]);
  });
});

test('a producer without transactions gets an id and nothing is kept of it', async () => {
  const mine = rig();
  const first = await init(mine, null);
  const size = mine.log.size;
  const second = await init(mine, null);
  expect(second.producerId).not.toBe(first.producerId);
  expect([first.producerEpoch, second.producerEpoch, mine.log.size]).toEqual([0, 0, size]);
  expect((await init(mine, null, { producerId: 3, producerEpoch: -1 })).errorCode).toBe(E.INVALID_REQUEST);
});

test('ids above the limit are refused, those that are known are not', async () => {
  const mine = rig({ transactionalIdsMax: 1 });
  expect((await init(mine, 'x')).errorCode).toBe(E.NONE);
  expect((await init(mine, 'y')).errorCode).toBe(E.COORDINATOR_NOT_AVAILABLE);
  expect((await init(mine, 'x')).errorCode).toBe(E.NONE);
});

test('after any prefix of a random history a replay gives the same state, once what was decided is completed', async () => {
  const step = fc.tuple(fc.nat(8), fc.nat(1), fc.nat(3));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const mine = rig();
      const known = new Map<string, { producerId: number; producerEpoch: number }>();
      for (const [op, who, number] of steps) {
        const transactionalId = `x${who}`;
        const me = known.get(transactionalId) ?? { producerId: -1, producerEpoch: -1 };
        const producer = { transactionalId, ...me };
        if (op === 0) {
          const { errorCode, ...identity } = await init(mine, transactionalId, number > 1 ? me : undefined);
          if (errorCode === E.NONE) known.set(transactionalId, identity);
        } else if (op <= 2) await mine.transactions.addPartitions(producer, [{ topic: 't', partition: number }]);
        else if (op === 3) await mine.transactions.addOffsets(producer, `g${number}`);
        else if (op <= 5) await mine.transactions.endTransaction(producer, op === 4);
        else if (op <= 7) {
          const { errorCode, ...identity } = await mine.transactions.endAndBump(producer, op === 6);
          if (errorCode === E.NONE) known.set(transactionalId, identity);
        } else await mine.time.advance((number + 1) * 20_000);
        const replayed = rig({}, mine.log, mine.time);
        expect(new Map(replayed.transactions.list().map((state) => [state.transactionalId, state]))).toEqual(
          new Map(mine.transactions.list().map((state) => [state.transactionalId, state])),
        );
        replayed.groups.stop();
        await replayed.transactions.stop();
      }
      mine.groups.stop();
      await mine.transactions.stop();
    }),
    { numRuns: 60 },
  );
});

test('while one partition refuses its marker, the others get theirs once and no more', async () => {
  const mine = rig();
  const producer = await open(mine);
  const appendMarker = mine.log.appendMarker.bind(mine.log);
  let broken = true;
  mine.log.appendMarker = (topic, partition, marker) => {
    if (broken && partition === T1.partition) throw new Error('EIO');
    return appendMarker(topic, partition, marker);
  };
  expect(await mine.transactions.endTransaction(producer, true)).toBe(E.NONE);
  await mine.time.advance(60_000);
  expect(mine.log.markers.map(({ partition }) => partition)).toEqual([T0.partition]);
  broken = false;
  await mine.time.advance(2_000);
  expect(mine.log.markers.map(({ partition }) => partition)).toEqual([T0.partition, T1.partition]);
  expect(mine.transactions.describe('x')?.status).toBe('CompleteCommit');
});
