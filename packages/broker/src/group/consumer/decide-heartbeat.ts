// ConsumerGroupHeartbeat: the whole of the consumer group protocol in one request (KIP-848).
// Owns: the order of its steps: who is it → what does it want now → does the group change → who is to have what → this member's next step.
// Never: computes assignments (assignors.ts), reconciles (reconcile.ts).
// CH1 nothing has been written when a heartbeat is refused.  CH2 the target is up to date when a heartbeat is answered.
import { ERROR_CODES } from '@millrace/protocol';
import type { GroupDraft } from '../draft.ts';
import type { ConsumerHeartbeatRequest } from '../requests.ts';
import { ASSIGNORS } from './assignors.ts';
import { replaceStaticMember, stepAway, takeOut } from './members.ts';
import { reconcile } from './reconcile.ts';
import {
  AWAY_EPOCH,
  byInstance,
  type ConsumerGroupState,
  type ConsumerMember,
  type CurrentAssignment,
  JOINING_EPOCH,
  LEAVING_EPOCH,
  NEW_MEMBER,
} from './state.ts';
import { bringUpToDate } from './target.ts';
import { hasPartition, isSubset, NO_PARTITIONS, sameTopicPartitions } from './topic-partitions.ts';

const { NONE, INVALID_REQUEST, GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID } = ERROR_CODES;
const { UNSUPPORTED_ASSIGNOR, INVALID_REGULAR_EXPRESSION, GROUP_MAX_SIZE_REACHED } = ERROR_CODES;

type Refusal = readonly [errorCode: number, message: string];

export function decideConsumerHeartbeat(draft: GroupDraft, request: ConsumerHeartbeatRequest, ticket: number): void {
  const refused = refuseShape(request) ?? refuseGroup(draft, request) ?? refuseMember(draft, request) ?? refusePattern(draft, request);
  if (refused !== undefined) {
    const [errorCode, errorMessage] = refused;
    draft.reply(ticket, { errorCode, errorMessage, memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null });
    return;
  }
  if (request.memberEpoch < JOINING_EPOCH) leave(draft, request, ticket);
  else live(draft, request, ticket);
}

/** What is wrong whatever the group looks like. */
function refuseShape(request: ConsumerHeartbeatRequest): Refusal | undefined {
  const { memberId, memberEpoch, instanceId } = request;
  const wrong = (message: string): Refusal => [INVALID_REQUEST, message];
  if (request.groupId.trim() === '') return wrong("GroupId can't be empty.");
  const isNamed = request.namesItself || memberEpoch > JOINING_EPOCH || memberEpoch === LEAVING_EPOCH;
  if (memberId.trim() === '' && isNamed) return wrong("MemberId can't be empty.");
  if (instanceId?.trim() === '') return wrong("InstanceId can't be empty.");
  if (request.rackId?.trim() === '') return wrong("RackId can't be empty.");
  if (memberEpoch < AWAY_EPOCH) return wrong(`MemberEpoch is ${memberEpoch}, but must be greater than or equal to -2.`);
  if (memberEpoch === AWAY_EPOCH && instanceId === null) return wrong("InstanceId can't be null.");
  if (memberEpoch === JOINING_EPOCH) {
    if (request.rebalanceTimeoutMs < 0) return wrong('RebalanceTimeoutMs must be provided in first request.');
    if (request.owned === null || request.owned.size > 0) return wrong('TopicPartitions must be empty when (re-)joining.');
    if (request.subscribedNames === null && request.subscribedPattern === null)
      return wrong('Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.');
  }
  const { assignorName } = request;
  if (assignorName !== null && !ASSIGNORS.has(assignorName))
    return [UNSUPPORTED_ASSIGNOR, `ServerAssignor ${assignorName} is not supported. Supported assignors: ${[...ASSIGNORS.keys()].join(', ')}.`];
  return undefined;
}

/** A pattern is looked at last, as in Kafka. */
function refusePattern(draft: GroupDraft, { subscribedPattern }: ConsumerHeartbeatRequest): Refusal | undefined {
  if (subscribedPattern === null || subscribedPattern === '' || draft.catalog.matching(subscribedPattern) !== undefined) return undefined;
  return [INVALID_REGULAR_EXPRESSION, `SubscribedTopicRegex \`${subscribedPattern}\` is not a valid regular expression.`];
}

