// A decision while it is being made: a copy of the membership that may be written, the records and the answers so far.
// Owns: that copy, for the length of one `decide`.  Never: outlives it; touches the durable state (records do, later).
import { assert } from '@millrace/core';
import type { TopicCatalog } from './consumer/catalog.ts';
import type { ConsumerPresence, Revocation } from './consumer/presence.ts';
import { type ConsumerGroupState, type ConsumerRecord, withConsumerRecord } from './consumer/state.ts';
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
  readonly presence: ConsumerPresence;
  /** Answers to this request and to parked ones. A request without an answer is parked. */
  readonly replies: readonly Reply[];
}

/** Everything a decision is made from. */
export interface GroupFacts {
  readonly state: Readonly<GroupState>;
  readonly membership: Membership;
  readonly presence: ConsumerPresence;
  readonly catalog: TopicCatalog;
  readonly now: Moment;
  readonly options: GroupOptions;
}

const NO_BYTES = Buffer.alloc(0);
/** As with Kafka: the first member raises it to 2. */
const FIRST_GROUP_EPOCH = 1;

export class GroupDraft {
  readonly state: Readonly<GroupState>;
  readonly now: Moment;
  readonly options: GroupOptions;
  readonly members: Map<string, Member>;
  readonly promisedIds: Map<string, number>;
  readonly records: GroupRecord[] = [];
  readonly replies: Reply[] = [];
  readonly catalog: TopicCatalog;
  readonly sessions: Map<string, number>;
  readonly revocations: Map<string, Revocation>;
  catalogVersion: number;
  generation: number;
  protocolType: string | null;
  protocolName: string | null;
  leaderId: string | null;
  joinWait: JoinWait | undefined;
  syncDeadlineMs: number;
  #phase: GroupPhase;
  #consumer: ConsumerGroupState | undefined;

  constructor(facts: GroupFacts) {
    const { membership, presence } = facts;
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
    this.#consumer = facts.state.consumer;
    this.catalog = facts.catalog;
    this.sessions = new Map(presence.sessions);
    this.revocations = new Map(presence.revocations);
    this.catalogVersion = presence.catalogVersion;
  }

  /** The consumer group as it would be after the records so far; undefined for a classic or simple group. */
  get consumer(): ConsumerGroupState | undefined {
    return this.#consumer;
  }
  consumerGroup(): ConsumerGroupState {
    assert(this.#consumer !== undefined, `${this.state.groupId} is no consumer group`);
    return this.#consumer;
  }
  /** Adds a record of the consumer group; `consumer` shows it at once. */
  write(record: ConsumerRecord): void {
    this.#consumer = withConsumerRecord(this.#consumer, record);
    this.records.push({ ...record, groupId: this.state.groupId });
  }
  /** The group changes its kind; it has no members. */
  becomeConsumerGroup(): void {
    assert(this.members.size === 0 && this.#consumer === undefined, 'only a group without members changes its kind');
    if (this.state.metadata !== undefined) this.records.push({ kind: 'group', groupId: this.state.groupId, value: null });
    this.promisedIds.clear();
    this.generation = 0;
    this.protocolType = null;
    this.write({ kind: 'consumer-epoch', value: { epoch: FIRST_GROUP_EPOCH, metadataHash: 0 } });
  }
  becomeClassicGroup(): void {
    assert(this.#consumer?.members.size === 0, 'only a group without members changes its kind');
    this.write({ kind: 'consumer-target-epoch', value: null });
    this.write({ kind: 'consumer-epoch', value: null });
  }
  /** True when nobody is in it, whatever its kind. */
  get hasNoMembers(): boolean {
    return this.#consumer === undefined ? this.#phase === 'Empty' : this.#consumer.members.size === 0;
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
    const { sessions, revocations, catalogVersion } = this;
    return {
      records,
      replies,
      presence: { sessions, revocations, catalogVersion },
      membership: { phase: this.#phase, generation, protocolType, protocolName, leaderId, members, promisedIds, joinWait, syncDeadlineMs },
    };
  }
}

/** A member's metadata for the protocol; empty when it does not support it. */
export function metadataFor(protocols: readonly MemberProtocol[], name: string | null): Buffer {
  return protocols.find((protocol) => protocol.name === name)?.metadata ?? NO_BYTES;
}
