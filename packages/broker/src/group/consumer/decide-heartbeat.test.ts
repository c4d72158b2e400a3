// Groups of the consumer group protocol from the pure side: several members, one heartbeat at a time, and what the log would bring back.
import { ERROR_CODES } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { applyGroupRecord } from '../apply.ts';
import { decideGroup } from '../decide.ts';
import { EMPTY_MEMBERSHIP, type Membership } from '../membership.ts';
import { DEFAULT_GROUP_OPTIONS } from '../options.ts';
import { decodeGroupRecord, encodeGroupRecord, type GroupRecord } from '../records.ts';
import type {
  CodeReply,
  CommitRequest,
  ConsumerHeartbeatReply,
  ConsumerHeartbeatRequest,
  GroupReply,
  GroupRequest,
  JoinReply,
  LeaveReply,
} from '../requests.ts';
import { createGroupState, type GroupState, isBlank } from '../state.ts';
import type { TopicCatalog } from './catalog.ts';
import { NO_PRESENCE, nextConsumerDeadline, presenceAfterRestart } from './presence.ts';
import { type ConsumerGroupState, consumerPhase } from './state.ts';
import { type TopicPartitions, topicPartitions } from './topic-partitions.ts';

const E = ERROR_CODES;
const SESSION_MS = DEFAULT_GROUP_OPTIONS.consumerSessionTimeoutMs;
const parts = (topic: string, ...partitions: number[]): TopicPartitions => topicPartitions([[idOf(topic), partitions]]);

/** The id of a topic in these tests. */
const idOf = (name: string): string => name.padEnd(22, 'A');

/** `t` has four partitions. */
class Topics implements TopicCatalog {
  version = 0;
  readonly counts = new Map([['t', 4]]);
  set(name: string, count: number): void {
    this.counts.set(name, count);
    this.version++;
  }
  find(name: string) {
    const partitionCount = this.counts.get(name);
    return partitionCount === undefined ? undefined : { id: idOf(name), partitionCount };
  }
  nameOf(id: string) {
    return id.replace(/A+$/, '');
  }
  matching(pattern: string) {
    return pattern === '(' ? undefined : [...this.counts.keys()].filter((name) => name.startsWith(pattern.replace('.*', '')));
  }
}

/** One group, driven by hand. Every record goes through its bytes; after each step the fold of all records is what the group is. */
class Bench {
  state: GroupState = createGroupState('g');
  membership: Membership = EMPTY_MEMBERSHIP;
  presence = NO_PRESENCE;
  records: readonly GroupRecord[] = [];
  readonly topics = new Topics();
  readonly log: GroupRecord[] = [];
  atMs = 0;

  ask<Reply extends GroupReply>(request: GroupRequest): Reply {
    const now = { wallMs: 1_000_000 + this.atMs, atMs: this.atMs };
    const { state, membership, presence, topics } = this;
    const decision = decideGroup({ state, membership, presence, catalog: topics, now, options: DEFAULT_GROUP_OPTIONS }, request, 7);
    this.records = decision.records.map((record) => decodeGroupRecord(encodeGroupRecord(record)) as GroupRecord);
    expect(this.records).toEqual(decision.records);
    for (const record of this.records) this.log.push(record);
    for (const record of this.records) applyGroupRecord(this.state, record, { position: 0, pendingFor: undefined });
    [this.membership, this.presence] = [decision.membership, decision.presence];
    const replayed = createGroupState('g');
    for (const record of this.log) applyGroupRecord(replayed, record, { position: 0, pendingFor: undefined });
    expect(replayed.consumer).toEqual(this.state.consumer);
    return decision.replies[0]?.reply as Reply;
  }
  beat(memberId: string, memberEpoch: number, change: Partial<ConsumerHeartbeatRequest> = {}): ConsumerHeartbeatReply {
    const { instanceId, ...rest } = change;
    return this.ask({
      kind: 'consumer-heartbeat',
      groupId: 'g',
      memberId,
      memberEpoch,
      instanceId: instanceId ?? null,
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
      ...rest,
    });
  }
  join(memberId: string, change: Partial<ConsumerHeartbeatRequest> = {}): ConsumerHeartbeatReply {
    return this.beat(memberId, 0, { rebalanceTimeoutMs: 30_000, subscribedNames: ['t'], owned: new Map(), ...change });
  }
  tick(atMs: number): void {
    this.atMs = atMs;
    this.ask({ kind: 'tick', groupId: 'g' });
  }
  get group(): ConsumerGroupState {
    return this.state.consumer as ConsumerGroupState;
  }
  restart(): void {
    this.presence = presenceAfterRestart(this.state.consumer, DEFAULT_GROUP_OPTIONS, this.atMs);
  }
}

