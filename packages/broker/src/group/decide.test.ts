// Every reply of the classic group protocol, from the pure side: one request at a time against a state and a membership.
import { ERROR_CODES } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { applyGroupRecord } from './apply.ts';
import { NO_TOPICS } from './consumer/catalog.ts';
import { NO_PRESENCE } from './consumer/presence.ts';
import { decideGroup } from './decide.ts';
import { EMPTY_MEMBERSHIP, GROUP_MOVES, type GroupPhase, type Membership, membershipAfterRestart, nextDeadline } from './membership.ts';
import { DEFAULT_GROUP_OPTIONS, type GroupOptions } from './options.ts';
import type { GroupRecord } from './records.ts';
import type { CommitRequest, GroupReply, GroupRequest, HeartbeatRequest, JoinReply, JoinRequest, LeaveRequest, SyncReply, SyncRequest } from './requests.ts';
import { createGroupState, type GroupState } from './state.ts';

const E = ERROR_CODES;
const bytes = (text: string): Buffer => Buffer.from(text);

/** One group, driven by hand: keeps what decisions say, and answers by ticket. */
class Bench {
  readonly state: GroupState = createGroupState('g');
  membership: Membership = EMPTY_MEMBERSHIP;
  presence = NO_PRESENCE;
  readonly replies = new Map<number, GroupReply>();
  records: readonly GroupRecord[] = [];
  readonly options: GroupOptions;
  atMs = 0;
  #ticket = 0;
  #position = 0;

  constructor(options: Partial<GroupOptions> = {}) {
    this.options = { ...DEFAULT_GROUP_OPTIONS, ...options };
  }

  /** The ticket of the request; its reply may come later. */
  send(request: GroupRequest): number {
    const ticket = this.#ticket++;
    const now = { wallMs: 1_000_000 + this.atMs, atMs: this.atMs };
    const { state, membership, presence, options } = this;
    const decision = decideGroup({ state, membership, presence, catalog: NO_TOPICS, now, options }, request, ticket);
    const pendingFor = request.kind === 'commit' ? request.transaction?.producerId : undefined;
    for (const record of decision.records) applyGroupRecord(this.state, record, { position: this.#position++, pendingFor });
    this.membership = decision.membership;
    this.presence = decision.presence;
    this.records = decision.records;
    for (const { ticket: to, reply } of decision.replies) {
      expect(this.replies.has(to), `two answers to ticket ${to}`).toBe(false);
      this.replies.set(to, reply);
    }
    return ticket;
  }
  /** The reply, or undefined while the request is parked. */
  ask(request: GroupRequest): GroupReply | undefined {
    return this.replies.get(this.send(request));
  }
  code(request: GroupRequest): number | undefined {
    return this.ask(request)?.errorCode;
  }
  reply<Reply extends GroupReply>(ticket: number): Reply {
    const reply = this.replies.get(ticket);
    expect(reply, `ticket ${ticket} has no answer`).toBeDefined();
    return reply as Reply;
  }
  parked(ticket: number): boolean {
    return !this.replies.has(ticket);
  }
  tick(atMs: number): void {
    this.atMs = atMs;
    this.send({ kind: 'tick', groupId: 'g' });
  }
  restart(): void {
    this.membership = membershipAfterRestart(this.state.metadata, this.atMs);
  }
}

let fresh = 0;
function join(change: Partial<JoinRequest> = {}): JoinRequest {
  return {
    kind: 'join',
    groupId: 'g',
    memberId: '',
    instanceId: null,
    clientId: 'c',
    clientHost: '/host',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: bytes('topics') }],
    idFirst: false,
    mayKeepAssignment: true,
    freshId: `id${fresh++}`,
    ...change,
  };
}
const sync = (memberId: string, generation: number, assignments: Record<string, string> = {}, change: Partial<SyncRequest> = {}): SyncRequest => ({
  kind: 'sync',
  groupId: 'g',
  generation,
  memberId,
  instanceId: null,
  protocolType: null,
  protocolName: null,
  assignments: new Map(Object.entries(assignments).map(([id, text]) => [id, bytes(text)])),
  ...change,
});
const heartbeat = (memberId: string, generation: number, change: Partial<HeartbeatRequest> = {}): HeartbeatRequest => ({
  kind: 'heartbeat',
  groupId: 'g',
  generation,
  memberId,
  instanceId: null,
  ...change,
});
const leave = (...members: LeaveRequest['members']): LeaveRequest => ({ kind: 'leave', groupId: 'g', members });
const commit = (change: Partial<CommitRequest> = {}): CommitRequest => ({
  kind: 'commit',
  groupId: 'g',
  generation: -1,
  memberId: '',
  instanceId: null,
  retentionMs: undefined,
  transaction: undefined,
  offsets: [{ topic: 't', partition: 0, offset: 5, leaderEpoch: -1, metadata: '', partitionExists: true }],
  ...change,
});

