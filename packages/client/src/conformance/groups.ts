// Conformance: group membership with user data both ways.
import { assert } from '@millrace/core';
import { createGroupMember } from '../kafka/open.ts';
import type { GroupMember, GroupMetadata, MemberAssignment, MemberSubscription } from '../port.ts';
import { at, type Bench, type ConformanceCase, codeOf, define, same, WAIT_MS } from './bench.ts';

/** A member whose hooks are written down, and whose assignor gives partition n to member n in order of their user data. */
class Participant {
  readonly member: GroupMember;
  readonly events: string[] = [];
  group: GroupMetadata | undefined;
  assignment: MemberAssignment | undefined;
  text: string;
  readonly #bench: Bench;

  constructor(bench: Bench, groupId: string, topic: string, text: string, instanceId?: string) {
    this.#bench = bench;
    this.text = text;
    this.member = createGroupMember(
      bench.connection,
      { groupId, topics: [topic], instanceId, sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, heartbeatIntervalMs: 200 },
      {
        userData: () => Buffer.from(this.text),
        assign: (members) => Promise.resolve(assignInOrder(members, topic)),
        assigned: (group, assignment) => {
          this.group = group;
          this.assignment = assignment;
          this.events.push(`assigned ${assignment.partitions.map(({ partition }) => partition).join(',')} ${Buffer.from(assignment.userData).toString()}`);
        },
        lost: (reason, fatal) => void this.events.push(`lost ${fatal} ${(reason as { code?: string }).code}`),
      },
      bench.ports,
    );
    bench.onEnd(() => this.member.close(true));
    this.member.start();
  }

  async until(done: () => boolean, what: string): Promise<void> {
    const { clock, timers } = this.#bench.ports;
    const deadlineMs = clock.monotonicMs() + WAIT_MS;
    while (!done()) {
      assert(clock.monotonicMs() < deadlineMs, `${what} did not happen; events of ${this.text}: ${this.events.join(' | ')}`);
      await new Promise<void>((resolve) => void timers.after(10, resolve));
    }
  }

  get last(): string | undefined {
    return this.events[this.events.length - 1];
  }
}

function assignInOrder(members: readonly MemberSubscription[], topic: string): ReadonlyMap<string, MemberAssignment> {
  const named = members
    .map((member) => ({ ...member, text: Buffer.from(member.userData).toString() }))
    .sort((left, right) => (left.text < right.text ? -1 : 1));
  return new Map(
    named.map(({ memberId, text }, index) => [memberId, { partitions: [at(topic, index)], userData: Buffer.from(`for ${text} of ${named.length}`) }]),
  );
}

export const GROUP_CASES: readonly ConformanceCase[] = [
  define('members hand user data up, the leader hands partitions and user data down; a leaver makes room at once', async (bench) => {
    const topic = await bench.topic(3);
    const groupId = bench.name('group');
    const first = new Participant(bench, groupId, topic, 'a');
    await first.until(() => first.last === 'assigned 0 for a of 1', 'the first assignment');
    const second = new Participant(bench, groupId, topic, 'b');
    await second.until(() => second.last === 'assigned 1 for b of 2', 'the assignment of the second');
    await first.until(() => first.last === 'assigned 0 for a of 2', 'the new assignment of the first');
    same(first.group?.generation, second.group?.generation, 'one generation');
    same(first.group?.memberId === second.group?.memberId, false, 'two members');
    await second.member.close(true);
    await first.until(() => first.last === 'assigned 0 for a of 1', 'the assignment after the other left');
    same(
      first.events.filter((each) => each.startsWith('lost')),
      [],
      'nothing lost',
    );
  }),

  define('rejoin carries new user data to the leader, from a follower too', async (bench) => {
    const topic = await bench.topic(3);
    const groupId = bench.name('group');
    const first = new Participant(bench, groupId, topic, 'a');
    await first.until(() => first.last === 'assigned 0 for a of 1', 'the first assignment');
    const second = new Participant(bench, groupId, topic, 'b');
    await second.until(() => second.last === 'assigned 1 for b of 2', 'the second assignment');
    second.text = '0-first-now';
    second.member.rejoin('more to say');
    await second.until(() => second.last === 'assigned 0 for 0-first-now of 2', 'the changed assignment');
    await first.until(() => first.last === 'assigned 1 for a of 2', 'the changed assignment of the leader');
  }),

  define('a removed member notices, loses what it had, and joins again', async (bench) => {
    const topic = await bench.topic(1);
    const groupId = bench.name('group');
    const only = new Participant(bench, groupId, topic, 'a');
    await only.until(() => only.group !== undefined, 'the first assignment');
    const present = await bench.admin.groupMembers(groupId);
    same(
      present.map(({ memberId, instanceId }) => [memberId, instanceId]),
      [[only.group?.memberId, undefined]],
      'who is there',
    );
    same(await bench.admin.groupMembers(bench.name('nobody')), [], 'a group that is not there');
    await bench.admin.removeMember(groupId, only.group?.memberId ?? '');
    await only.until(() => only.events.length >= 3, 'lost and assigned again');
    same(only.events.slice(0, 3), ['assigned 0 for a of 1', 'lost false ERR_MEMBERSHIP_LOST', 'assigned 0 for a of 1'], 'events');
  }),

  define('a static member that comes back keeps its place; the old process of the same id is told to stop', async (bench) => {
    const topic = await bench.topic(1);
    const groupId = bench.name('group');
    const old = new Participant(bench, groupId, topic, 'a', 'instance-1');
    await old.until(() => old.group !== undefined, 'the first assignment');
    const back = new Participant(bench, groupId, topic, 'a', 'instance-1');
    await back.until(() => back.group !== undefined, 'the assignment of the newcomer');
    same(back.last, 'assigned 0 for a of 1', 'same partitions');
    await old.until(() => old.events.length >= 2, 'the notice to the old one');
    same(old.events[1], 'lost true ERR_FENCED_INSTANCE', 'told to stop');
  }),

  define('offsets are committed under the generation in force, and refused under another', async (bench) => {
    const topic = await bench.topic(1);
    const groupId = bench.name('group');
    const only = new Participant(bench, groupId, topic, 'a');
    await only.until(() => only.group !== undefined, 'the assignment');
    const group = only.group as GroupMetadata;
    const offsets = [{ ...at(topic), leaderEpoch: -1, metadata: '' }];
    await bench.admin.commitOffsets(group, offsets);
    same(await codeOf(bench.admin.commitOffsets({ ...group, generation: group.generation + 1 }, offsets)), 'ERR_GENERATION', 'another generation');
    same(await codeOf(bench.admin.commitOffsets({ ...group, memberId: 'somebody' }, offsets)), 'ERR_MEMBERSHIP_LOST', 'another member');
    const producer = await bench.producer(bench.name('tx'));
    producer.begin();
    await producer.sendOffsets(group, offsets);
    await producer.end(true);
  }),
];
