// A decision while it is being made: a copy of the membership that may be written, the records and the answers so far.
// Owns: that copy, for the length of one `decide`.  Never: outlives it; touches the durable state (records do, later).
import { assert } from '@millrace/core';
import { assertMove, type GroupPhase, type JoinWait, type Member, type MemberProtocol, type Membership } from './membership.ts';
import type { GroupOptions } from './options.ts';
import type { GroupRecord } from './records.ts';
import type { GroupReply, Moment } from './requests.ts';
import type { DurableMember, GroupState } from './state.ts';

export interface Reply {
  readonly ticket: number;
  readonly reply: GroupReply;
}

/** What follows from one request. Carried out whole or, when the log refuses the records, not at all. */
export interface GroupDecision {
  readonly records: readonly GroupRecord[];
  readonly membership: Membership;
  /** Answers to this request and to parked ones. A request without an answer is parked. */
  readonly replies: readonly Reply[];
}

/** Everything a decision is made from. */
export interface GroupFacts {
  readonly state: Readonly<GroupState>;
  readonly membership: Membership;
  readonly now: Moment;
  readonly options: GroupOptions;
}

const NO_BYTES = Buffer.alloc(0);

export class GroupDraft {
  readonly state: Readonly<GroupState>;
  readonly now: Moment;
  readonly options: GroupOptions;
  readonly members: Map<string, Member>;
  readonly promisedIds: Map<string, number>;
  readonly records: GroupRecord[] = [];
  readonly replies: Reply[] = [];
  generation: number;
  protocolType: string | null;
  protocolName: string | null;
  leaderId: string | null;
  joinWait: JoinWait | undefined;
  syncDeadlineMs: number;
  #phase: GroupPhase;

  constructor(facts: GroupFacts) {
    const { membership } = facts;
    this.state = facts.state;
    this.now = facts.now;
    this.options = facts.options;
    this.members = new Map(membership.members);
    this.promisedIds = new Map(membership.promisedIds);
    this.generation = membership.generation;
    this.protocolType = membership.protocolType;
    this.protocolName = membership.protocolName;
    this.leaderId = membership.leaderId;
    this.joinWait = membership.joinWait;
    this.syncDeadlineMs = membership.syncDeadlineMs;
    this.#phase = membership.phase;
  }

  get phase(): GroupPhase {
    return this.#phase;
  }

  moveTo(phase: GroupPhase): void {
    assertMove(this.#phase, phase);
    this.#phase = phase;
    this.joinWait = undefined;
  }

  reply(ticket: number, reply: GroupReply): void {
    this.replies.push({ ticket, reply });
  }

  member(memberId: string): Member {
    const member = this.members.get(memberId);
    assert(member !== undefined, `no member ${memberId}`);
    return member;
  }

  /** The static member that holds the instance id. */
  byInstance(instanceId: string): Member | undefined {
    for (const member of this.members.values()) if (member.instanceId === instanceId) return member;
    return undefined;
  }

  update(memberId: string, change: Partial<Member>): Member {
    const member = { ...this.member(memberId), ...change };
    this.members.set(memberId, member);
    return member;
  }

  /** The member is alive: its session starts again. */
  refresh(memberId: string): void {
    const member = this.member(memberId);
    this.members.set(memberId, { ...member, deadlineMs: this.now.atMs + member.sessionTimeoutMs });
  }

  /** Writes down the group as it stands. */
  recordGroup(): void {
    const { protocolName } = this;
    const members: DurableMember[] = [];
    for (const member of this.members.values()) {
      members.push({
        memberId: member.memberId,
        instanceId: member.instanceId,
        clientId: member.clientId,
        clientHost: member.clientHost,
        rebalanceTimeoutMs: member.rebalanceTimeoutMs,
        sessionTimeoutMs: member.sessionTimeoutMs,
        subscription: metadataFor(member.protocols, protocolName),
        assignment: member.assignment,
      });
    }
    const { generation, leaderId } = this;
    const value = { protocolType: this.protocolType ?? '', generation, protocolName, leaderId, sinceMs: this.now.wallMs, members };
    this.records.push({ kind: 'group', groupId: this.state.groupId, value });
  }

  finish(): GroupDecision {
    const { generation, protocolType, protocolName, leaderId, members, promisedIds, joinWait, syncDeadlineMs, records, replies } = this;
    return {
      records,
      replies,
      membership: { phase: this.#phase, generation, protocolType, protocolName, leaderId, members, promisedIds, joinWait, syncDeadlineMs },
    };
  }
}

/** A member's metadata for the protocol; empty when it does not support it. */
export function metadataFor(protocols: readonly MemberProtocol[], name: string | null): Buffer {
  return protocols.find((protocol) => protocol.name === name)?.metadata ?? NO_BYTES;
}
