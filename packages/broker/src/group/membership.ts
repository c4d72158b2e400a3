// The passing half of a consumer group: who is here right now, who waits for which answer, and until when.
// Kafka keeps this in memory only; after a restart it begins again from the last group record (`membershipAfterRestart`).
// Owns: the shapes, the table of moves, the deadlines.  Never: changes in place: `decide` gives a new one.
//
//   Empty ──join──▶ PreparingRebalance ──all joined, or time up──▶ CompletingRebalance ──the leader's sync──▶ Stable
//     ▲                 │      ▲ ▲                                      │                                      │
//     └──nobody left────┘      │ └────join, leave, session over─────────┘                                      │
//     │                        └──────join, leave, session over────────────────────────────────────────────────┘
//     └──deleted or expired──▶ Dead (there is no object for it: a group that is absent)
//
// M1 all members have at least one protocol in common.  M2 a member whose join or sync is parked has no session to lose.
// M3 times here are monotonic ms: a jump of the wall clock ends no session.
import { assert } from '@millrace/core';
import { type GroupMetadata, type GroupState, isBlank } from './state.ts';

export type GroupPhase = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

export const GROUP_MOVES: Readonly<Record<GroupPhase, readonly GroupPhase[]>> = {
  Empty: ['PreparingRebalance', 'Dead'],
  PreparingRebalance: ['CompletingRebalance', 'Empty'],
  CompletingRebalance: ['Stable', 'PreparingRebalance'],
  Stable: ['PreparingRebalance'],
  Dead: [],
};

/** One way of assigning that a member supports, most wanted first; the metadata is opaque. */
export interface MemberProtocol {
  readonly name: string;
  readonly metadata: Buffer;
}

export interface Member {
  readonly memberId: string;
  /** Set for a static member (KIP-345). */
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocols: readonly MemberProtocol[];
  readonly assignment: Buffer;
  /** The parked JoinGroup that will be answered when the join phase is over. */
  readonly joinTicket: number | undefined;
  /** The parked SyncGroup that will be answered when the leader has sent its assignment. */
  readonly syncTicket: number | undefined;
  /** Has never been through a join phase. */
  readonly isNew: boolean;
  /** Has asked for its assignment in this generation. */
  readonly synced: boolean;
  /** When the session ends; see `sessionDeadline` for when that counts. */
  readonly deadlineMs: number;
}

/** How long the join phase still waits. `initial`: a group that was empty gives others a chance to arrive. */
export type JoinWait =
  | { readonly kind: 'members'; readonly deadlineMs: number }
  | { readonly kind: 'initial'; readonly deadlineMs: number; readonly remainingMs: number; readonly arrived: boolean };

export interface Membership {
  readonly phase: GroupPhase;
  readonly generation: number;
  /** 'consumer' for consumers and streams; null until the first join. */
  readonly protocolType: string | null;
  /** The protocol of the current generation. */
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  /** In the order in which they joined. */
  readonly members: ReadonlyMap<string, Member>;
  /** Ids that were given out and have not joined yet (MEMBER_ID_REQUIRED), with the time until which they are held. */
  readonly promisedIds: ReadonlyMap<string, number>;
  /** Set in PreparingRebalance. */
  readonly joinWait: JoinWait | undefined;
  /** Members that have not synced by then are removed. */
  readonly syncDeadlineMs: number;
}

export const EMPTY_MEMBERSHIP: Membership = {
  phase: 'Empty',
  generation: 0,
  protocolType: null,
  protocolName: null,
  leaderId: null,
  members: new Map(),
  promisedIds: new Map(),
  joinWait: undefined,
  syncDeadlineMs: Number.POSITIVE_INFINITY,
};

/** What a group record brings back: members go on heartbeating in their generation, sessions start anew. */
export function membershipAfterRestart(metadata: GroupMetadata | undefined, atMs: number): Membership {
  if (metadata === undefined) return EMPTY_MEMBERSHIP;
  const { generation, protocolType, protocolName, leaderId } = metadata;
  if (metadata.members.length === 0) return { ...EMPTY_MEMBERSHIP, generation, protocolType };
  const members = new Map<string, Member>();
  for (const member of metadata.members) {
    members.set(member.memberId, {
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      sessionTimeoutMs: member.sessionTimeoutMs,
      rebalanceTimeoutMs: member.rebalanceTimeoutMs,
      protocols: [{ name: protocolName ?? '', metadata: member.subscription }],
      assignment: member.assignment,
      joinTicket: undefined,
      syncTicket: undefined,
      isNew: false,
      synced: true,
      deadlineMs: atMs + member.sessionTimeoutMs,
    });
  }
  return { ...EMPTY_MEMBERSHIP, phase: 'Stable', generation, protocolType, protocolName, leaderId, members };
}

/** When the member is given up; infinity while the broker owes it an answer (a first join is given up all the same, much later). */
export function sessionDeadline(member: Member): number {
  if (member.syncTicket !== undefined) return Number.POSITIVE_INFINITY;
  if (member.joinTicket !== undefined && !member.isNew) return Number.POSITIVE_INFINITY;
  return member.deadlineMs;
}

/** Monotonic ms at which the group has to be looked at again; infinity for an idle one. */
export function nextDeadline(membership: Membership): number {
  let nextMs = membership.joinWait?.deadlineMs ?? Number.POSITIVE_INFINITY;
  let unsynced = false;
  for (const member of membership.members.values()) {
    nextMs = Math.min(nextMs, sessionDeadline(member));
    if (!member.synced) unsynced = true;
  }
  for (const deadlineMs of membership.promisedIds.values()) nextMs = Math.min(nextMs, deadlineMs);
  if (unsynced && membership.phase !== 'PreparingRebalance') nextMs = Math.min(nextMs, membership.syncDeadlineMs);
  return nextMs;
}

/** True when nothing of the group exists, durable or passing: clients get the answers for an unknown group. */
export function isAbsent(state: GroupState, present: Pick<Membership, 'members' | 'promisedIds'>): boolean {
  return isBlank(state) && present.members.size === 0 && present.promisedIds.size === 0;
}

export function assertMove(from: GroupPhase, to: GroupPhase): void {
  assert(GROUP_MOVES[from].includes(to), `a group does not move from ${from} to ${to}`);
}
