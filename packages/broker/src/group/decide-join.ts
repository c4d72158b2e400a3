// JoinGroup: who may come in, what a member that comes again is told, and how a static member takes its place back (KIP-345).
// Owns: the cases.  Never: runs the join phase itself (rebalance.ts).
import { ERROR_CODES } from '@millrace/protocol';
import type { GroupDraft } from './draft.ts';
import { identify } from './identify.ts';
import { isAbsent, type Member } from './membership.ts';
import { commonProtocols, sameProtocols, voteForProtocol } from './protocol-vote.ts';
import { addMember, answerParked, currentGeneration, everyone, rebalance } from './rebalance.ts';
import { type JoinRequest, joinError } from './requests.ts';

export function decideJoin(draft: GroupDraft, request: JoinRequest, ticket: number): void {
  const refused = refuseJoin(draft, request);
  if (refused !== ERROR_CODES.NONE) {
    draft.reply(ticket, joinError(refused, request.memberId));
    return;
  }
  if (draft.consumer !== undefined) draft.becomeClassicGroup();
  if (request.memberId === '') joinWithoutId(draft, request, ticket);
  else if (draft.promisedIds.delete(request.memberId)) enter(draft, request.memberId, request, ticket);
  else joinAgain(draft, draft.member(request.memberId), request, ticket);
}

function joinWithoutId(draft: GroupDraft, request: JoinRequest, ticket: number): void {
  const { instanceId } = request;
  const holder = instanceId === null ? undefined : draft.byInstance(instanceId);
  const memberId = `${instanceId ?? request.clientId}-${request.freshId}`;
  if (holder !== undefined) takePlace(draft, holder, memberId, request, ticket);
  else if (instanceId === null && request.idFirst) promiseId(draft, memberId, request, ticket);
  else enter(draft, memberId, request, ticket);
}

/** NONE when the join may go on. Nothing has been changed when it may not. */
function refuseJoin(draft: GroupDraft, request: JoinRequest): number {
  const { options } = draft;
  if (request.groupId === '') return ERROR_CODES.INVALID_GROUP_ID;
  if (request.sessionTimeoutMs < options.sessionTimeoutMinMs || request.sessionTimeoutMs > options.sessionTimeoutMaxMs) {
    return ERROR_CODES.INVALID_SESSION_TIMEOUT;
  }
  // A member of the classic protocol comes into an empty group only: it takes the place of a consumer group, offsets and all.
  if (!draft.hasNoMembers && draft.consumer !== undefined) return ERROR_CODES.INCONSISTENT_GROUP_PROTOCOL;
  const promised = request.memberId !== '' && request.instanceId === null && draft.promisedIds.has(request.memberId);
  const holder = request.instanceId === null ? undefined : draft.byInstance(request.instanceId);
  const mustExist = request.memberId !== '' && !promised;
  if (mustExist && isAbsent(draft.state, draft)) return ERROR_CODES.UNKNOWN_MEMBER_ID;
  if (!fits(draft, request)) return ERROR_CODES.INCONSISTENT_GROUP_PROTOCOL;
  if (mustExist) {
    const wrong = identify(draft.members, request.memberId, request.instanceId);
    if (wrong !== ERROR_CODES.NONE) return wrong;
  }
  const comesNew = promised || (request.memberId === '' && holder === undefined);
  const full = comesNew && draft.members.size + draft.promisedIds.size - (promised ? 1 : 0) >= options.membersMax;
  return full ? ERROR_CODES.GROUP_MAX_SIZE_REACHED : ERROR_CODES.NONE;
}

/** The kind of group matches, and some protocol is shared with everyone; as in Kafka that takes in the member itself as it was. */
function fits(draft: GroupDraft, request: JoinRequest): boolean {
  if (request.protocolType === '' || request.protocols.length === 0) return false;
  if (draft.members.size === 0) return true;
  if (request.protocolType !== draft.protocolType) return false;
  return (
    commonProtocols(
      [...draft.members.values()],
      request.protocols.map((protocol) => protocol.name),
    ).length > 0
  );
}