/** A stable group of dynamic members; the first leads. */
function stable(size = 1, options: Partial<GroupOptions> = {}): { bench: Bench; ids: string[]; generation: number } {
  const bench = new Bench(options);
  const ids: string[] = [];
  for (let at = 0; at < size; at++) {
    const ticket = bench.send(join());
    const again = ids.map((memberId) => bench.send(join({ memberId })));
    ids.push(bench.reply<JoinReply>(ticket).memberId);
    for (const other of again) bench.reply(other);
  }
  const { generation, leaderId } = bench.membership;
  const followers = ids.filter((id) => id !== leaderId).map((id) => bench.send(sync(id, generation)));
  expect(leaderId).toBe(ids[0]);
  bench.send(sync(leaderId as string, generation, Object.fromEntries(ids.map((id) => [id, `part of ${id}`]))));
  for (const ticket of followers) bench.reply(ticket);
  expect(bench.membership.phase).toBe('Stable');
  return { bench, ids, generation };
}
/** The same with static members i0, i1, … */
function stableStatic(size: number): { bench: Bench; ids: string[]; generation: number } {
  const bench = new Bench();
  const ids: string[] = [];
  for (let at = 0; at < size; at++) {
    const ticket = bench.send(join({ instanceId: `i${at}` }));
    for (const [index, memberId] of ids.entries()) bench.send(join({ memberId, instanceId: `i${index}` }));
    ids.push(bench.reply<JoinReply>(ticket).memberId);
  }
  const { generation } = bench.membership;
  for (const [index, id] of ids.entries()) if (index > 0) bench.send(sync(id, generation, {}, { instanceId: `i${index}` }));
  bench.send(sync(ids[0] as string, generation, Object.fromEntries(ids.map((id) => [id, `part of ${id}`])), { instanceId: 'i0' }));
  expect(bench.membership.phase).toBe('Stable');
  return { bench, ids, generation };
}
/** Static members that live and do not join, up to and including a time. */
function beatUntil(bench: Bench, ids: readonly string[], atMs: number): void {
  for (bench.atMs += 6_000; bench.atMs < atMs; bench.atMs += 6_000) {
    for (const [index, id] of ids.entries()) bench.send(heartbeat(id, bench.membership.generation, { instanceId: `i${index}` }));
  }
  bench.tick(atMs);
}
/** One member in the given phase. */
function inPhase(phase: GroupPhase): { bench: Bench; id: string; generation: number } {
  if (phase === 'Stable' || phase === 'PreparingRebalance') {
    const { bench, ids, generation } = stable(1);
    if (phase === 'PreparingRebalance') bench.send(join());
    expect(bench.membership.phase).toBe(phase);
    return { bench, id: ids[0] as string, generation };
  }
  const bench = new Bench();
  const { memberId } = bench.reply<JoinReply>(bench.send(join()));
  if (phase === 'Empty') bench.send(leave({ memberId, instanceId: null }));
  expect(bench.membership.phase).toBe(phase);
  return { bench, id: memberId, generation: bench.membership.generation };
}

describe('JoinGroup refuses', () => {
  test.each<[string, Partial<JoinRequest>, number]>([
    ['an empty group id', { groupId: '' }, E.INVALID_GROUP_ID],
    ['a session timeout below the least', { sessionTimeoutMs: 5_999 }, E.INVALID_SESSION_TIMEOUT],
    ['a session timeout above the most', { sessionTimeoutMs: 1_800_001 }, E.INVALID_SESSION_TIMEOUT],
    ['a member id that was never given out', { memberId: 'ghost' }, E.UNKNOWN_MEMBER_ID],
    ['an instance id with an unknown member id', { memberId: 'ghost', instanceId: 'i' }, E.UNKNOWN_MEMBER_ID],
    ['no protocols', { protocols: [] }, E.INCONSISTENT_GROUP_PROTOCOL],
    ['no protocol type', { protocolType: '' }, E.INCONSISTENT_GROUP_PROTOCOL],
  ])('%s', (_name, change, code) => {
    const bench = new Bench();
    expect(bench.code(join(change))).toBe(code);
    expect(bench.membership).toEqual(EMPTY_MEMBERSHIP);
    expect(bench.records).toEqual([]);
  });
  test('another protocol type, and protocols nobody else supports', () => {
    const { bench } = stable(2);
    expect(bench.code(join({ protocolType: 'connect' }))).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(bench.code(join({ protocols: [{ name: 'roundrobin', metadata: bytes('x') }] }))).toBe(E.INCONSISTENT_GROUP_PROTOCOL);
    expect(bench.membership.phase).toBe('Stable');
  });
  test('a member above the group size, while those inside may come again', () => {
    const { bench, ids } = stable(2, { membersMax: 2 });
    expect(bench.code(join())).toBe(E.GROUP_MAX_SIZE_REACHED);
    expect(bench.parked(bench.send(join({ memberId: ids[0] as string })))).toBe(true);
  });
});

