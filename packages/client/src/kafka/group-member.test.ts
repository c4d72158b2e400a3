import { describe, expect, test } from 'vitest';
import type { GroupMemberOptions } from '../options.ts';
import type { ConnectionOptions, GroupMetadata, MemberSubscription } from '../port.ts';
import { ScriptedBroker, type Step } from '../testing/scripted-broker.ts';
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-wire.ts';
import { createGroupMember } from './open.ts';

async function setUp(options: Partial<GroupMemberOptions> = {}, connection: Partial<ConnectionOptions> = {}) {
  const broker = await new ScriptedBroker().listen();
  const events: string[] = [];
  const groups: GroupMetadata[] = [];
  const seen: (readonly MemberSubscription[])[] = [];
  const named: string[] = [];
  const settings = { userData: 'mine', assign: (): Promise<void> => Promise.resolve() };
  const member = createGroupMember(
    { ...broker.connection, ...connection },
    { groupId: 'g', topics: ['t'], sessionTimeoutMs: 9_000, rebalanceTimeoutMs: 5_000, heartbeatIntervalMs: 1_000, ...options },
    {
      userData: () => Buffer.from(settings.userData),
      named: (memberId) => void named.push(`${memberId} after ${broker.seen('joinGroup').length} joins`),
      assign: async (members) => {
        seen.push(members);
        await settings.assign();
        return new Map(members.map(({ memberId, userData }) => [memberId, { partitions: [{ topic: 't', partition: 3 }], userData }]));
      },
      assigned: (group, assignment) => {
        groups.push(group);
        events.push(`assigned ${assignment.partitions.map(({ partition }) => partition).join()} ${Buffer.from(assignment.userData).toString()}`);
      },
      lost: (reason, fatal) => void events.push(`lost ${(reason as { code?: string }).code}${fatal ? ' for good' : ''}`),
    },
    broker.ports,
  );
  const until = async (count: number, msMax = 60_000): Promise<void> => {
    for (let passed = 0; events.length < count; passed += 20) {
      if (passed > msMax) throw new Error(`only ${events.join(' | ')} after ${msMax} ms; ${broker.requests.map(({ name }) => name).join(' ')}`);
      await broker.time.advance(20);
    }
  };
  return { broker, member, events, groups, seen, named, settings, until };
}
const code =
  (errorCode: number): Step =>
  () => ({ errorCode, protocolName: null, leader: '', memberId: '', members: [], assignment: Buffer.alloc(0) });