/** Tells a new member its id and holds the place, so that a client that retries does not leave ghosts behind. */
function promiseId(draft: GroupDraft, memberId: string, request: JoinRequest, ticket: number): void {
  draft.promisedIds.set(memberId, draft.now.atMs + request.sessionTimeoutMs);
  draft.reply(ticket, joinError(ERROR_CODES.MEMBER_ID_REQUIRED, memberId));
}

function enter(draft: GroupDraft, memberId: string, request: JoinRequest, ticket: number): void {
  const member: Member = {
    memberId,
    instanceId: request.instanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: request.protocols,
    assignment: Buffer.alloc(0),
    joinTicket: ticket,
    syncTicket: undefined,
    isNew: true,
    synced: false,
    deadlineMs: draft.now.atMs + draft.options.newMemberJoinMs,
  };
  addMember(draft, member, request.protocolType);
  rebalance(draft);
}

/** A member that is in the group joins again: because it was told to, or because it wants something else. */
function joinAgain(draft: GroupDraft, member: Member, request: JoinRequest, ticket: number): void {
  const unchanged = sameProtocols(member.protocols, request.protocols);
  const leads = member.memberId === draft.leaderId;
  const staysInGeneration = unchanged && (draft.phase === 'CompletingRebalance' || (draft.phase === 'Stable' && !leads));
  if (staysInGeneration) {
    draft.refresh(member.memberId);
    draft.reply(ticket, currentGeneration(draft, member.memberId));
    return;
  }
  parkJoin(draft, member, request, ticket);
  rebalance(draft);
}

function parkJoin(draft: GroupDraft, member: Member, request: JoinRequest, ticket: number): void {
  answerParked(draft, member, ERROR_CODES.REBALANCE_IN_PROGRESS); // an older request of the same member: its connection must not wait for ever
  draft.update(member.memberId, { ...asked(request), joinTicket: ticket, deadlineMs: draft.now.atMs + request.sessionTimeoutMs });
}

function asked(request: JoinRequest): Partial<Member> {
  const { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request;
  return { clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols };
}

/** A static member is back after a restart, without its old id: it gets a new one and the old one is fenced. */
function takePlace(draft: GroupDraft, holder: Member, memberId: string, request: JoinRequest, ticket: number): void {
  const led = draft.leaderId === holder.memberId;
  answerParked(draft, holder, ERROR_CODES.FENCED_INSTANCE_ID);
  const deadlineMs = draft.now.atMs + request.sessionTimeoutMs;
  const member = { ...draft.member(holder.memberId), ...asked(request), memberId, deadlineMs };
  replaceInOrder(draft, holder.memberId, member);
  if (led) draft.leaderId = memberId;

  const keepsProtocol = draft.phase === 'Stable' && voteForProtocol([...draft.members.values()]) === draft.protocolName;
  if (!keepsProtocol) {
    draft.update(memberId, { joinTicket: ticket });
    rebalance(draft);
    return;
  }
  draft.recordGroup();
  draft.reply(ticket, {
    ...currentGeneration(draft, memberId),
    // A leader that cannot be told to keep the assignment must not assign anew: below version 9 it hears that the old id leads.
    leaderId: led && !request.mayKeepAssignment ? holder.memberId : (draft.leaderId ?? ''),
    skipAssignment: led && request.mayKeepAssignment,
    members: led && request.mayKeepAssignment ? everyone(draft) : [],
  });
}

/** Members are kept in the order in which they joined, and a successor stands where its predecessor stood. */
function replaceInOrder(draft: GroupDraft, oldId: string, member: Member): void {
  const order = [...draft.members];
  draft.members.clear();
  for (const [id, other] of order) draft.members.set(id === oldId ? member.memberId : id, id === oldId ? member : other);
}