describe('JoinGroup', () => {
  test('first tells a new dynamic member its id, and takes it with that id', () => {
    const bench = new Bench();
    const first = bench.ask(join({ idFirst: true, clientId: 'app' })) as JoinReply;
    expect(first).toMatchObject({ errorCode: E.MEMBER_ID_REQUIRED, generation: -1 });
    expect(first.memberId).toMatch(/^app-id/);
    const joined = bench.ask(join({ idFirst: true, memberId: first.memberId })) as JoinReply;
    expect(joined).toMatchObject({ errorCode: E.NONE, generation: 1, leaderId: first.memberId, memberId: first.memberId });
  });
  test('forgets a promised id after the session timeout, and the group with it', () => {
    const bench = new Bench();
    const { memberId } = bench.ask(join({ idFirst: true })) as JoinReply;
    expect(nextDeadline(bench.membership)).toBe(10_000);
    bench.tick(10_000);
    expect(bench.membership.promisedIds.size).toBe(0);
    expect(bench.code(join({ memberId }))).toBe(E.UNKNOWN_MEMBER_ID);
  });
  test('gives static members their id at once', () => {
    const bench = new Bench();
    const reply = bench.ask(join({ idFirst: true, instanceId: 'i' })) as JoinReply;
    expect(reply).toMatchObject({ errorCode: E.NONE, generation: 1 });
    expect(reply.memberId).toMatch(/^i-id/);
  });
  test('tells the leader about everyone and followers nothing', () => {
    const bench = new Bench();
    const { memberId: leader } = bench.reply<JoinReply>(bench.send(join({ protocols: [{ name: 'range', metadata: bytes('leader') }] })));
    const follower = bench.send(join({ protocols: [{ name: 'range', metadata: bytes('follower') }] }));
    expect(bench.parked(follower)).toBe(true);
    const again = bench.ask(join({ memberId: leader, protocols: [{ name: 'range', metadata: bytes('leader') }] })) as JoinReply;
    expect(again.members.map(({ metadata }) => metadata.toString())).toEqual(['leader', 'follower']);
    expect(again).toMatchObject({ generation: 2, leaderId: leader, protocolName: 'range', protocolType: 'consumer' });
    expect(bench.reply<JoinReply>(follower)).toMatchObject({ generation: 2, leaderId: leader, members: [] });
  });
  test('takes the protocol most members want first among those all support', () => {
    const bench = new Bench();
    const of = (...names: string[]): JoinRequest['protocols'] => names.map((name) => ({ name, metadata: bytes(name) }));
    const first = bench.reply<JoinReply>(bench.send(join({ protocols: of('only-me', 'a', 'b') }))).memberId;
    bench.send(join({ protocols: of('b', 'a') }));
    bench.send(join({ protocols: of('b', 'a') }));
    const reply = bench.ask(join({ memberId: first, protocols: of('only-me', 'a', 'b') })) as JoinReply;
    expect(reply.protocolName).toBe('b');
    expect(reply.members.map(({ metadata }) => metadata.toString())).toEqual(['b', 'b', 'b']);
  });
  test('waits the initial delay, extended by each arrival up to the rebalance timeout', () => {
    const bench = new Bench({ initialRebalanceDelayMs: 3_000 });
    const one = bench.send(join({ rebalanceTimeoutMs: 7_000 }));
    expect(nextDeadline(bench.membership)).toBe(3_000);
    bench.atMs = 1_000;
    const two = bench.send(join({ rebalanceTimeoutMs: 7_000 }));
    bench.tick(3_000);
    expect(bench.parked(one)).toBe(true);
    expect(nextDeadline(bench.membership)).toBe(6_000);
    bench.atMs = 4_000;
    const three = bench.send(join({ rebalanceTimeoutMs: 7_000 }));
    bench.tick(6_000);
    expect(bench.parked(three)).toBe(true);
    bench.tick(7_000);
    for (const ticket of [one, two, three]) expect(bench.reply<JoinReply>(ticket).generation).toBe(1);
  });
  test('drops dynamic members that did not come again within the rebalance timeout, and elects another leader', () => {
    const { bench, ids } = stable(2);
    const newcomer = bench.send(join({ sessionTimeoutMs: 100_000 }));
    const stays = bench.send(join({ memberId: ids[1] as string, sessionTimeoutMs: 100_000 }));
    for (let at = 1; at < 6; at++) {
      bench.atMs = at * 9_999;
      expect(bench.code(heartbeat(ids[0] as string, bench.membership.generation))).toBe(E.REBALANCE_IN_PROGRESS);
    }
    bench.tick(60_000);
    expect(bench.reply<JoinReply>(stays)).toMatchObject({ leaderId: ids[1], generation: 3 });
    expect(bench.reply<JoinReply>(newcomer)).toMatchObject({ leaderId: ids[1], generation: 3, members: [] });
    expect([...bench.membership.members.keys()]).not.toContain(ids[0]);
  });
  test('keeps static members that did not come again', () => {
    const { bench, ids } = stableStatic(2);
    const newcomer = bench.send(join({ sessionTimeoutMs: 100_000 }));
    beatUntil(bench, ids, 60_000);
    expect(bench.reply<JoinReply>(newcomer).members.map(({ instanceId }) => instanceId)).toEqual(['i0', 'i1', null]);
    expect(bench.membership.leaderId).toBe([...bench.membership.members.keys()][2]);
  });
  test('waits on when only static members are left and none came again: nobody could lead', () => {
    const { bench, ids } = stableStatic(2);
    const newcomer = bench.reply<JoinReply>(bench.send(join({ idFirst: true }))).memberId;
    const joining = bench.send(join({ idFirst: true, memberId: newcomer }));
    bench.send(leave({ memberId: newcomer, instanceId: null }));
    expect(bench.reply<JoinReply>(joining).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    beatUntil(bench, ids, 60_000);
    expect(bench.membership).toMatchObject({ phase: 'PreparingRebalance', generation: 2, joinWait: { deadlineMs: 120_000 } });
    const back = bench.send(join({ memberId: ids[1] as string, instanceId: 'i1' }));
    beatUntil(bench, ids, 120_000);
    expect(bench.reply<JoinReply>(back)).toMatchObject({ leaderId: ids[1], generation: 3 });
  });
  test('holds the join phase for a promised id', () => {
    const { bench, ids } = stable(1);
    const { memberId } = bench.ask(join({ idFirst: true })) as JoinReply;
    const rejoin = bench.send(join({ memberId: ids[0] as string }));
    expect(bench.parked(rejoin)).toBe(true);
    const joined = bench.send(join({ idFirst: true, memberId }));
    expect(bench.reply<JoinReply>(rejoin).members.length).toBe(2);
    expect(bench.reply<JoinReply>(joined).errorCode).toBe(E.NONE);
  });
  test('never ends a parked first join before five minutes, and then does', () => {
    const { bench, ids } = stable(1);
    bench.send(join({ memberId: ids[0] as string, rebalanceTimeoutMs: 900_000 }));
    bench.send(sync(ids[0] as string, 2, { [ids[0] as string]: 'all' }));
    const newcomer = bench.send(join({ rebalanceTimeoutMs: 900_000 }));
    for (let atMs = 9_000; atMs < 300_000; atMs += 9_000) {
      bench.atMs = atMs;
      bench.send(heartbeat(ids[0] as string, 2));
      bench.tick(atMs);
    }
    expect(bench.parked(newcomer)).toBe(true);
    bench.send(heartbeat(ids[0] as string, 2));
    bench.tick(300_000);
    expect(bench.reply<JoinReply>(newcomer).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
  });
  test.each<[GroupPhase, boolean, boolean, 'parked' | 'current']>([
    ['Stable', true, true, 'parked'],
    ['Stable', true, false, 'parked'],
    ['Stable', false, true, 'parked'],
    ['Stable', false, false, 'current'],
    ['CompletingRebalance', true, false, 'current'],
    ['CompletingRebalance', false, false, 'current'],
    ['CompletingRebalance', false, true, 'parked'],
  ])('again in %s (leader: %s, changed: %s) is %s', (phase, leads, changed, expected) => {
    const { bench, ids } = stable(2);
    if (phase === 'CompletingRebalance') for (const memberId of ids) bench.send(join({ memberId }));
    const memberId = ids[leads ? 0 : 1] as string;
    const { generation } = bench.membership;
    const ticket = bench.send(join({ memberId, protocols: [{ name: 'range', metadata: bytes(changed ? 'other' : 'topics') }] }));
    expect(bench.parked(ticket)).toBe(expected === 'parked');
    if (expected === 'parked') return;
    const reply = bench.reply<JoinReply>(ticket);
    expect(reply).toMatchObject({ generation, memberId, errorCode: E.NONE });
    expect(reply.members.length).toBe(leads ? 2 : 0);
  });
  test('twice from one member: the older one is told to come again, so its connection is not stuck', () => {
    const { bench, ids } = stable(2);
    const older = bench.send(join({ memberId: ids[0] as string }));
    const newer = bench.send(join({ memberId: ids[0] as string }));
    expect(bench.reply<JoinReply>(older).errorCode).toBe(E.REBALANCE_IN_PROGRESS);
    expect(bench.parked(newer)).toBe(true);
  });
  test('refuses members of an emptied group, and goes on counting generations for new ones', () => {
    const { bench, id, generation } = inPhase('Empty');
    expect(bench.code(join({ memberId: id }))).toBe(E.UNKNOWN_MEMBER_ID);
    expect((bench.ask(join()) as JoinReply).generation).toBe(generation + 1);
  });
});

describe('a static member that comes back without its id', () => {
  test('as a follower of a stable group takes its place without a rebalance, and the old id is fenced everywhere', () => {
    const { bench, ids, generation } = stableStatic(2);
    const reply = bench.ask(join({ instanceId: 'i1' })) as JoinReply;
    expect(reply).toMatchObject({ errorCode: E.NONE, generation, leaderId: ids[0], members: [], skipAssignment: false });
    expect(bench.membership.phase).toBe('Stable');
    expect(bench.records.length).toBe(1);
    const old = ids[1] as string;
    expect(bench.code(heartbeat(old, generation, { instanceId: 'i1' }))).toBe(E.FENCED_INSTANCE_ID);
    expect(bench.code(sync(old, generation, {}, { instanceId: 'i1' }))).toBe(E.FENCED_INSTANCE_ID);
    expect(bench.code(join({ memberId: old, instanceId: 'i1' }))).toBe(E.FENCED_INSTANCE_ID);
    const fenced = bench.ask(commit({ memberId: old, instanceId: 'i1', generation }));
    expect(fenced?.errorCode).toBe(E.FENCED_INSTANCE_ID);
    expect(bench.ask(leave({ memberId: old, instanceId: 'i1' }))).toMatchObject({ members: [{ errorCode: E.FENCED_INSTANCE_ID }] });
    const assignment = bench.ask(sync(reply.memberId, generation, {}, { instanceId: 'i1' })) as SyncReply;
    expect(assignment.assignment.toString()).toBe(`part of ${old}`);
  });
  test('as the leader of a stable group skips the assignment from version 9', () => {
    const { bench, generation } = stableStatic(2);
    const reply = bench.ask(join({ instanceId: 'i0' })) as JoinReply;
    expect(reply).toMatchObject({ generation, leaderId: reply.memberId, skipAssignment: true });
    expect(reply.members.length).toBe(2);
  });
  test('as the leader is told, below version 9, that its old id leads', () => {
    const { bench, ids, generation } = stableStatic(2);
    const reply = bench.ask(join({ instanceId: 'i0', mayKeepAssignment: false })) as JoinReply;
    expect(reply).toMatchObject({ generation, leaderId: ids[0], skipAssignment: false, members: [] });
    expect(bench.membership.leaderId).toBe(reply.memberId);
  });
  test('survives a restart of the broker with its new id', () => {
    const { bench, generation } = stableStatic(2);
    const { memberId } = bench.ask(join({ instanceId: 'i1' })) as JoinReply;
    bench.restart();
    expect(bench.code(heartbeat(memberId, generation, { instanceId: 'i1' }))).toBe(E.NONE);
  });
  test('while the assignment is being made starts a rebalance and fences what the old id has parked', () => {
    const { bench, ids } = stableStatic(2);
    for (const [at, memberId] of ids.entries()) bench.send(join({ memberId, instanceId: `i${at}`, protocols: [{ name: 'range', metadata: bytes('new') }] }));
    expect(bench.membership.phase).toBe('CompletingRebalance');
    const parked = bench.send(sync(ids[1] as string, bench.membership.generation, {}, { instanceId: 'i1' }));
    const back = bench.send(join({ instanceId: 'i1' }));
    expect(bench.reply<SyncReply>(parked).errorCode).toBe(E.FENCED_INSTANCE_ID);
    expect(bench.parked(back)).toBe(true);
    expect(bench.membership.phase).toBe('PreparingRebalance');
  });
  test('while a rebalance is prepared replaces the join that its old id has parked', () => {
    const { bench, ids } = stableStatic(2);
    const old = bench.send(join({ memberId: ids[0] as string, instanceId: 'i0' }));
    const back = bench.send(join({ instanceId: 'i0' }));
    expect(bench.reply<JoinReply>(old).errorCode).toBe(E.FENCED_INSTANCE_ID);
    bench.send(join({ memberId: ids[1] as string, instanceId: 'i1' }));
    expect(bench.reply<JoinReply>(back)).toMatchObject({ errorCode: E.NONE, skipAssignment: false });
  });
  test('with a protocol that its former self did not have is refused, as every joiner is that shares none', () => {
    const { bench } = stableStatic(1);
    expect(bench.ask(join({ instanceId: 'i0', protocols: [{ name: 'sticky', metadata: bytes('x') }] }))).toMatchObject({
      errorCode: E.INCONSISTENT_GROUP_PROTOCOL,
    });
  });
  test('is removed when its session ends', () => {
    const { bench } = stableStatic(1);
    bench.tick(10_000);
    expect(bench.membership.phase).toBe('Empty');
  });
});

describe('SyncGroup', () => {
  test.each<[GroupPhase, number]>([
    ['Empty', E.UNKNOWN_MEMBER_ID],
    ['PreparingRebalance', E.REBALANCE_IN_PROGRESS],
    ['CompletingRebalance', E.NONE],
    ['Stable', E.NONE],
  ])('in %s answers %i', (phase, code) => {
    const { bench, id, generation } = inPhase(phase);
    expect(bench.code(sync(id, generation, { [id]: 'x' }))).toBe(code);
  });
  test.each<[string, Partial<SyncRequest>, number]>([
    ['an empty group id', { groupId: '' }, E.INVALID_GROUP_ID],
    ['an unknown member', { memberId: 'ghost' }, E.UNKNOWN_MEMBER_ID],
    ['an older generation', { generation: 0 }, E.ILLEGAL_GENERATION],
    ['a newer generation', { generation: 2 }, E.ILLEGAL_GENERATION],
    ['another protocol type', { protocolType: 'connect' }, E.INCONSISTENT_GROUP_PROTOCOL],
    ['another protocol name', { protocolName: 'sticky' }, E.INCONSISTENT_GROUP_PROTOCOL],
    ['an unknown instance', { instanceId: 'i' }, E.UNKNOWN_MEMBER_ID],
  ])('refuses %s', (_name, change, code) => {
    const { bench, id, generation } = inPhase('CompletingRebalance');
    expect(bench.code(sync(id, generation, {}, change))).toBe(code);
  });
  test('parks followers until the leader has been, and gives nothing to whom the leader forgot', () => {
    const { bench, ids } = stable(3);
    for (const memberId of ids) bench.send(join({ memberId }));
    const { generation } = bench.membership;
    const [leader, second, third] = ids as [string, string, string];
    const early = bench.send(sync(second, generation));
    expect(bench.parked(early)).toBe(true);
    expect((bench.ask(sync(leader, generation, { [leader]: 'L', [second]: 'S' })) as SyncReply).assignment.toString()).toBe('L');
    expect(bench.reply<SyncReply>(early).assignment.toString()).toBe('S');
    expect(bench.records).toMatchObject([{ kind: 'group', value: { generation } }]);
    expect((bench.ask(sync(third, generation)) as SyncReply).assignment.length).toBe(0);
  });
  test('that is parked costs no session, and is told of a rebalance', () => {
    const { bench, ids } = stable(2);
    for (const memberId of ids) bench.send(join({ memberId }));
    const { generation } = bench.membership;
    const parked = bench.send(sync(ids[1] as string, generation));
    for (const atMs of [9_000, 18_000, 27_000]) {
      bench.atMs = atMs;
      expect(bench.code(heartbeat(ids[0] as string, generation))).toBe(E.NONE);
      bench.tick(atMs);
    }
    expect(bench.parked(parked)).toBe(true);
    bench.send(join());
    expect(bench.reply<SyncReply>(parked).errorCode).toBe(E.REBALANCE_IN_PROGRESS);
  });
  test('that does not come within the rebalance timeout costs the membership and starts a rebalance', () => {
    const { bench, ids } = stable(2);
    for (const memberId of ids) bench.send(join({ memberId, sessionTimeoutMs: 100_000 }));
    const { generation } = bench.membership;
    bench.send(sync(ids[0] as string, generation, {}));
    expect(bench.membership.phase).toBe('Stable');
    expect(nextDeadline(bench.membership)).toBe(60_000);
    bench.tick(60_000);
    expect([...bench.membership.members.keys()]).toEqual([ids[0]]);
    expect(bench.membership.phase).toBe('PreparingRebalance');
  });
});

describe('Heartbeat', () => {
  test.each<[GroupPhase, number]>([
    ['Empty', E.UNKNOWN_MEMBER_ID],
    ['PreparingRebalance', E.REBALANCE_IN_PROGRESS],
    ['CompletingRebalance', E.NONE],
    ['Stable', E.NONE],
  ])('in %s answers %i', (phase, code) => {
    const { bench, id, generation } = inPhase(phase);
    expect(bench.code(heartbeat(id, generation))).toBe(code);
  });
  test('refuses unknown members, groups and generations, and promised ids', () => {
    const { bench, ids, generation } = stable(1);
    expect(bench.code(heartbeat('ghost', generation))).toBe(E.UNKNOWN_MEMBER_ID);
    expect(bench.code(heartbeat(ids[0] as string, generation - 1))).toBe(E.ILLEGAL_GENERATION);
    expect(bench.code(heartbeat(ids[0] as string, generation, { groupId: '' }))).toBe(E.INVALID_GROUP_ID);
    const { memberId } = bench.ask(join({ idFirst: true })) as JoinReply;
    expect(bench.code(heartbeat(memberId, generation))).toBe(E.UNKNOWN_MEMBER_ID);
    expect(new Bench().code(heartbeat('m', 1))).toBe(E.UNKNOWN_MEMBER_ID);
  });
  test('keeps the session; without one the member goes and the group empties', () => {
    const { bench, ids, generation } = stable(1);
    bench.atMs = 9_999;
    bench.send(heartbeat(ids[0] as string, generation));
    bench.tick(10_000);
    expect(bench.membership.phase).toBe('Stable');
    expect(nextDeadline(bench.membership)).toBe(19_999);
    bench.tick(19_999);
    expect(bench.membership).toMatchObject({ phase: 'Empty', generation: generation + 1 });
    expect(bench.records).toMatchObject([{ kind: 'group', value: { members: [], generation: generation + 1 } }]);
    expect(nextDeadline(bench.membership)).toBe(Number.POSITIVE_INFINITY);
  });
  test('goes on after a restart with member and generation', () => {
    const { bench, ids, generation } = stable(2);
    bench.atMs = 9_000;
    bench.restart();
    bench.tick(18_999);
    for (const id of ids) expect(bench.code(heartbeat(id, generation))).toBe(E.NONE);
    expect((bench.ask(sync(ids[1] as string, generation)) as SyncReply).assignment.toString()).toBe(`part of ${ids[1]}`);
  });
});

describe('LeaveGroup', () => {
  test('by list answers for each: dynamic, static, by instance alone, promised, unknown', () => {
    const { bench, ids } = stableStatic(2);
    const { memberId: promised } = bench.ask(join({ idFirst: true })) as JoinReply;
    const reply = bench.ask(
      leave(
        { memberId: promised, instanceId: null },
        { memberId: ids[0] as string, instanceId: 'i0' },
        { memberId: '', instanceId: 'i1' },
        { memberId: 'ghost', instanceId: null },
        { memberId: '', instanceId: 'nobody' },
      ),
    );
    expect(reply).toMatchObject({
      errorCode: E.NONE,
      members: [{ errorCode: E.NONE }, { errorCode: E.NONE }, { errorCode: E.NONE }, { errorCode: E.UNKNOWN_MEMBER_ID }, { errorCode: E.UNKNOWN_MEMBER_ID }],
    });
    expect(bench.membership.phase).toBe('Empty');
  });
  test('starts a rebalance of those who stay, and answers what the one who goes has parked', () => {
    const { bench, ids } = stable(2);
    const parked = bench.send(join({ memberId: ids[1] as string, protocols: [{ name: 'range', metadata: bytes('new') }] }));
    bench.send(leave({ memberId: ids[1] as string, instanceId: null }));
    expect(bench.reply<JoinReply>(parked).errorCode).toBe(E.UNKNOWN_MEMBER_ID);
    expect(bench.membership.phase).toBe('PreparingRebalance');
    expect(bench.ask(join({ memberId: ids[0] as string }))).toMatchObject({ errorCode: E.NONE, leaderId: ids[0] });
  });
  test('of an empty group id is refused', () => {
    expect(new Bench().ask({ kind: 'leave', groupId: '', members: [] })).toEqual({ errorCode: E.INVALID_GROUP_ID, members: [] });
  });
});

describe('OffsetCommit', () => {
  test.each<[GroupPhase | 'absent', 'member' | 'nobody' | 'ghost', number]>([
    ['absent', 'nobody', E.NONE],
    ['absent', 'ghost', E.GROUP_ID_NOT_FOUND],
    ['Empty', 'nobody', E.NONE],
    ['Empty', 'ghost', E.UNKNOWN_MEMBER_ID],
    ['PreparingRebalance', 'member', E.NONE],
    ['CompletingRebalance', 'member', E.REBALANCE_IN_PROGRESS],
    ['Stable', 'member', E.NONE],
    ['Stable', 'nobody', E.UNKNOWN_MEMBER_ID],
    ['Stable', 'ghost', E.UNKNOWN_MEMBER_ID],
  ])('in %s from %s answers %i', (phase, who, code) => {
    const { bench, id, generation } = phase === 'absent' ? { bench: new Bench(), id: '', generation: 1 } : inPhase(phase);
    const from = who === 'nobody' ? {} : { memberId: who === 'member' ? id : 'ghost', generation };
    const reply = bench.ask(commit(from));
    expect(reply).toEqual({ errorCode: code, partitions: [{ topic: 't', partition: 0, errorCode: code }] });
    expect(bench.state.offsets.get('t')?.get(0)?.offset).toBe(code === E.NONE ? 5 : undefined);
  });
  test('of another generation is refused, and a good one keeps the session', () => {
    const { bench, ids, generation } = stable(1);
    const [memberId] = ids as [string];
    expect(bench.code(commit({ memberId, generation: generation + 1 }))).toBe(E.ILLEGAL_GENERATION);
    bench.atMs = 5_000;
    bench.send(commit({ memberId, generation }));
    expect(nextDeadline(bench.membership)).toBe(15_000);
  });
  test('stores what it can: metadata above the limit and unknown partitions get their own codes', () => {
    const bench = new Bench();
    const one = { topic: 't', leaderEpoch: 3, metadata: '', partitionExists: true };
    const reply = bench.ask(
      commit({
        offsets: [
          { ...one, partition: 0, offset: 7, metadata: 'é'.repeat(2_049) },
          { ...one, partition: 1, offset: 8, partitionExists: false },
          { ...one, partition: 2, offset: 9, metadata: 'é'.repeat(2_048) },
        ],
      }),
    );
    expect(reply).toMatchObject({
      errorCode: E.NONE,
      partitions: [{ errorCode: E.OFFSET_METADATA_TOO_LARGE }, { errorCode: E.UNKNOWN_TOPIC_OR_PARTITION }, { errorCode: E.NONE }],
    });
    expect([...(bench.state.offsets.get('t')?.keys() ?? [])]).toEqual([2]);
    expect(bench.state.offsets.get('t')?.get(2)).toMatchObject({ offset: 9, leaderEpoch: 3, committedAtMs: 1_000_000 });
  });
});

describe('TxnOffsetCommit', () => {
  const transaction = { producerId: 9, producerEpoch: 0 };
  test.each<[GroupPhase | 'absent', 'member' | 'nobody' | 'ghost', number]>([
    ['absent', 'nobody', E.NONE],
    ['absent', 'ghost', E.ILLEGAL_GENERATION],
    ['Empty', 'nobody', E.NONE],
    ['Empty', 'ghost', E.UNKNOWN_MEMBER_ID],
    ['PreparingRebalance', 'member', E.NONE],
    ['CompletingRebalance', 'member', E.NONE],
    ['Stable', 'member', E.NONE],
    ['Stable', 'nobody', E.NONE],
    ['Stable', 'ghost', E.UNKNOWN_MEMBER_ID],
  ])('in %s from %s answers %i', (phase, who, code) => {
    const { bench, id, generation } = phase === 'absent' ? { bench: new Bench(), id: '', generation: 1 } : inPhase(phase);
    const from = who === 'nobody' ? {} : { memberId: who === 'member' ? id : 'ghost', generation };
    expect(bench.code(commit({ ...from, transaction }))).toBe(code);
    expect(bench.state.offsets.size).toBe(0);
    expect(bench.state.pending.get(9)?.get('t')?.get(0)?.offset).toBe(code === E.NONE ? 5 : undefined);
  });
  test('checks the generation of a member', () => {
    const { bench, ids, generation } = stable(1);
    expect(bench.code(commit({ memberId: ids[0] as string, generation: generation - 1, transaction }))).toBe(E.ILLEGAL_GENERATION);
  });
});

describe('deleting', () => {
  test('a group: only when it is empty, known, and no transaction holds offsets of it', () => {
    const remove = { kind: 'delete-group', groupId: 'g' } as const;
    expect(new Bench().code(remove)).toBe(E.GROUP_ID_NOT_FOUND);
    expect(stable(1).bench.code(remove)).toBe(E.NON_EMPTY_GROUP);
    const { bench } = inPhase('Empty');
    bench.send(commit());
    bench.send(commit({ transaction: { producerId: 9, producerEpoch: 0 } }));
    expect(bench.code(remove)).toBe(E.NON_EMPTY_GROUP);
    bench.state.pending.clear();
    expect(bench.code(remove)).toBe(E.NONE);
    expect(bench.state).toEqual(createGroupState('g'));
  });
  test('offsets: not of topics that members subscribe to', () => {
    const remove = { kind: 'delete-offsets', groupId: 'g', partitions: [{ topic: 't', partition: 0, partitionExists: true }] } as const;
    expect(new Bench().code(remove)).toBe(E.GROUP_ID_NOT_FOUND);
    const subscription = (topic: string): Buffer =>
      Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0, topic.length]), bytes(topic), Buffer.from([255, 255, 255, 255])]);
    for (const [topic, code] of [
      ['t', E.GROUP_SUBSCRIBED_TO_TOPIC],
      ['u', E.NONE],
    ] as const) {
      const bench = new Bench();
      const { memberId } = bench.ask(join({ protocols: [{ name: 'range', metadata: subscription(topic) }] })) as JoinReply;
      bench.send(sync(memberId, 1, {}));
      bench.send(commit({ memberId, generation: 1 }));
      expect(bench.ask(remove)).toEqual({ errorCode: E.NONE, partitions: [{ topic: 't', partition: 0, errorCode: code }] });
      expect(bench.state.offsets.has('t')).toBe(code !== E.NONE);
    }
    const unreadable = stable(1).bench;
    expect(unreadable.ask(remove)).toMatchObject({ partitions: [{ errorCode: E.GROUP_SUBSCRIBED_TO_TOPIC }] });
    const connect = new Bench();
    connect.send(join({ protocolType: 'connect' }));
    expect(connect.code(remove)).toBe(E.NON_EMPTY_GROUP);
  });
});