describe('joining', () => {
  test('the id that the coordinator gives is used to join; user data goes up to the assignor and comes down with the assignment', async () => {
    const { broker, member, events, groups, seen, until } = await setUp();
    member.start();
    await until(1);
    expect(events).toEqual(['assigned 3 mine']);
    const [first, second] = broker.seen('joinGroup');
    expect([first?.body.memberId, second?.body.memberId]).toEqual(['', groups[0]?.memberId]);
    expect(second?.body).toMatchObject({ protocolType: 'consumer', sessionTimeoutMs: 9_000, rebalanceTimeoutMs: 5_000, groupInstanceId: null });
    expect(seen[0]).toMatchObject([{ memberId: groups[0]?.memberId, topics: ['t'], instanceId: undefined }]);
    expect(groups[0]).toMatchObject({ groupId: 'g', generation: 1, instanceId: undefined });
    await broker.run(member.close(true));
    expect(broker.seen('leaveGroup')[0]?.body.members[0].memberId).toBe(groups[0]?.memberId);
  });

  test('the id is told before the join that uses it, so that it is known whenever the process dies', async () => {
    const { broker, member, groups, named, until } = await setUp();
    member.start();
    await until(1);
    expect(named).toEqual([`${groups[0]?.memberId} after 1 joins`]);
    await broker.run(member.close(true));
  });

  test('a static member joins at once and stops without a farewell', async () => {
    const { broker, member, groups, until } = await setUp({ instanceId: 'i-1' });
    member.start();
    await until(1);
    expect(broker.seen('joinGroup').length).toBe(1);
    expect(groups[0]?.instanceId).toBe('i-1');
    await broker.run(member.close(false));
    expect(broker.seen('leaveGroup')).toEqual([]);
  });

  test('several wishes to rejoin before the next join are one join, with the user data of that moment', async () => {
    const { broker, member, events, settings, until } = await setUp();
    member.start();
    await until(1);
    settings.userData = 'changed';
    for (const reason of ['first', 'second', 'third']) member.rejoin(reason);
    await until(2);
    expect(events[1]).toBe('assigned 3 changed');
    expect(broker.seen('joinGroup').map(({ body }) => body.reason)).toEqual([null, null, 'third']);
    await broker.time.advance(3_000);
    expect(broker.seen('joinGroup').length).toBe(3);
  });

  test.each([14, 15, 16, 27])('error %i on a join or a sync is no loss: it is tried again', async (errorCode) => {
    const { broker, member, events, until } = await setUp();
    broker.script('joinGroup', code(errorCode));
    broker.script('syncGroup', code(errorCode));
    member.start();
    await until(1);
    expect(events).toEqual(['assigned 3 mine']);
  });

  test.each([
    [23, 'ERR_CONFIG_REJECTED'],
    [24, 'ERR_CONFIG_REJECTED'],
    [26, 'ERR_CONFIG_REJECTED'],
    [30, 'ERR_AUTHORIZATION'],
    [81, 'ERR_CONFIG_REJECTED'],
    [82, 'ERR_FENCED_INSTANCE'],
  ])('error %i on a join is final: %s', async (errorCode, expected) => {
    const { broker, member, events, until } = await setUp();
    broker.script('joinGroup', code(errorCode));
    member.start();
    await until(1);
    expect(events).toEqual([`lost ${expected} for good`]);
    await broker.time.advance(60_000);
    expect(broker.seen('joinGroup').length).toBe(1);
  });

  test('an assignor that fails is tried again after a back-off', async () => {
    const { member, events, settings, until, seen } = await setUp();
    let failures = 2;
    settings.assign = () => (failures-- > 0 ? Promise.reject(new Error('no assignment today')) : Promise.resolve());
    member.start();
    await until(1);
    expect([events, seen.length]).toEqual([['assigned 3 mine'], 3]);
  });

  test('heartbeats go on while the assignor works', async () => {
    const { broker, member, settings, until } = await setUp();
    settings.assign = () => new Promise((resolve) => void broker.time.timers.after(4_500, resolve));
    member.start();
    await until(1);
    expect(broker.seen('heartbeat').length).toBe(4);
    expect(broker.requests.map(({ name }) => name).lastIndexOf('Heartbeat')).toBeLessThan(broker.requests.map(({ name }) => name).indexOf('SyncGroup'));
  });
});

