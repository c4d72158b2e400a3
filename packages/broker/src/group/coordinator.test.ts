// The group coordinator over a log in memory and virtual time: what is durable, what is parked, what comes back.
import { silentLogger, type VirtualTime, virtualTime } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OFFSETS_TOPIC } from '../internal-log.ts';
import { MemoryInternalLog } from '../testing/memory-internal-log.ts';
import type { TopicCatalog } from './consumer/catalog.ts';
import { GroupCoordinator } from './coordinator.ts';
import { DEFAULT_GROUP_OPTIONS, type GroupOptions } from './options.ts';
import type { CommitRequest, ConsumerHeartbeatRequest, JoinRequest, SyncRequest } from './requests.ts';

const E = ERROR_CODES;

interface Rig {
  readonly time: VirtualTime;
  readonly log: MemoryInternalLog;
  readonly groups: GroupCoordinator;
}
function rig(options: Partial<GroupOptions> = {}, log = new MemoryInternalLog({ t: 4 }), time = virtualTime({ startMs: 1_700_000_000_000 })): Rig {
  const groups = new GroupCoordinator({ clock: time.clock, timers: time.timers, log: silentLogger }, log, { ...DEFAULT_GROUP_OPTIONS, ...options });
  groups.start();
  return { time, log, groups };
}
let fresh = 0;
const join = (change: Partial<JoinRequest> = {}): JoinRequest => ({
  kind: 'join',
  groupId: 'g',
  memberId: '',
  instanceId: null,
  clientId: 'c',
  clientHost: '/h',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 30_000,
  protocolType: 'consumer',
  protocols: [{ name: 'range', metadata: Buffer.from('m') }],
  idFirst: false,
  mayKeepAssignment: true,
  freshId: `id${fresh++}`,
  ...change,
});
const sync = (memberId: string, generation: number, assignments: Record<string, string> = {}): SyncRequest => ({
  kind: 'sync',
  groupId: 'g',
  generation,
  memberId,
  instanceId: null,
  protocolType: null,
  protocolName: null,
  assignments: new Map(Object.entries(assignments).map(([id, text]) => [id, Buffer.from(text)])),
});
const commit = (change: Partial<CommitRequest> = {}, offset = 5): CommitRequest => ({
  kind: 'commit',
  groupId: 'g',
  generation: -1,
  memberId: '',
  instanceId: null,
  retentionMs: undefined,
  transaction: undefined,
  offsets: [{ topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: '', partitionExists: true }],
  ...change,
});
const heartbeat = (memberId: string, generation: number) => ({ kind: 'heartbeat', groupId: 'g', generation, memberId, instanceId: null }) as const;
const askedT = [{ topic: 't', partitions: [0, 1] }];

async function oneMember({ groups }: Rig): Promise<{ memberId: string; generation: number }> {
  const { memberId, generation } = await groups.ask(join());
  await groups.ask(sync(memberId, generation, { [memberId]: 'all' }));
  return { memberId, generation };
}
/** Whether the promise has settled by now. */
async function settledNow(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  return settled;
}

describe('after a restart', () => {
  test('members go on in their generation, with sessions that start anew, and offsets are there', async () => {
    const before = rig();
    const { memberId, generation } = await oneMember(before);
    await before.groups.ask(commit({ memberId, generation }));
    await before.time.advance(9_000);
    before.groups.stop();

    const after = rig({}, before.log, before.time);
    await after.time.advance(9_999);
    expect(await after.groups.ask(heartbeat(memberId, generation))).toEqual({ errorCode: E.NONE });
    expect((await after.groups.ask(sync(memberId, generation))).assignment.toString()).toBe('all');
    expect(after.groups.fetchOffsets('g', askedT, true)[0]?.partitions.map(({ offset }) => offset)).toEqual([5, -1]);
    expect(after.groups.describe('g')).toMatchObject({ phase: 'Stable', protocolName: 'range', members: [{ memberId, clientHost: '/h' }] });
    await after.time.advance(10_000);
    expect(after.groups.describe('g').phase).toBe('Empty');
  });
  test('a group that was deleted stays deleted', async () => {
    const { groups, log } = rig();
    await groups.ask(commit());
    expect(await groups.ask({ kind: 'delete-group', groupId: 'g' })).toEqual({ errorCode: E.NONE });
    expect(groups.list()).toEqual([]);
    expect(rig({}, log).groups.list()).toEqual([]);
  });
});