/** A group comes into being by a join, also in the place of a classic group that has no members; its offsets stay. */
function refuseGroup(draft: GroupDraft, request: ConsumerHeartbeatRequest): Refusal | undefined {
  if (draft.consumer !== undefined) return undefined;
  const { groupId } = request;
  if (draft.members.size > 0) return [GROUP_ID_NOT_FOUND, `Group ${groupId} is not a consumer group.`];
  return request.memberEpoch === JOINING_EPOCH ? undefined : [GROUP_ID_NOT_FOUND, `Consumer group ${groupId} not found.`];
}

function refuseMember(draft: GroupDraft, request: ConsumerHeartbeatRequest): Refusal | undefined {
  const { memberId, memberEpoch, instanceId } = request;
  const { consumer } = draft;
  const holder = instanceId === null || consumer === undefined ? undefined : byInstance(consumer, instanceId);
  const known = consumer?.members.has(memberId) === true;
  if (memberEpoch === JOINING_EPOCH) {
    const [holderId] = holder ?? [];
    if (holderId !== undefined && consumer?.current.get(holderId)?.memberEpoch !== AWAY_EPOCH)
      return [
        UNRELEASED_INSTANCE_ID,
        `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is owned by ${holderId}.`,
      ];
    const full = !known && holderId === undefined && (consumer?.members.size ?? 0) >= draft.options.membersMax;
    return full ? [GROUP_MAX_SIZE_REACHED, `The consumer group has reached its maximum capacity of ${draft.options.membersMax} members.`] : undefined;
  }
  if (instanceId !== null && holder !== undefined && holder[0] !== memberId)
    return [FENCED_INSTANCE_ID, `Static member ${memberId} with instance id ${instanceId} was fenced by member ${holder[0]}.`];
  if (!known || (instanceId !== null && holder === undefined)) return [UNKNOWN_MEMBER_ID, `Member ${memberId} is not a member of group ${request.groupId}.`];
  return memberEpoch < JOINING_EPOCH ? undefined : refuseEpoch(consumer?.current.get(memberId) ?? NEW_MEMBER, request);
}

/** The epoch before is right too, when it reports nothing that it has not: the answer that told it the new one was lost. */
function refuseEpoch(current: CurrentAssignment, { memberEpoch, owned }: ConsumerHeartbeatRequest): Refusal | undefined {
  if (memberEpoch === current.memberEpoch) return undefined;
  if (memberEpoch > current.memberEpoch)
    return [
      FENCED_MEMBER_EPOCH,
      `The consumer group member has a greater member epoch (${memberEpoch}) than the one known by the group coordinator (${current.memberEpoch}).`,
    ];
  if (memberEpoch === current.previousEpoch && owned !== null && isSubset(owned, current.assigned)) return undefined;
  return [
    FENCED_MEMBER_EPOCH,
    `The consumer group member has a smaller member epoch (${memberEpoch}) than the one known by the group coordinator (${current.memberEpoch}).`,
  ];
}

function leave(draft: GroupDraft, { memberId, memberEpoch }: ConsumerHeartbeatRequest, ticket: number): void {
  if (memberEpoch === AWAY_EPOCH) stepAway(draft, memberId);
  else takeOut(draft, [memberId]);
  draft.reply(ticket, { errorCode: NONE, errorMessage: null, memberId, memberEpoch, heartbeatIntervalMs: 0, assignment: null });
}