describe('staying', () => {
  test('[27] on a heartbeat joins again without losing anything', async () => {
    const { broker, member, events, until } = await setUp();
    member.start();
    await until(1);
    broker.script('heartbeat', code(27));
    await until(2);
    expect(events).toEqual(['assigned 3 mine', 'assigned 3 mine']);
  });

  test('[25] means lost, and the next join begins without an id; [22] keeps the id', async () => {
    const { broker, member, events, groups, until } = await setUp();
    member.start();
    await until(1);
    broker.script('heartbeat', code(25), code(22));
    await until(5);
    expect(events).toEqual(['assigned 3 mine', 'lost ERR_MEMBERSHIP_LOST', 'assigned 3 mine', 'lost ERR_GENERATION', 'assigned 3 mine']);
    expect(groups[1]?.memberId).not.toBe(groups[0]?.memberId);
    expect(groups[2]?.memberId).toBe(groups[1]?.memberId);
  });

  test('[82] on a heartbeat ends the membership: another process owns the instance id', async () => {
    const { broker, member, events, until } = await setUp({ instanceId: 'i-1' });
    member.start();
    await until(1);
    broker.script('heartbeat', code(82));
    await until(2);
    expect(events[1]).toBe('lost ERR_FENCED_INSTANCE for good');
    const requests = broker.requests.length;
    await broker.time.advance(30_000);
    expect(broker.requests.length).toBe(requests);
  });

  test('a coordinator that moved is found again and the generation kept', async () => {
    const { broker, member, events, until } = await setUp();
    member.start();
    await until(1);
    broker.script('heartbeat', code(16));
    const lookups = broker.seen('findCoordinator').length;
    await broker.time.advance(3_000);
    expect(broker.seen('findCoordinator').length).toBe(lookups + 1);
    expect([events.length, broker.seen('joinGroup').length]).toEqual([1, 2]);
  });

  test('a coordinator away for less than the session timeout costs nothing; for longer, the membership, by our own clock', async () => {
    const { broker, member, events, until } = await setUp();
    member.start();
    await until(1);
    broker.network.hold();
    await broker.time.advance(6_000);
    broker.network.release();
    await broker.time.advance(5_000);
    expect([events.length, broker.seen('joinGroup').length]).toEqual([1, 2]);
    broker.network.hold();
    await broker.time.advance(8_000);
    expect(events.length).toBe(1);
    await broker.time.advance(4_000);
    expect(events.slice(1)).toEqual(['lost ERR_MEMBERSHIP_LOST']);
    broker.network.release();
    await until(3);
    expect(events[2]).toBe('assigned 3 mine');
  });

  test('a farewell is said again when its connection breaks or the coordinator has moved', async () => {
    const { broker, member, until } = await setUp();
    member.start();
    await until(1);
    broker.script(
      'leaveGroup',
      () => 'close',
      () => ({ errorCode: 16, members: [] }),
    );
    await broker.run(member.close(true));
    expect(broker.seen('leaveGroup').length).toBe(3);
  });

  const told = (memberId: string) => ({ errorCode: 79, protocolName: null, leader: '', memberId, members: [] });

  test('closing before the first join is answered waits for the id that the answer brings, and leaves with it', async () => {
    const { broker, member } = await setUp();
    broker.script('joinGroup', () => ({ after: 500, answer: told('late') }));
    member.start();
    await broker.time.advance(100);
    await broker.run(member.close(true), 600);
    expect(broker.seen('leaveGroup').map(({ body }) => body.members[0].memberId)).toEqual(['late']);
    expect(broker.seen('joinGroup').length).toBe(1);
  });

  test('an answer that does not come holds up the close for no longer than a farewell may take; without a farewell not at all', async () => {
    for (const [leave, msMax] of [
      [true, 2_100],
      [false, 10],
    ] as const) {
      const { broker, member } = await setUp();
      broker.script('joinGroup', () => 'drop');
      member.start();
      await broker.time.advance(100);
      await broker.run(member.close(leave), msMax);
      expect(broker.seen('leaveGroup')).toEqual([]);
    }
  });

  test('a static member that is closed for good before its first join is answered leaves by its instance id', async () => {
    const { broker, member } = await setUp({ instanceId: 'i-1' });
    broker.script('joinGroup', () => 'drop');
    member.start();
    await broker.time.advance(100);
    await broker.run(member.close(true), 100);
    expect(broker.seen('leaveGroup').map(({ body }) => body.members[0])).toMatchObject([{ memberId: '', groupInstanceId: 'i-1' }]);
  });

  test('closing while a join is parked leaves the group all the same, on a connection of its own', async () => {
    const { broker, member, events, until } = await setUp();
    member.start();
    await until(1);
    broker.script('joinGroup', () => 'drop');
    member.rejoin('parked');
    await broker.time.advance(100);
    await broker.run(member.close(true), 1_000);
    expect(broker.seen('leaveGroup').length).toBe(1);
    expect(events.length).toBe(1);
  });
});

