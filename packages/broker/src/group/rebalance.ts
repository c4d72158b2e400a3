// The join phase: how a rebalance begins, when it is over, who is in and who leads.
// Owns: the moves of a draft between PreparingRebalance and what comes before and after.  Never: sees a request.
// R1 a generation begins only here.  R2 whoever is dropped here with a parked request gets its answer here.
import { assert } from '@millrace/core';
import { ERROR_CODES } from '@millrace/protocol';
import { type GroupDraft, metadataFor } from './draft.ts';
import type { Member } from './membership.ts';
import { voteForProtocol } from './protocol-vote.ts';
import { type JoinReply, joinError, syncError } from './requests.ts';

const NO_BYTES = Buffer.alloc(0);

/** Adds a member whose join is parked. The first one leads. */
export function addMember(draft: GroupDraft, member: Member, protocolType: string): void {
  if (draft.members.size === 0) draft.protocolType = protocolType;
  draft.members.set(member.memberId, member);
  draft.leaderId ??= member.memberId;
  if (draft.joinWait?.kind === 'initial') draft.joinWait = { ...draft.joinWait, arrived: true };
}

/** Takes a member out, answering what it is waiting for with `errorCode`. The caller rebalances afterwards. */
export function removeMember(draft: GroupDraft, memberId: string, errorCode: number): void {
  const member = draft.member(memberId);
  answerParked(draft, member, errorCode);
  draft.members.delete(memberId);
  if (draft.leaderId === memberId) draft.leaderId = draft.members.keys().next().value ?? null;
}

/** Answers a member's parked requests with an error; they are parked no longer. */
export function answerParked(draft: GroupDraft, member: Member, errorCode: number): void {
  if (member.joinTicket !== undefined) draft.reply(member.joinTicket, joinError(errorCode, member.memberId));
  if (member.syncTicket !== undefined) draft.reply(member.syncTicket, syncError(errorCode));
  draft.update(member.memberId, { joinTicket: undefined, syncTicket: undefined });
}

/** Something about the members changed: begin a join phase, or see whether the running one is over now. */
export function rebalance(draft: GroupDraft): void {
  if (draft.phase === 'PreparingRebalance') {
    completeJoinWhenReady(draft);
    return;
  }
  const wasEmpty = draft.phase === 'Empty';
  for (const member of [...draft.members.values()]) {
    if (member.syncTicket !== undefined) draft.reply(member.syncTicket, syncError(ERROR_CODES.REBALANCE_IN_PROGRESS));
    // An assignment that was never handed out is void; one of a stable group stays readable until the next.
    const assignment = draft.phase === 'CompletingRebalance' ? NO_BYTES : member.assignment;
    draft.update(member.memberId, { syncTicket: undefined, assignment });
  }
  draft.moveTo('PreparingRebalance');
  const { initialRebalanceDelayMs } = draft.options;
  const timeoutMs = rebalanceTimeout(draft);
  if (!wasEmpty) {
    draft.joinWait = { kind: 'members', deadlineMs: draft.now.atMs + timeoutMs };
    completeJoinWhenReady(draft);
    return;
  }
  if (initialRebalanceDelayMs === 0) {
    completeJoin(draft);
    return;
  }
  draft.joinWait = {
    kind: 'initial',
    deadlineMs: draft.now.atMs + initialRebalanceDelayMs,
    remainingMs: Math.max(0, timeoutMs - initialRebalanceDelayMs),
    arrived: false,
  };
}

/** The time of the join phase is up. */
export function joinDeadlinePassed(draft: GroupDraft): void {
  const wait = draft.joinWait;
  assert(wait !== undefined, 'no join phase is waiting');
  if (wait.kind === 'members' || !wait.arrived || wait.remainingMs === 0) {
    completeJoin(draft);
    return;
  }
  const delayMs = Math.min(draft.options.initialRebalanceDelayMs, wait.remainingMs);
  draft.joinWait = { kind: 'initial', deadlineMs: draft.now.atMs + delayMs, remainingMs: wait.remainingMs - delayMs, arrived: false };
}

function completeJoinWhenReady(draft: GroupDraft): void {
  if (draft.joinWait?.kind !== 'members' || draft.promisedIds.size > 0) return;
  for (const member of draft.members.values()) if (member.joinTicket === undefined) return;
  completeJoin(draft);
}

function completeJoin(draft: GroupDraft): void {
  for (const member of [...draft.members.values()]) {
    if (member.joinTicket === undefined && member.instanceId === null) removeMember(draft, member.memberId, ERROR_CODES.UNKNOWN_MEMBER_ID);
  }
  if (draft.members.size === 0) {
    becomeEmpty(draft);
    return;
  }
  if (!electLeader(draft)) {
    // Only static members are left and none is back: nobody could lead, so wait on.
    draft.joinWait = { kind: 'members', deadlineMs: draft.now.atMs + rebalanceTimeout(draft) };
    return;
  }
  const protocolName = voteForProtocol([...draft.members.values()]);
  assert(protocolName !== undefined, 'the members of a group have a protocol in common');
  draft.protocolName = protocolName;
  draft.generation++;
  draft.moveTo('CompletingRebalance');
  draft.syncDeadlineMs = draft.now.atMs + rebalanceTimeout(draft);
  for (const member of [...draft.members.values()]) {
    if (member.joinTicket !== undefined) draft.reply(member.joinTicket, currentGeneration(draft, member.memberId));
    const deadlineMs = draft.now.atMs + member.sessionTimeoutMs;
    draft.update(member.memberId, { joinTicket: undefined, isNew: false, synced: false, deadlineMs });
  }
}

/** The last member went: the offsets stay, for as long as they are kept. */
function becomeEmpty(draft: GroupDraft): void {
  draft.generation++;
  draft.protocolName = null;
  draft.leaderId = null;
  draft.moveTo('Empty');
  draft.recordGroup();
}

/** Keeps the leader if it is here, else takes the member that joined first. False when nobody has joined. */
function electLeader(draft: GroupDraft): boolean {
  if (draft.leaderId !== null && draft.members.get(draft.leaderId)?.joinTicket !== undefined) return true;
  for (const member of draft.members.values()) {
    if (member.joinTicket === undefined) continue;
    draft.leaderId = member.memberId;
    return true;
  }
  return false;
}

/** The answer that tells a member the generation it is in; the leader also learns who the others are. */
export function currentGeneration(draft: GroupDraft, memberId: string): JoinReply {
  const leads = memberId === draft.leaderId;
  return {
    errorCode: ERROR_CODES.NONE,
    generation: draft.generation,
    protocolType: draft.protocolType,
    protocolName: draft.protocolName,
    leaderId: draft.leaderId ?? '',
    memberId,
    skipAssignment: false,
    members: leads ? everyone(draft) : [],
  };
}

/** All members with their metadata for the chosen protocol, for the one who assigns. */
export function everyone(draft: GroupDraft): JoinReply['members'] {
  return [...draft.members.values()].map((member) => ({
    memberId: member.memberId,
    instanceId: member.instanceId,
    metadata: metadataFor(member.protocols, draft.protocolName),
  }));
}

function rebalanceTimeout(draft: GroupDraft): number {
  let longestMs = 0;
  for (const member of draft.members.values()) longestMs = Math.max(longestMs, member.rebalanceTimeoutMs);
  return longestMs;
}
