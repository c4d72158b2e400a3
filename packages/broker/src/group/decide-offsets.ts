// Committing, deleting and expiring offsets.
// Owns: the cases of OffsetCommit, TxnOffsetCommit (KIP-447), OffsetDelete, DeleteGroups, expiry and of topics that went.
// Never: reads offsets for clients (`view.ts`).
// O1 an offset held back by an open transaction keeps its group alive.
import { ERROR_CODES } from '@millrace/protocol';
import { assignedSince, type ConsumerGroupState, type CurrentAssignment, NEW_MEMBER } from './consumer/state.ts';
import { subscribedNames } from './consumer/target.ts';
import type { GroupDraft } from './draft.ts';
import { identify } from './identify.ts';
import { isAbsent } from './membership.ts';
import type { GroupRecord } from './records.ts';
import { type CommitRequest, commitError, type DeleteOffsetsRequest, type PartitionsReply } from './requests.ts';
import { eachOffset, type OffsetValue } from './state.ts';
import { subscribedTopics } from './subscription.ts';

const { NONE, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS, INVALID_GROUP_ID, GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP } = ERROR_CODES;
const { OFFSET_METADATA_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION, GROUP_SUBSCRIBED_TO_TOPIC, STALE_MEMBER_EPOCH } = ERROR_CODES;

export function decideCommit(draft: GroupDraft, request: CommitRequest, ticket: number): void {
  const refused = refuseCommit(draft, request);
  if (refused !== NONE) {
    draft.reply(ticket, commitError(request, refused));
    return;
  }
  const { wallMs } = draft.now;
  const expiresAtMs = request.retentionMs === undefined ? undefined : wallMs + request.retentionMs;
  const partitions = request.offsets.map((asked) => {
    const { topic, partition } = asked;
    if (!asked.partitionExists) return { topic, partition, errorCode: UNKNOWN_TOPIC_OR_PARTITION };
    if (Buffer.byteLength(asked.metadata) > draft.options.metadataBytesMax) return { topic, partition, errorCode: OFFSET_METADATA_TOO_LARGE };
    const { offset, leaderEpoch, metadata } = asked;
    const value: OffsetValue = { offset, leaderEpoch, metadata, committedAtMs: wallMs, expiresAtMs };
    draft.records.push({ kind: 'offset', groupId: request.groupId, topic, partition, value });
    return { topic, partition, errorCode: NONE };
  });
  if (draft.members.has(request.memberId)) draft.refresh(request.memberId);
  draft.reply(ticket, { errorCode: NONE, partitions });
}

function refuseCommit(draft: GroupDraft, request: CommitRequest): number {
  if (request.groupId === '' && request.transaction !== undefined) return INVALID_GROUP_ID;
  if (draft.consumer !== undefined) return refuseConsumerCommit(draft, draft.consumer, request);
  const fromMember = request.generation >= 0 || request.memberId !== '' || request.instanceId !== null;
  if (isAbsent(draft.state, draft) && request.generation >= 0) return request.transaction === undefined ? GROUP_ID_NOT_FOUND : ILLEGAL_GENERATION;
  if (request.generation < 0 && draft.phase === 'Empty') return NONE;
  if (fromMember) {
    const wrong = identify(draft.members, request.memberId, request.instanceId);
    if (wrong !== NONE) return wrong;
    if (request.generation !== draft.generation) return ILLEGAL_GENERATION;
  } else if (request.transaction === undefined && draft.phase !== 'Empty') {
    return UNKNOWN_MEMBER_ID;
  }
  return request.transaction === undefined && draft.phase === 'CompletingRebalance' ? REBALANCE_IN_PROGRESS : NONE;
}

/** Members of a consumer group commit with their member epoch; whoever is none may commit while nobody is there, or in a transaction of old. */
function refuseConsumerCommit(draft: GroupDraft, group: ConsumerGroupState, request: CommitRequest): number {
  if (request.generation < 0 && request.memberId === '' && request.instanceId === null) {
    return group.members.size === 0 || request.transaction !== undefined ? NONE : UNKNOWN_MEMBER_ID;
  }
  if (request.generation < 0 && group.members.size === 0) return NONE;
  if (!group.members.has(request.memberId)) return UNKNOWN_MEMBER_ID;
  if (request.byGeneration === true) return STALE_MEMBER_EPOCH;
  const current = group.current.get(request.memberId) ?? NEW_MEMBER;
  if (request.generation === current.memberEpoch || isFromOlderEpoch(draft, current, request)) return NONE;
  return request.transaction === undefined ? STALE_MEMBER_EPOCH : ILLEGAL_GENERATION;
}

/** An older epoch is good for partitions that the member had then and still has: nobody else can have committed them since (KIP-1251). */
function isFromOlderEpoch(draft: GroupDraft, current: CurrentAssignment, { generation, offsets }: CommitRequest): boolean {
  if (generation < 0 || generation > current.memberEpoch) return false;
  return offsets.every(({ topic, partition }) => {
    const topicId = draft.catalog.find(topic)?.id;
    const since = topicId === undefined ? undefined : assignedSince(current, topicId, partition);
    return since !== undefined && since <= generation;
  });
}