describe('the bytes', () => {
  test('subscription and assignment come back as they went, and are Kafka’s own version 0', () => {
    const subscription = { topics: ['b', 'a'], userData: Buffer.from([1, 2]) };
    expect(encodeSubscription(subscription).toString('hex')).toBe('000000000002000162000161000000020102');
    expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription);
    const assignment = {
      partitions: [
        { topic: 't', partition: 1 },
        { topic: 'u', partition: 0 },
        { topic: 't', partition: 2 },
      ],
      userData: Buffer.from([9]),
    };
    expect(encodeAssignment(assignment).toString('hex')).toBe('000000000002000174000000020000000100000002000175000000010000000000000001' + '09');
    expect(decodeAssignment(encodeAssignment(assignment)).partitions).toEqual([
      { topic: 't', partition: 1 },
      { topic: 't', partition: 2 },
      { topic: 'u', partition: 0 },
    ]);
    expect(decodeAssignment(Buffer.alloc(0)).partitions).toEqual([]);
  });

  test('counts that cannot fit are refused', () => {
    expect(() => decodeAssignment(Buffer.from('00007fffffff', 'hex'))).toThrow(/cannot fit/);
    expect(() => decodeSubscription(Buffer.from('00007fffffff', 'hex'))).toThrow(/cannot fit/);
  });
});

test('a heartbeat and then a lookup of the coordinator without an answer cost no membership: each has a third of the session, whatever others may take', async () => {
  const { broker, member, events, until } = await setUp({}, { requestTimeoutMs: 30_000 });
  member.start();
  await until(1);
  const beats = broker.seen('heartbeat').length;
  broker.script('heartbeat', () => 'drop');
  broker.script('findCoordinator', () => 'drop');
  for (let passed = 0; passed < 20_000; passed += 20) await broker.time.advance(20);
  expect(broker.seen('heartbeat').length).toBeGreaterThan(beats + 10);
  expect(events).toEqual(['assigned 3 mine']);
  expect(member.outOfTouch).toBe(false);
  await broker.run(member.close(true));
});

test('a broker that goes without a word while a join waits is noticed within a session, not when the rebalance would have ended', async () => {
  const { broker, member, events, until } = await setUp({ rebalanceTimeoutMs: 60_000 }, { requestTimeoutMs: 30_000 });
  member.start();
  await until(1);
  // The power of the broker fails, and comes back: what was sent to it before stays without an answer, on every connection.
  broker.script('joinGroup', () => 'drop');
  broker.script('findCoordinator', () => 'drop');
  member.rejoin('a test');
  await until(2, 9_000);
  expect(events).toEqual(['assigned 3 mine', 'assigned 3 mine']);
  await broker.run(member.close(true));
});

test('a join that others keep waiting is waited for as long as a rebalance may take, while the broker answers', async () => {
  const { broker, member, events, until } = await setUp({ rebalanceTimeoutMs: 60_000 }, { requestTimeoutMs: 1_000 });
  member.start();
  await until(1);
  const joins = broker.seen('joinGroup').length;
  broker.script('joinGroup', () => 'drop');
  member.rejoin('a test');
  for (let passed = 0; passed < 50_000; passed += 20) await broker.time.advance(20);
  expect([broker.seen('joinGroup').length, events.length]).toEqual([joins + 1, 1]);
  await until(2);
  await broker.run(member.close(true));
});

test('a member is out of touch a session timeout after the last heartbeat that was answered was sent', async () => {
  const { broker, member, events, until } = await setUp();
  member.start();
  await until(1);
  await broker.time.advance(5_000);
  expect(member.outOfTouch).toBe(false);
  broker.network.hold();
  await broker.time.advance(7_000);
  expect(member.outOfTouch).toBe(false);
  const seconds: boolean[] = [];
  for (let at = 0; at < 30; at++) {
    await broker.time.advance(1_000);
    seconds.push(member.outOfTouch);
  }
  expect(seconds.at(-1)).toBe(true);
  expect(seconds.lastIndexOf(false)).toBeLessThan(seconds.indexOf(true)); // the join that follows the loss does not make it fresh again
  broker.network.release();
  await until(3);
  expect(events.at(-1)).toBe('assigned 3 mine');
  expect(member.outOfTouch).toBe(false);
  await broker.run(member.close(true));
});
