// What a member does between two join phases: take its assignment, show that it lives, leave; and what time does to it.
// Owns: the cases of SyncGroup, Heartbeat, LeaveGroup and of deadlines.  Never: runs the join phase itself (rebalance.ts).
import { ERROR_CODES } from '@millrace/protocol';
import { fenceLate, leaveByAdmin } from './consumer/members.ts';
import type { GroupDraft } from './draft.ts';
import { identify } from './identify.ts';
import { sessionDeadline } from './membership.ts';
import { answerParked, joinDeadlinePassed, rebalance, removeMember } from './rebalance.ts';
import { type HeartbeatRequest, type LeaveRequest, type LeavingMember, type SyncReply, type SyncRequest, syncError } from './requests.ts';

const NO_BYTES = Buffer.alloc(0);
const { NONE, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID } = ERROR_CODES;

export function decideSync(draft: GroupDraft, request: SyncRequest, ticket: number): void {
  const refused = refuseSync(draft, request);
  if (refused !== NONE) {
    draft.reply(ticket, syncError(refused));
    return;
  }
  const { memberId } = request;
  answerParked(draft, draft.member(memberId), REBALANCE_IN_PROGRESS); // an older sync of the same member
  draft.update(memberId, { synced: true });
  draft.refresh(memberId);
  if (draft.phase === 'Stable') {
    draft.reply(ticket, assignmentOf(draft, memberId));
    return;
  }
  draft.update(memberId, { syncTicket: ticket });
  if (memberId === draft.leaderId) handOut(draft, request.assignments);
}

function refuseSync(draft: GroupDraft, request: SyncRequest): number {
  if (request.groupId === '') return INVALID_GROUP_ID;
  const wrong = identify(draft.members, request.memberId, request.instanceId);
  if (wrong !== NONE) return wrong;
  if (request.generation !== draft.generation) return ILLEGAL_GENERATION;
  if (request.protocolType !== null && request.protocolType !== draft.protocolType) return INCONSISTENT_GROUP_PROTOCOL;
  // While a rebalance is prepared the chosen protocol is not settled: the caller is told to come again, not that it is wrong.
  if (draft.phase === 'PreparingRebalance') return REBALANCE_IN_PROGRESS;
  return request.protocolName !== null && request.protocolName !== draft.protocolName ? INCONSISTENT_GROUP_PROTOCOL : NONE;
}

/** The leader has decided: everyone who waits gets its part; whom the leader forgot gets nothing to do. */
function handOut(draft: GroupDraft, assignments: ReadonlyMap<string, Buffer>): void {
  draft.moveTo('Stable');
  for (const memberId of [...draft.members.keys()]) draft.update(memberId, { assignment: assignments.get(memberId) ?? NO_BYTES });
  draft.recordGroup();
  for (const member of [...draft.members.values()]) {
    if (member.syncTicket === undefined) continue;
    draft.reply(member.syncTicket, assignmentOf(draft, member.memberId));
    draft.update(member.memberId, { syncTicket: undefined });
    draft.refresh(member.memberId);
  }
}

function assignmentOf(draft: GroupDraft, memberId: string): SyncReply {
  return { errorCode: NONE, protocolType: draft.protocolType, protocolName: draft.protocolName, assignment: draft.member(memberId).assignment };
}

export function decideHeartbeat(draft: GroupDraft, request: HeartbeatRequest, ticket: number): void {
  draft.reply(ticket, { errorCode: heartbeat(draft, request) });
}

function heartbeat(draft: GroupDraft, request: HeartbeatRequest): number {
  if (request.groupId === '') return INVALID_GROUP_ID;
  const wrong = identify(draft.members, request.memberId, request.instanceId);
  if (wrong !== NONE) return wrong;
  if (request.generation !== draft.generation) return ILLEGAL_GENERATION;
  draft.refresh(request.memberId);
  return draft.phase === 'PreparingRebalance' ? REBALANCE_IN_PROGRESS : NONE;
}

export function decideLeave(draft: GroupDraft, request: LeaveRequest, ticket: number): void {
  if (request.groupId === '') {
    draft.reply(ticket, { errorCode: INVALID_GROUP_ID, members: [] });
    return;
  }
  if (draft.consumer !== undefined) {
    const codes = leaveByAdmin(draft, request.members);
    draft.reply(ticket, { errorCode: NONE, members: request.members.map((leaving, at) => ({ ...leaving, errorCode: codes[at] as number })) });
    return;
  }
  let changed = false;
  const members = request.members.map((leaving) => {
    const errorCode = leave(draft, leaving);
    changed ||= errorCode === NONE;
    return { ...leaving, errorCode };
  });
  draft.reply(ticket, { errorCode: NONE, members });
  if (changed) rebalanceIfNeeded(draft);
}

function leave(draft: GroupDraft, { memberId, instanceId }: LeavingMember): number {
  if (draft.promisedIds.delete(memberId)) return NONE;
  let leavingId = memberId;
  if (instanceId !== null) {
    const holder = draft.byInstance(instanceId);
    if (holder === undefined) return UNKNOWN_MEMBER_ID;
    if (memberId !== '' && memberId !== holder.memberId) return FENCED_INSTANCE_ID;
    leavingId = holder.memberId;
  }
  if (!draft.members.has(leavingId)) return UNKNOWN_MEMBER_ID;
  removeMember(draft, leavingId, UNKNOWN_MEMBER_ID);
  return NONE;
}

/** Somebody went, or a promised id was given up. An empty group has nothing to rebalance. */
function rebalanceIfNeeded(draft: GroupDraft): void {
  if (draft.phase === 'Empty') return;
  rebalance(draft);
}

/** Time has passed: ends what is due. Harmless when nothing is. */
export function decideTick(draft: GroupDraft): void {
  if (draft.consumer !== undefined) fenceLate(draft);
  const { atMs } = draft.now;
  let gone = false;
  let given = false;
  for (const [memberId, deadlineMs] of [...draft.promisedIds]) {
    if (deadlineMs <= atMs) given = draft.promisedIds.delete(memberId);
  }
  for (const member of [...draft.members.values()]) {
    if (sessionDeadline(member) > atMs) continue;
    removeMember(draft, member.memberId, UNKNOWN_MEMBER_ID);
    gone = true;
  }
  if (draft.syncDeadlineMs <= atMs && (draft.phase === 'CompletingRebalance' || draft.phase === 'Stable')) {
    for (const member of [...draft.members.values()]) {
      if (member.synced) continue;
      removeMember(draft, member.memberId, UNKNOWN_MEMBER_ID);
      gone = true;
    }
    draft.syncDeadlineMs = Number.POSITIVE_INFINITY;
  }
  if (gone || (given && draft.phase === 'PreparingRebalance')) rebalanceIfNeeded(draft);
  if (draft.joinWait !== undefined && draft.joinWait.deadlineMs <= atMs) joinDeadlinePassed(draft);
}