describe('a group of the consumer group protocol', () => {
  const catalog: TopicCatalog = {
    version: 1,
    find: (name) => (name === 't' ? { id: 'topicAAAAAAAAAAAAAAAAA', partitionCount: 4 } : undefined),
    nameOf: () => 't',
    matching: () => [],
  };
  const open = (log = new MemoryInternalLog({ t: 4 }), time = virtualTime({ startMs: 1_700_000_000_000 })) => {
    const groups = new GroupCoordinator({ clock: time.clock, timers: time.timers, log: silentLogger }, log, DEFAULT_GROUP_OPTIONS, catalog);
    groups.start();
    return { groups, log, time };
  };
  const beat = (memberId: string, memberEpoch: number, change: Partial<ConsumerHeartbeatRequest> = {}): ConsumerHeartbeatRequest => ({
    kind: 'consumer-heartbeat',
    groupId: 'g',
    memberId,
    memberEpoch,
    instanceId: null,
    rackId: null,
    clientId: 'c',
    clientHost: '/h',
    rebalanceTimeoutMs: -1,
    subscribedNames: null,
    subscribedPattern: null,
    assignorName: null,
    owned: null,
    namesItself: true,
    freshId: 'fresh',
    ...change,
  });
  const enter = (memberId: string) => beat(memberId, 0, { rebalanceTimeoutMs: 30_000, subscribedNames: ['t'], owned: new Map() });

  test('goes on after a restart where it was, half way through a rebalance', async () => {
    const before = open();
    await before.groups.ask(enter('a'));
    await before.groups.ask(enter('b'));
    const told = await before.groups.ask(beat('a', 2));
    before.groups.stop();
    const after = open(before.log, before.time);
    expect(after.groups.describeConsumer('g')).toMatchObject({ phase: 'Reconciling', epoch: 3, assignmentEpoch: 3 });
    expect(await after.groups.ask(beat('a', 2, { owned: told.assignment }))).toMatchObject({ errorCode: 0, memberEpoch: 3 });
    expect((await after.groups.ask(beat('b', 3))).assignment?.get('topicAAAAAAAAAAAAAAAAA')).toEqual([2, 3]);
    expect(after.groups.describeConsumer('g')?.phase).toBe('Stable');
    expect(after.groups.list()).toEqual([{ groupId: 'g', protocolType: 'consumer', phase: 'Stable', type: 'consumer' }]);
    expect(after.groups.describe('g').phase).toBe('Dead');
  });
  test('loses members whose session is over, after a restart too, and is gone when it was empty long enough', async () => {
    const before = open();
    await before.groups.ask(enter('a'));
    before.groups.stop();
    const after = open(before.log, before.time);
    await after.time.advance(DEFAULT_GROUP_OPTIONS.consumerSessionTimeoutMs - 1);
    expect(after.groups.describeConsumer('g')?.members).toHaveLength(1);
    await after.time.advance(1);
    expect(after.groups.describeConsumer('g')).toMatchObject({ phase: 'Empty', members: [] });
    await after.time.advance(DEFAULT_GROUP_OPTIONS.offsetsCheckIntervalMs);
    expect(after.groups.describeConsumer('g')).toBeUndefined();
    expect(open(after.log, after.time).groups.list()).toEqual([]);
  });
  test('fetches of a member name its epoch', async () => {
    const { groups } = open();
    await groups.ask(enter('a'));
    const codes = [groups.fetchCode('g', 'a', 2), groups.fetchCode('g', 'a', 1), groups.fetchCode('g', 'x', 2), groups.fetchCode('g', null, -1)];
    expect(codes).toEqual([E.NONE, E.STALE_MEMBER_EPOCH, E.UNKNOWN_MEMBER_ID, E.NONE]);
    expect(groups.fetchCode('other', 'a', 2)).toBe(E.NONE);
  });
});