/** Two members with two partitions each, both stable at epoch 3. */
function pair(change: Partial<ConsumerHeartbeatRequest> = {}): Bench {
  const bench = new Bench();
  bench.join('a', change);
  bench.join('b', change);
  bench.beat('a', 2);
  bench.beat('a', 2, { owned: parts('t', 0, 1) });
  bench.beat('b', 3);
  expect(consumerPhase(bench.group)).toBe('Stable');
  return bench;
}

describe('a heartbeat is refused', () => {
  test.each<[string, string, number, Partial<ConsumerHeartbeatRequest>, number]>([
    ['without a group id', 'a', 0, { groupId: ' ' }, E.INVALID_REQUEST],
    ['without a member id', '', 1, {}, E.INVALID_REQUEST],
    ['at a join without a member id from version 1', '', 0, {}, E.INVALID_REQUEST],
    ['with an empty instance id', 'a', 0, { instanceId: '' }, E.INVALID_REQUEST],
    ['with an empty rack', 'a', 0, { rackId: '' }, E.INVALID_REQUEST],
    ['with an epoch below -2', 'a', -3, {}, E.INVALID_REQUEST],
    ['at -2 without an instance id', 'a', -2, {}, E.INVALID_REQUEST],
    ['at a join without rebalance timeout', 'a', 0, { rebalanceTimeoutMs: -1 }, E.INVALID_REQUEST],
    ['at a join that says nothing of what it owns', 'a', 0, { owned: null }, E.INVALID_REQUEST],
    ['at a join that owns something', 'a', 0, { owned: parts('t', 0) }, E.INVALID_REQUEST],
    ['at a join without a subscription', 'a', 0, { subscribedNames: null }, E.INVALID_REQUEST],
    ['with an assignor nobody has', 'a', 0, { assignorName: 'mine' }, E.UNSUPPORTED_ASSIGNOR],
    ['with a pattern that is none', 'a', 0, { subscribedPattern: '(' }, E.INVALID_REGULAR_EXPRESSION],
    ['for a group that is not there', 'a', 2, {}, E.GROUP_ID_NOT_FOUND],
    ['for leaving a group that is not there', 'a', -1, {}, E.GROUP_ID_NOT_FOUND],
  ])('%s', (_name, memberId, epoch, change, code) => {
    const bench = new Bench();
    const base = epoch === 0 ? { rebalanceTimeoutMs: 1_000, subscribedNames: ['t'], owned: new Map() } : {};
    const reply = bench.beat(memberId, epoch, { ...base, ...change });
    expect(reply.errorCode).toBe(code);
    expect(reply.errorMessage).toMatch(/\w{3}/);
    expect(bench.log).toEqual([]);
    expect(isBlank(bench.state)).toBe(true);
  });

  test.each<[string, string, number, Partial<ConsumerHeartbeatRequest>, number]>([
    ['from nobody it knows', 'ghost', 3, {}, E.UNKNOWN_MEMBER_ID],
    ['that leaves and is not there', 'ghost', -1, {}, E.UNKNOWN_MEMBER_ID],
    ['of an epoch to come', 'a', 4, {}, E.FENCED_MEMBER_EPOCH],
    ['of the epoch before without saying what it owns', 'a', 2, {}, E.FENCED_MEMBER_EPOCH],
    ['of the epoch before with what it has lost', 'a', 2, { owned: parts('t', 0, 3) }, E.FENCED_MEMBER_EPOCH],
    ['of an instance that nobody holds', 'a', 3, { instanceId: 'i' }, E.UNKNOWN_MEMBER_ID],
  ])('in a running group: %s', (_name, memberId, epoch, change, code) => {
    const bench = pair();
    const before = structuredClone(bench.state);
    expect(bench.beat(memberId, epoch, change).errorCode).toBe(code);
    expect(bench.state).toEqual(before);
  });

  test('the epoch before is good when it reports nothing that it has not: the last answer was lost', () => {
    expect(pair().beat('a', 2, { owned: parts('t', 0, 1) })).toMatchObject({ errorCode: 0, memberEpoch: 3, assignment: null });
  });
});

