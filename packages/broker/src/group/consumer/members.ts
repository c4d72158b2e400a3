// How members of a consumer group go, step away and are replaced.
// Owns: the records for that.  Never: computes a target: the next heartbeat of anyone does, since the group epoch has risen.
import { ERROR_CODES } from '@millrace/protocol';
import type { GroupDraft } from '../draft.ts';
import type { LeavingMember } from '../requests.ts';
import { AWAY_EPOCH, byInstance, NEW_MEMBER } from './state.ts';
import { hashOfTopics } from './target.ts';
import { NO_PARTITIONS } from './topic-partitions.ts';

/** Members leave for good; what they had is free at once. */
export function takeOut(draft: GroupDraft, memberIds: readonly string[]): void {
  for (const memberId of memberIds) erase(draft, memberId);
  const group = draft.consumerGroup();
  draft.write({ kind: 'consumer-epoch', value: { epoch: group.epoch + 1, metadataHash: hashOfTopics(group, draft.catalog) } });
}

function erase(draft: GroupDraft, memberId: string): void {
  draft.write({ kind: 'consumer-current', memberId, value: null });
  draft.write({ kind: 'consumer-target', memberId, value: null });
  draft.write({ kind: 'consumer-member', memberId, value: null });
  draft.sessions.delete(memberId);
  draft.revocations.delete(memberId);
}

/** A static member goes and means to come back within its session: what it had stays its own. */
export function stepAway(draft: GroupDraft, memberId: string): void {
  const current = draft.consumerGroup().current.get(memberId) ?? NEW_MEMBER;
  draft.write({ kind: 'consumer-current', memberId, value: { ...current, memberEpoch: AWAY_EPOCH, state: 'stable', revoking: NO_PARTITIONS } });
  draft.revocations.delete(memberId);
}

/** A static member that was away is back, mostly under a new member id: it takes over target and partitions. */
export function replaceStaticMember(draft: GroupDraft, instanceId: string, memberId: string): void {
  const holder = byInstance(draft.consumerGroup(), instanceId);
  if (holder === undefined) return;
  const [holderId, member] = holder;
  const current = draft.consumerGroup().current.get(holderId) ?? NEW_MEMBER;
  const target = draft.consumerGroup().targets.get(holderId);
  if (holderId === memberId && current.memberEpoch !== AWAY_EPOCH) return;
  if (holderId !== memberId) {
    erase(draft, holderId);
    draft.write({ kind: 'consumer-member', memberId, value: member });
    if (target !== undefined) draft.write({ kind: 'consumer-target', memberId, value: target });
  }
  draft.write({ kind: 'consumer-current', memberId, value: { ...current, memberEpoch: 0, previousEpoch: 0 } });
}

/** LeaveGroup of the classic protocol on a consumer group: an admin removes members, by member id or by instance id. */
export function leaveByAdmin(draft: GroupDraft, leaving: readonly LeavingMember[]): number[] {
  const gone: string[] = [];
  const codes = leaving.map(({ memberId, instanceId }) => {
    const group = draft.consumerGroup();
    const holder = instanceId === null ? undefined : byInstance(group, instanceId);
    if (instanceId !== null && holder === undefined) return ERROR_CODES.UNKNOWN_MEMBER_ID;
    if (holder !== undefined && memberId !== '' && memberId !== holder[0]) return ERROR_CODES.FENCED_INSTANCE_ID;
    const leavingId = holder?.[0] ?? memberId;
    if (!group.members.has(leavingId) || gone.includes(leavingId)) return ERROR_CODES.UNKNOWN_MEMBER_ID;
    gone.push(leavingId);
    return ERROR_CODES.NONE;
  });
  if (gone.length > 0) takeOut(draft, gone);
  return codes;
}

/** Sessions that are over and partitions that were not given up in time. */
export function fenceLate(draft: GroupDraft): void {
  const { atMs } = draft.now;
  const late = new Set<string>();
  for (const [memberId, deadlineMs] of draft.sessions) if (deadlineMs <= atMs) late.add(memberId);
  for (const [memberId, { deadlineMs }] of draft.revocations) if (deadlineMs <= atMs) late.add(memberId);
  if (late.size > 0) takeOut(draft, [...late]);
}

/** A member's commit or fetch names its member epoch: NONE, or what is wrong with it. */
export function checkMemberEpoch(
  members: { has(memberId: string): boolean },
  current: ReadonlyMap<string, { readonly memberEpoch: number }>,
  memberId: string,
  memberEpoch: number,
): number {
  if (!members.has(memberId)) return ERROR_CODES.UNKNOWN_MEMBER_ID;
  return current.get(memberId)?.memberEpoch === memberEpoch ? ERROR_CODES.NONE : ERROR_CODES.STALE_MEMBER_EPOCH;
}