describe('expiry', () => {
  const WEEK = DEFAULT_GROUP_OPTIONS.offsetsRetentionMs;
  const expire = (bench: Bench, atMs: number): void => {
    bench.atMs = atMs;
    bench.send({ kind: 'expire', groupId: 'g' });
  };
  test('of a group that emptied: seven days after it did, offsets and group', () => {
    const { bench, ids, generation } = stable(1);
    bench.send(commit({ memberId: ids[0] as string, generation }));
    bench.atMs = 5_000;
    bench.send(leave({ memberId: ids[0] as string, instanceId: null }));
    expire(bench, 5_000 + WEEK - 1);
    expect(bench.state.offsets.size).toBe(1);
    expire(bench, 5_000 + WEEK);
    expect(bench.state).toEqual(createGroupState('g'));
  });
  test('of a simple group: seven days after its last commit', () => {
    const bench = new Bench();
    bench.send(commit());
    expire(bench, WEEK - 1);
    expect(bench.state.offsets.size).toBe(1);
    expire(bench, WEEK);
    expect(bench.state.offsets.size).toBe(0);
  });
  test('at the time an old client asked for', () => {
    const bench = new Bench();
    bench.send(commit({ retentionMs: 1_000 }));
    expire(bench, 999);
    expect(bench.state.offsets.size).toBe(1);
    expire(bench, 1_000);
    expect(bench.state.offsets.size).toBe(0);
  });
  test('never touches a group with members whose subscription cannot be read, nor one with pending offsets', () => {
    const { bench, ids, generation } = stable(1);
    bench.send(commit({ memberId: ids[0] as string, generation }));
    expire(bench, 2 * WEEK);
    expect(bench.state.offsets.size).toBe(1);
    const pending = new Bench();
    pending.send(commit());
    pending.send(commit({ transaction: { producerId: 9, producerEpoch: 0 } }));
    expire(pending, 2 * WEEK);
    expect(pending.state.offsets.size).toBe(1);
  });
  test('a deleted topic takes its offsets along, those of open transactions included', () => {
    const bench = new Bench();
    bench.send(commit());
    bench.send(commit({ transaction: { producerId: 9, producerEpoch: 0 } }));
    bench.send({ kind: 'topic-deleted', groupId: 'g', topic: 't' });
    expect(bench.state.offsets.size + bench.state.pending.size).toBe(0);
  });
});

test('every move that a phase allows leads to a phase, and Dead is the end', () => {
  for (const moves of Object.values(GROUP_MOVES)) for (const to of moves) expect(GROUP_MOVES).toHaveProperty(to);
  expect(GROUP_MOVES.Dead).toEqual([]);
});