describe('members come and go', () => {
  test('the first gets everything, at epoch 2', () => {
    const bench = new Bench();
    expect(bench.join('a')).toEqual({
      errorCode: 0,
      errorMessage: null,
      memberId: 'a',
      memberEpoch: 2,
      heartbeatIntervalMs: 5_000,
      assignment: parts('t', 0, 1, 2, 3),
    });
    expect(bench.beat('a', 2)).toMatchObject({ memberEpoch: 2, assignment: null });
    expect(bench.records).toEqual([]);
  });
  test('a member of version 0 without an id is given one', () => {
    expect(new Bench().join('', { namesItself: false }).memberId).toBe('fresh');
  });
  test('the second waits until the first has given up its half', () => {
    const bench = new Bench();
    bench.join('a');
    expect(bench.join('b')).toMatchObject({ memberEpoch: 3, assignment: new Map() });
    expect(bench.beat('a', 2)).toMatchObject({ memberEpoch: 2, assignment: parts('t', 0, 1) });
    expect(consumerPhase(bench.group)).toBe('Reconciling');
    expect(bench.beat('b', 3)).toMatchObject({ memberEpoch: 3, assignment: null });
    expect(bench.beat('a', 2, { owned: parts('t', 0, 1, 2) })).toMatchObject({ memberEpoch: 2, assignment: null });
    expect(bench.beat('a', 2, { owned: parts('t', 0, 1) })).toMatchObject({ memberEpoch: 3 });
    expect(bench.beat('b', 3)).toMatchObject({ memberEpoch: 3, assignment: parts('t', 2, 3) });
    expect(consumerPhase(bench.group)).toBe('Stable');
  });
  test('no partition ever has two owners, whoever beats when', () => {
    const bench = new Bench();
    const owned = new Map<string, { epoch: number; has: TopicPartitions }>();
    for (let step = 0; step < 400; step++) {
      const id = `m${(step * 7) % 5}`;
      const mine = owned.get(id);
      if (mine !== undefined && step % 53 === 0) {
        bench.beat(id, -1);
        owned.delete(id);
        continue;
      }
      const reply = mine === undefined ? bench.join(id) : bench.beat(id, mine.epoch, { owned: mine.has });
      expect(reply.errorCode).toBe(0);
      owned.set(id, { epoch: reply.memberEpoch, has: reply.assignment ?? mine?.has ?? new Map() });
      const held = [...owned.values()].flatMap(({ has }) => [...has].flatMap(([topic, partitions]) => partitions.map((one) => `${topic} ${one}`)));
      // A member may still have what it is told to give up in this very answer; nobody else has got it.
      expect(new Set(held).size).toBe(held.length);
    }
  });
  test('who leaves is gone at once, and who stays gets its part with the next heartbeat', () => {
    const bench = pair();
    expect(bench.beat('b', -1)).toMatchObject({ errorCode: 0, memberEpoch: -1 });
    expect(consumerPhase(bench.group)).toBe('Assigning');
    expect(bench.beat('a', 3)).toMatchObject({ memberEpoch: 4, assignment: parts('t', 0, 1, 2, 3) });
    bench.beat('a', -1);
    expect(consumerPhase(bench.group)).toBe('Empty');
  });
  test('a member that was fenced joins again under its id and is told everything', () => {
    const bench = pair();
    expect(bench.join('a')).toMatchObject({ errorCode: 0, memberEpoch: 3, assignment: parts('t', 0, 1) });
  });
  test('a session that is over costs the membership, and heartbeats keep it', () => {
    const bench = pair();
    bench.atMs = SESSION_MS - 1;
    bench.beat('a', 3);
    bench.tick(SESSION_MS);
    expect([...bench.group.members.keys()]).toEqual(['a']);
    expect(nextConsumerDeadline(bench.presence)).toBe(2 * SESSION_MS - 1);
    expect(bench.beat('b', 3).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
  });
  test('who does not give up in its rebalance timeout is fenced, and heartbeats alone do not help', () => {
    const bench = new Bench();
    bench.join('a');
    bench.join('b');
    bench.beat('a', 2);
    for (bench.atMs = 10_000; bench.atMs < 30_000; bench.atMs += 10_000) bench.beat('a', 2);
    bench.tick(30_000);
    expect(bench.beat('a', 2).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(bench.beat('b', 3)).toMatchObject({ memberEpoch: 4, assignment: parts('t', 0, 1, 2, 3) });
  });
  test('the most wanted assignor is taken', () => {
    const bench = new Bench();
    bench.topics.set('u', 1);
    for (const id of ['a', 'b']) bench.join(id, { assignorName: 'range', subscribedNames: ['t', 'u'] });
    expect(Object.fromEntries(bench.group.targets.get('a') as TopicPartitions)).toEqual({ [idOf('t')]: [0, 1], [idOf('u')]: [0] });
  });
});

describe('subscriptions', () => {
  test('a topic that does not exist yet is assigned with the heartbeat after its creation; new partitions too', () => {
    const bench = new Bench();
    expect(bench.join('a', { subscribedNames: ['later'] })).toMatchObject({ memberEpoch: 2, assignment: new Map() });
    bench.topics.set('unrelated', 1);
    expect(bench.beat('a', 2)).toMatchObject({ memberEpoch: 2, assignment: null });
    bench.topics.set('later', 1);
    expect(bench.beat('a', 2)).toMatchObject({ memberEpoch: 3, assignment: parts('later', 0) });
    bench.topics.set('later', 2);
    expect(bench.beat('a', 3)).toMatchObject({ memberEpoch: 4, assignment: parts('later', 0, 1) });
  });
  test('a pattern takes in what matches it, now and later', () => {
    const bench = new Bench();
    bench.topics.set('p1', 1);
    expect(bench.join('a', { subscribedNames: null, subscribedPattern: 'p.*' }).assignment).toEqual(parts('p1', 0));
    bench.topics.set('p2', 1);
    expect(bench.beat('a', 2).assignment).toEqual(
      topicPartitions([
        [idOf('p1'), [0]],
        [idOf('p2'), [0]],
      ]),
    );
  });
  test('another subscription gives up the old topic before it gets the new one', () => {
    const bench = new Bench();
    bench.topics.set('u', 1);
    bench.join('a');
    expect(bench.beat('a', 2, { subscribedNames: ['u'] })).toMatchObject({ memberEpoch: 2, assignment: new Map() });
    expect(bench.beat('a', 2, { owned: new Map() })).toMatchObject({ memberEpoch: 3, assignment: parts('u', 0) });
  });
});

describe('static members', () => {
  const staticPair = (): Bench => {
    const bench = new Bench();
    bench.join('a', { instanceId: 'i' });
    return bench;
  };
  test('an instance id that is in use is not given to another', () => {
    const bench = staticPair();
    expect(bench.join('a2', { instanceId: 'i' }).errorCode).toBe(E.UNRELEASED_INSTANCE_ID);
  });
  test('one that is away for a while keeps its partitions, and who comes with its instance id takes them over without a rebalance', () => {
    const bench = staticPair();
    bench.join('b');
    bench.beat('a', 2, { instanceId: 'i' });
    bench.beat('a', 2, { instanceId: 'i', owned: parts('t', 0, 1) });
    bench.beat('b', 3);
    expect(bench.beat('a', -2, { instanceId: 'i' })).toMatchObject({ errorCode: 0, memberEpoch: -2 });
    expect(bench.beat('b', 3)).toMatchObject({ memberEpoch: 3, assignment: null });
    expect(bench.join('a2', { instanceId: 'i' })).toMatchObject({ memberEpoch: 3, assignment: parts('t', 0, 1) });
    expect(bench.beat('b', 3)).toMatchObject({ memberEpoch: 3, assignment: null });
    expect(bench.beat('a', 3, { instanceId: 'i' }).errorCode).toBe(E.FENCED_INSTANCE_ID);
    expect([...bench.group.members.keys()].sort()).toEqual(['a2', 'b']);
  });
  test('one that stays away loses its place with its session', () => {
    const bench = staticPair();
    bench.beat('a', -2, { instanceId: 'i' });
    bench.tick(SESSION_MS);
    expect(bench.group.members.size).toBe(0);
  });
  test('an admin removes members by instance id or member id with LeaveGroup', () => {
    const bench = staticPair();
    bench.join('b');
    const members = [
      { memberId: '', instanceId: 'i' },
      { memberId: 'b', instanceId: null },
      { memberId: 'ghost', instanceId: null },
      { memberId: 'x', instanceId: 'i' },
      { memberId: '', instanceId: 'nobody' },
    ];
    const reply = bench.ask<LeaveReply>({ kind: 'leave', groupId: 'g', members });
    expect(reply.members.map(({ errorCode }) => errorCode)).toEqual([0, 0, E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID, E.UNKNOWN_MEMBER_ID]);
    expect(bench.group.members.size).toBe(0);
  });
});

describe('beside the classic protocol', () => {
  const classicJoin: GroupRequest = {
    kind: 'join',
    groupId: 'g',
    memberId: '',
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from('m') }],
    idFirst: false,
    mayKeepAssignment: true,
    freshId: 'id',
  };
  test('a group with members of one protocol takes none of the other', () => {
    expect(pair().ask<JoinReply>(classicJoin).errorCode).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    const bench = new Bench();
    bench.ask(classicJoin);
    expect(bench.join('a').errorCode).toBe(E.GROUP_ID_NOT_FOUND);
  });
  test('classic requests of a member that is not there find no member', () => {
    const bench = pair();
    const common = { groupId: 'g', memberId: 'a', generation: 3, instanceId: null };
    expect(bench.ask<CodeReply>({ kind: 'heartbeat', ...common }).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(bench.ask<CodeReply>({ kind: 'sync', ...common, protocolType: null, protocolName: null, assignments: new Map() }).errorCode).toBe(
      E.UNKNOWN_MEMBER_ID,
    );
  });
  test('an empty group changes its kind in both directions and keeps its offsets', () => {
    const bench = new Bench();
    const { memberId } = bench.ask<JoinReply>(classicJoin);
    bench.ask({ kind: 'leave', groupId: 'g', members: [{ memberId, instanceId: null }] });
    bench.ask(commit());
    expect(bench.join('a').errorCode).toBe(0);
    expect(bench.state.metadata).toBeUndefined();
    bench.beat('a', -1);
    expect(bench.ask<JoinReply>({ ...classicJoin, freshId: 'other' })).toMatchObject({ errorCode: 0, generation: 1 });
    expect(bench.state.consumer).toBeUndefined();
    expect(bench.state.offsets.get('t')?.get(0)?.offset).toBe(5);
  });
});

function commit(change: Partial<CommitRequest> = {}): CommitRequest {
  return {
    kind: 'commit',
    groupId: 'g',
    generation: -1,
    memberId: '',
    instanceId: null,
    retentionMs: undefined,
    transaction: undefined,
    offsets: asked(0),
    ...change,
  };
}
function asked(...partitions: number[]): CommitRequest['offsets'] {
  return partitions.map((partition) => ({ topic: 't', partition, offset: 5, leaderEpoch: -1, metadata: '', partitionExists: true }));
}

describe('offsets', () => {
  const inTransaction = { transaction: { producerId: 1, producerEpoch: 0 } };
  test.each<[string, Partial<CommitRequest>, number]>([
    ['by a member at its epoch', { memberId: 'a', generation: 3 }, E.NONE],
    ['by a member at an old epoch, for what it has had since', { memberId: 'a', generation: 2 }, E.NONE],
    ['by a member at an old epoch, for what came later', { memberId: 'b', generation: 2, offsets: asked(2) }, E.STALE_MEMBER_EPOCH],
    ['by a member at an old epoch, for what it has given up', { memberId: 'a', generation: 2, offsets: asked(0, 3) }, E.STALE_MEMBER_EPOCH],
    ['by a member that can only say a generation', { memberId: 'a', generation: 3, byGeneration: true }, E.STALE_MEMBER_EPOCH],
    ['by a member at an epoch to come', { memberId: 'a', generation: 4 }, E.STALE_MEMBER_EPOCH],
    ['by nobody it knows', { memberId: 'ghost', generation: 3 }, E.UNKNOWN_MEMBER_ID],
    ['by an admin while members are there', {}, E.UNKNOWN_MEMBER_ID],
    ['in a transaction by a member at its epoch', { ...inTransaction, memberId: 'a', generation: 3 }, E.NONE],
    ['in a transaction by a member at an old epoch', { ...inTransaction, memberId: 'b', generation: 2, offsets: asked(2) }, E.ILLEGAL_GENERATION],
    ['in a transaction by a producer that names no member', inTransaction, E.NONE],
  ])('are committed %s', (_name, change, code) => {
    expect(pair().ask<CodeReply>(commit(change)).errorCode).toBe(code);
  });
  test('are committed by an admin once the group is empty, and go with the group', () => {
    const bench = pair();
    bench.beat('a', -1);
    expect(bench.ask<CodeReply>({ kind: 'delete-group', groupId: 'g' }).errorCode).toBe(E.NON_EMPTY_GROUP);
    bench.beat('b', -1);
    expect(bench.ask<CodeReply>(commit()).errorCode).toBe(E.NONE);
    expect(bench.ask<CodeReply>({ kind: 'delete-group', groupId: 'g' }).errorCode).toBe(E.NONE);
    expect(isBlank(bench.state)).toBe(true);
  });
  test('of a topic that members read are neither deleted nor expired; others are', () => {
    const bench = new Bench();
    bench.join('a', { subscribedNames: ['t'] });
    const both = ['t', 'old'].map((topic) => ({ topic, partition: 0, offset: 5, leaderEpoch: -1, metadata: '', partitionExists: true }));
    bench.ask(commit({ memberId: 'a', generation: 2, offsets: both }));
    const partitions = ['t', 'old'].map((topic) => ({ topic, partition: 0, partitionExists: true }));
    const reply = bench.ask<{ partitions: CodeReply[] } & CodeReply>({ kind: 'delete-offsets', groupId: 'g', partitions });
    expect(reply.partitions.map(({ errorCode }) => errorCode)).toEqual([E.GROUP_SUBSCRIBED_TO_TOPIC, E.NONE]);
    bench.ask(commit({ memberId: 'a', generation: 2, offsets: both }));
    bench.atMs = DEFAULT_GROUP_OPTIONS.offsetsRetentionMs;
    bench.ask({ kind: 'expire', groupId: 'g' });
    expect([...bench.state.offsets.keys()]).toEqual(['t']);
  });
  test('that have expired take an empty group along', () => {
    const bench = new Bench();
    bench.join('a');
    bench.beat('a', -1);
    bench.ask({ kind: 'expire', groupId: 'g' });
    expect(isBlank(bench.state)).toBe(true);
  });
});

test('after a restart members go on at their epochs, with sessions and revocations that start anew', () => {
  const bench = new Bench();
  bench.join('a');
  bench.join('b');
  bench.beat('a', 2);
  bench.atMs = 20_000;
  bench.restart();
  expect(bench.presence.revocations.get('a')).toEqual({ memberEpoch: 2, deadlineMs: 50_000 });
  expect(bench.presence.sessions.get('b')).toBe(20_000 + SESSION_MS);
  expect(bench.beat('b', 3)).toMatchObject({ errorCode: 0, memberEpoch: 3 });
  expect(bench.records).toEqual([]);
  bench.beat('a', 2, { owned: parts('t', 0, 1) });
  expect(bench.beat('b', 3).assignment).toEqual(parts('t', 2, 3));
});