export function decideDeleteGroup(draft: GroupDraft, ticket: number): void {
  const errorCode = refuseDeletion(draft);
  if (errorCode === NONE) forget(draft);
  draft.reply(ticket, { errorCode });
}

function refuseDeletion(draft: GroupDraft): number {
  if (isAbsent(draft.state, draft)) return GROUP_ID_NOT_FOUND;
  return draft.hasNoMembers && draft.state.pending.size === 0 ? NONE : NON_EMPTY_GROUP;
}

/** Writes the end of the group and of all its offsets. */
function forget(draft: GroupDraft): void {
  const { groupId } = draft.state;
  for (const [topic, partition] of eachOffset(draft.state.offsets)) draft.records.push(tombstone(groupId, topic, partition));
  if (draft.state.metadata !== undefined) draft.records.push({ kind: 'group', groupId, value: null });
  if (draft.consumer !== undefined) draft.becomeClassicGroup();
  draft.promisedIds.clear();
  draft.moveTo('Dead');
}

export function decideDeleteOffsets(draft: GroupDraft, request: DeleteOffsetsRequest, ticket: number): void {
  draft.reply(ticket, deleteOffsets(draft, request));
}

function deleteOffsets(draft: GroupDraft, request: DeleteOffsetsRequest): PartitionsReply {
  if (request.groupId === '') return { errorCode: INVALID_GROUP_ID, partitions: [] };
  if (isAbsent(draft.state, draft)) return { errorCode: GROUP_ID_NOT_FOUND, partitions: [] };
  const used = usedTopics(draft);
  if (used === 'not a consumer group') return { errorCode: NON_EMPTY_GROUP, partitions: [] };
  const partitions = request.partitions.map(({ topic, partition, partitionExists }) => {
    if (!partitionExists) return { topic, partition, errorCode: UNKNOWN_TOPIC_OR_PARTITION };
    const subscribed = used === 'unreadable' || (used instanceof Set && used.has(topic));
    if (subscribed) return { topic, partition, errorCode: GROUP_SUBSCRIBED_TO_TOPIC };
    if (draft.state.offsets.get(topic)?.has(partition)) draft.records.push(tombstone(request.groupId, topic, partition));
    return { topic, partition, errorCode: NONE };
  });
  return { errorCode: NONE, partitions };
}

/**
 * Offsets nobody will ask for: of a group that has been empty for the retention, of topics a running consumer group does not
 * subscribe to, of simple groups that stopped committing. A group that is left with nothing goes too.
 */
export function decideExpire(draft: GroupDraft): void {
  const { state } = draft;
  if (state.pending.size > 0) return;
  const { wallMs } = draft.now;
  const used = usedTopics(draft);
  const emptySinceMs = state.metadata !== undefined && state.metadata.protocolType !== '' ? state.metadata.sinceMs : 0;
  let kept = 0;
  for (const [topic, partition, value] of eachOffset(state.offsets)) {
    const fromMs = Math.max(value.committedAtMs, emptySinceMs);
    const dueMs = value.expiresAtMs ?? (draft.hasNoMembers ? fromMs : value.committedAtMs) + draft.options.offsetsRetentionMs;
    const settled = draft.consumer !== undefined || draft.phase === 'Stable';
    const inUse = !draft.hasNoMembers && (!(used instanceof Set) || used.has(topic) || !settled);
    if (inUse || dueMs > wallMs) kept++;
    else draft.records.push(tombstone(state.groupId, topic, partition));
  }
  if (kept > 0 || !draft.hasNoMembers || draft.promisedIds.size > 0) return;
  if (state.metadata !== undefined) draft.records.push({ kind: 'group', groupId: state.groupId, value: null });
  if (draft.consumer !== undefined) draft.becomeClassicGroup();
  draft.moveTo('Dead');
}

export function decideTopicDeleted(draft: GroupDraft, topic: string): void {
  const { state } = draft;
  const gone = new Set<number>(state.offsets.get(topic)?.keys());
  for (const table of state.pending.values()) for (const partition of table.get(topic)?.keys() ?? []) gone.add(partition);
  for (const partition of gone) draft.records.push(tombstone(state.groupId, topic, partition));
}

/** Which topics the members read; nobody there: none. */
function usedTopics(draft: GroupDraft): ReturnType<typeof subscribedTopics> {
  if (draft.consumer === undefined) return draft.members.size === 0 ? new Set() : subscribedTopics(draft.protocolType, draft.members.values());
  const topics = new Set<string>();
  for (const member of draft.consumer.members.values()) for (const name of subscribedNames(member, draft.catalog)) topics.add(name);
  return topics;
}

function tombstone(groupId: string, topic: string, partition: number): GroupRecord {
  return { kind: 'offset', groupId, topic, partition, value: null };
}