function live(draft: GroupDraft, request: ConsumerHeartbeatRequest, ticket: number): void {
  if (draft.consumer === undefined) draft.becomeConsumerGroup();
  const memberId = request.memberId === '' ? request.freshId : request.memberId;
  const joins = request.memberEpoch === JOINING_EPOCH;
  if (joins && request.instanceId !== null) replaceStaticMember(draft, request.instanceId, memberId);

  const before = group(draft).members.get(memberId);
  const member = wish(request, before);
  const changes = before === undefined ? wantsTopics(member) : !sameSubscription(before, member);
  if (before === undefined || !sameMember(before, member)) draft.write({ kind: 'consumer-member', memberId, value: member });
  bringUpToDate(draft, changes);

  const current = group(draft).current.get(memberId) ?? NEW_MEMBER;
  const next = reconcile({
    current,
    target: group(draft).targets.get(memberId) ?? NO_PARTITIONS,
    targetEpoch: group(draft).assignmentEpoch,
    owned: request.owned,
    isHeldByAnother: (topicId, partition) => isHeld(group(draft), memberId, topicId, partition),
  });
  if (next !== current) draft.write({ kind: 'consumer-current', memberId, value: next });
  draft.sessions.set(memberId, draft.now.atMs + draft.options.consumerSessionTimeoutMs);
  watchRevocation(draft, memberId, next, next !== current);
  const told = joins || reportsAll(request) || !sameTopicPartitions(current.assigned, next.assigned);
  draft.reply(ticket, {
    errorCode: NONE,
    errorMessage: null,
    memberId,
    memberEpoch: next.memberEpoch,
    heartbeatIntervalMs: draft.options.consumerHeartbeatIntervalMs,
    assignment: told ? next.assigned : null,
  });
}

function group(draft: GroupDraft): ConsumerGroupState {
  return draft.consumerGroup();
}

/** What the request says, over what was known: fields that did not change may be left out. */
function wish(request: ConsumerHeartbeatRequest, before: ConsumerMember | undefined): ConsumerMember {
  return {
    instanceId: request.instanceId ?? before?.instanceId ?? null,
    rackId: request.rackId ?? before?.rackId ?? null,
    clientId: request.clientId,
    clientHost: request.clientHost,
    subscribedNames: request.subscribedNames === null ? (before?.subscribedNames ?? []) : [...new Set(request.subscribedNames)].sort(),
    subscribedPattern: request.subscribedPattern ?? before?.subscribedPattern ?? null,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? (before?.rebalanceTimeoutMs ?? 0) : request.rebalanceTimeoutMs,
    assignorName: request.assignorName ?? before?.assignorName ?? null,
  };
}

/** Somebody who comes and wants nothing changes nothing for the others. */
function wantsTopics({ subscribedNames, subscribedPattern }: ConsumerMember): boolean {
  return subscribedNames.length > 0 || (subscribedPattern ?? '') !== '';
}

function sameSubscription(left: ConsumerMember, right: ConsumerMember): boolean {
  return (
    (left.subscribedPattern ?? '') === (right.subscribedPattern ?? '') &&
    left.subscribedNames.length === right.subscribedNames.length &&
    left.subscribedNames.every((name, at) => name === right.subscribedNames[at])
  );
}

function sameMember(left: ConsumerMember, right: ConsumerMember): boolean {
  return (
    sameSubscription(left, right) &&
    left.assignorName === right.assignorName &&
    left.instanceId === right.instanceId &&
    left.rackId === right.rackId &&
    left.clientId === right.clientId &&
    left.clientHost === right.clientHost &&
    left.rebalanceTimeoutMs === right.rebalanceTimeoutMs
  );
}

/** A request with every field set asks for everything in return. */
function reportsAll(request: ConsumerHeartbeatRequest): boolean {
  return request.rebalanceTimeoutMs >= 0 && request.owned !== null && (request.subscribedNames !== null || request.subscribedPattern !== null);
}

function isHeld(state: ConsumerGroupState, byAnotherThan: string, topicId: string, partition: number): boolean {
  for (const [memberId, { assigned, revoking }] of state.current) {
    if (memberId === byAnotherThan) continue;
    if (hasPartition(assigned, topicId, partition) || hasPartition(revoking, topicId, partition)) return true;
  }
  return false;
}

/** Whoever has to give something up may take its rebalance timeout for it. */
function watchRevocation(draft: GroupDraft, memberId: string, { state, memberEpoch }: CurrentAssignment, isNew: boolean): void {
  if (state !== 'unrevoked') draft.revocations.delete(memberId);
  else if (isNew || !draft.revocations.has(memberId)) {
    const { rebalanceTimeoutMs } = draft.consumerGroup().members.get(memberId) as ConsumerMember;
    draft.revocations.set(memberId, { memberEpoch, deadlineMs: draft.now.atMs + rebalanceTimeoutMs });
  }
}