describe('answers', () => {
  test('that promise a write wait until it is durable', async () => {
    const { groups, log } = rig();
    let release = (): void => {};
    log.durability = () => new Promise((resolve) => (release = resolve));
    const answer = groups.ask(commit());
    expect(await settledNow(answer)).toBe(false);
    release();
    expect((await answer).errorCode).toBe(E.NONE);
    log.durability = () => Promise.reject(new Error('fsync failed'));
    expect((await groups.ask(commit())).partitions[0]?.errorCode).toBe(E.COORDINATOR_NOT_AVAILABLE);
  });
  test.each([
    ['disk', E.COORDINATOR_NOT_AVAILABLE, E.COORDINATOR_NOT_AVAILABLE],
    ['too-large', E.INVALID_COMMIT_OFFSET_SIZE, E.UNKNOWN_SERVER_ERROR],
  ] as const)('of a log that refuses (%s) change nothing', async (failure, commitCode, syncCode) => {
    const { groups, log } = rig();
    await groups.ask(commit());
    const { memberId, generation } = await groups.ask(join());
    const before = groups.snapshot();
    log.failure = failure;
    expect((await groups.ask(commit({ memberId, generation: -1 }))).partitions[0]?.errorCode).not.toBe(E.NONE);
    expect((await groups.ask(sync(memberId, generation, { [memberId]: 'all' }))).errorCode).toBe(syncCode);
    expect(groups.snapshot()).toEqual(before);
    log.failure = undefined;
    expect((await groups.ask(sync(memberId, generation, { [memberId]: 'all' }))).assignment.toString()).toBe('all');
    log.failure = failure;
    expect((await groups.ask(commit({ memberId, generation }))).partitions[0]?.errorCode).toBe(commitCode);
  });
  test('to what is parked come when the broker stops', async () => {
    const mine = rig();
    const { memberId } = await oneMember(mine);
    const parked = mine.groups.ask(join());
    expect(await settledNow(parked)).toBe(false);
    mine.groups.stop();
    expect((await parked).errorCode).toBe(E.NOT_COORDINATOR);
    expect((await mine.groups.ask(heartbeat(memberId, 1))).errorCode).toBe(E.NOT_COORDINATOR);
    await mine.time.runUntilIdle();
  });
  test('refuse groups above the limit and leave nothing behind for refused requests', async () => {
    const { groups } = rig({ groupsMax: 1 });
    await groups.ask(commit());
    expect((await groups.ask(join({ groupId: 'h' }))).errorCode).toBe(E.COORDINATOR_NOT_AVAILABLE);
    expect((await groups.ask(commit())).errorCode).toBe(E.NONE);
    const other = rig().groups;
    await other.ask(join({ memberId: 'ghost' }));
    expect(other.list()).toEqual([]);
  });
});

describe('time', () => {
  test('ends a rebalance that a member does not come to, and a write that failed then is tried again', async () => {
    const mine = rig();
    const { memberId } = await oneMember(mine);
    const newcomer = mine.groups.ask(join());
    mine.log.failure = 'disk';
    await mine.time.advance(10_000);
    expect((await newcomer).leaderId).not.toBe(memberId);
    await mine.time.advance(10_000);
    expect(mine.groups.describe('g').phase).toBe('CompletingRebalance');
    mine.log.failure = undefined;
    await mine.time.advance(1_000);
    expect(mine.groups.describe('g').phase).toBe('Empty');
  });
  test('forgets promised ids and the group that only had those', async () => {
    const { groups, time } = rig();
    expect((await groups.ask(join({ idFirst: true }))).errorCode).toBe(E.MEMBER_ID_REQUIRED);
    expect(groups.list().length).toBe(1);
    await time.advance(10_000);
    expect(groups.list()).toEqual([]);
  });
  test('expires offsets a week after the group emptied, by the sweep', async () => {
    const { groups, time, log } = rig({ offsetsRetentionMs: 1_000_000, offsetsCheckIntervalMs: 600_000 });
    await groups.ask(commit());
    await time.advance(600_000);
    expect(groups.list().length).toBe(1);
    await time.advance(600_000);
    expect(groups.list()).toEqual([]);
    expect(rig({}, log).groups.list()).toEqual([]);
  });
  test('a jump of the wall clock ends no session', async () => {
    const mine = rig();
    await oneMember(mine);
    mine.time.jumpWallClock(86_400_000);
    await mine.time.advance(9_999);
    expect(mine.groups.describe('g').phase).toBe('Stable');
  });
});

describe('offsets of a transaction', () => {
  const transaction = { producerId: 7, producerEpoch: 0 };
  const marker = ({ groups, log }: Rig, endsInCommit: boolean): void => {
    const partition = groups.partitionOf('g');
    log.appendMarker(OFFSETS_TOPIC, partition, { ...transaction, commit: endsInCommit, coordinatorEpoch: 0 });
    groups.markerWritten(partition, transaction.producerId, endsInCommit);
  };
  const read = ({ groups }: Rig, stable: boolean) => groups.fetchOffsets('g', askedT, stable)[0]?.partitions[0];

  test('are unstable until the marker, invisible before it, and there after a commit', async () => {
    const mine = rig();
    await mine.groups.ask(commit({}, 3));
    await mine.groups.ask(commit({ transaction }, 8));
    expect(read(mine, true)).toMatchObject({ offset: -1, errorCode: E.UNSTABLE_OFFSET_COMMIT });
    expect(read(mine, false)).toMatchObject({ offset: 3, errorCode: E.NONE });
    expect(mine.groups.fetchOffsets('g', null, true)).toMatchObject([{ topic: 't', partitions: [{ partition: 0, errorCode: E.UNSTABLE_OFFSET_COMMIT }] }]);
    marker(mine, true);
    expect(read(mine, true)).toMatchObject({ offset: 8, errorCode: E.NONE });
  });
  test('are dropped by an abort, with the group if it had nothing else', async () => {
    const mine = rig();
    await mine.groups.ask(commit({ transaction }, 8));
    expect(mine.groups.list().length).toBe(1);
    marker(mine, false);
    expect(mine.groups.list()).toEqual([]);
  });
  test('lose against an offset that was committed after them', async () => {
    const mine = rig();
    await mine.groups.ask(commit({ transaction }, 8));
    await mine.groups.ask(commit({}, 9));
    marker(mine, true);
    expect(read(mine, true)).toMatchObject({ offset: 9 });
  });
  test('are pending again after a restart, and the marker still counts', async () => {
    const mine = rig();
    await mine.groups.ask(commit({ transaction }, 8));
    const after = rig({}, mine.log);
    expect(read(after, true)).toMatchObject({ errorCode: E.UNSTABLE_OFFSET_COMMIT });
    marker(after, true);
    expect(read(after, true)).toMatchObject({ offset: 8 });
    expect(read(rig({}, after.log), true)).toMatchObject({ offset: 8 });
  });
});

/** One random step of a history of two groups. */
type Step = readonly [op: number, who: number, number: number];

test('after any prefix of a random history the durable state equals what a replay of the log gives', async () => {
  const step = fc.tuple(fc.nat(11), fc.nat(2), fc.nat(4));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), async (steps: Step[]) => {
      const mine = rig({ offsetsRetentionMs: 40_000, offsetsCheckIntervalMs: 15_000 });
      const ids = new Map<string, { memberId: string; generation: number }>();
      for (const [op, who, number] of steps) {
        await play(mine, ids, op, who, number);
        const replayed = rig({}, mine.log, virtualTime());
        expect(replayed.groups.snapshot()).toEqual(mine.groups.snapshot());
        replayed.groups.stop();
      }
      mine.groups.stop();
    }),
    { numRuns: 60 },
  );
});

async function play(mine: Rig, ids: Map<string, { memberId: string; generation: number }>, op: number, who: number, number: number): Promise<void> {
  const groupId = who === 2 ? 'h' : 'g';
  const name = `${groupId}${who}`;
  const me = ids.get(name) ?? { memberId: '', generation: -1 };
  const transaction = { producerId: number, producerEpoch: 0 };
  const note = (reply: { errorCode: number; memberId: string; generation: number }): void => {
    if (reply.errorCode === E.NONE) ids.set(name, { memberId: reply.memberId, generation: reply.generation });
  };
  switch (op) {
    case 0:
    case 1:
      void mine.groups.ask(join({ groupId, memberId: op === 0 ? me.memberId : '', instanceId: number > 2 ? `i${who}` : null })).then(note);
      break;
    case 2:
    case 3:
      void mine.groups.ask({ ...sync(me.memberId, me.generation, { [me.memberId]: `a${number}` }), groupId });
      break;
    case 4:
      void mine.groups.ask({ ...heartbeat(me.memberId, me.generation), groupId });
      break;
    case 5:
      void mine.groups.ask({ kind: 'leave', groupId, members: [{ memberId: me.memberId, instanceId: null }] });
      break;
    case 6:
      void mine.groups.ask(commit({ groupId, memberId: me.memberId, generation: me.generation }, number));
      break;
    case 7:
      void mine.groups.ask(commit({ groupId, transaction }, number));
      break;
    case 8: {
      for (let partition = 0; partition < mine.log.partitionCount(OFFSETS_TOPIC); partition++) {
        mine.log.appendMarker(OFFSETS_TOPIC, partition, { ...transaction, commit: who > 0, coordinatorEpoch: 0 });
        mine.groups.markerWritten(partition, number, who > 0);
      }
      break;
    }
    case 9:
      void mine.groups.ask({ kind: 'delete-group', groupId });
      break;
    case 10:
      mine.groups.topicDeleted('t');
      break;
    default:
      await mine.time.advance((number + 1) * 4_000);
  }
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}
