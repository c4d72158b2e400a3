// The target assignment: computed anew whenever the members, their subscriptions or the topics changed.
// Owns: the group epoch, the hash of what was assigned from, the choice of the assignor.  Never: touches what members have now.
import type { GroupDraft } from '../draft.ts';
import { ASSIGNORS, type AssignorMember, DEFAULT_ASSIGNOR } from './assignors.ts';
import type { TopicCatalog } from './catalog.ts';
import type { ConsumerGroupState, ConsumerMember } from './state.ts';
import { NO_PARTITIONS, sameTopicPartitions } from './topic-partitions.ts';

/** Raises the group epoch when there is a reason, and computes the target when it is behind the group epoch. */
export function bringUpToDate(draft: GroupDraft, subscriptionChanged: boolean): void {
  const before = draft.consumerGroup();
  if (subscriptionChanged || draft.catalogVersion !== draft.catalog.version) {
    const metadataHash = hashOfTopics(before, draft.catalog);
    draft.catalogVersion = draft.catalog.version;
    if (subscriptionChanged || metadataHash !== before.metadataHash) draft.write({ kind: 'consumer-epoch', value: { epoch: before.epoch + 1, metadataHash } });
  }
  const { epoch, assignmentEpoch } = draft.consumerGroup();
  if (epoch > assignmentEpoch) assign(draft);
}

function assign(draft: GroupDraft): void {
  const state = draft.consumerGroup();
  const { catalog } = draft;
  const counts = new Map<string, number>();
  const members: AssignorMember[] = [];
  for (const [memberId, member] of state.members) {
    const topicIds: string[] = [];
    for (const name of subscribedNames(member, catalog)) {
      const topic = catalog.find(name);
      if (topic === undefined) continue;
      counts.set(topic.id, topic.partitionCount);
      topicIds.push(topic.id);
    }
    members.push({ memberId, instanceId: member.instanceId, topicIds, previous: state.targets.get(memberId) ?? NO_PARTITIONS });
  }
  const assignor = ASSIGNORS.get(assignorName(state));
  const targets = assignor?.(members, (topicId) => counts.get(topicId) ?? 0) ?? new Map();
  for (const [memberId, value] of targets) {
    const previous = state.targets.get(memberId);
    if (previous === undefined || !sameTopicPartitions(previous, value)) draft.write({ kind: 'consumer-target', memberId, value });
  }
  draft.write({ kind: 'consumer-target-epoch', value: { assignmentEpoch: state.epoch } });
}

/** The one that most members ask for; the default when nobody asks. */
export function assignorName(state: ConsumerGroupState): string {
  const votes = new Map<string, number>();
  for (const { assignorName: name } of state.members.values()) if (name !== null) votes.set(name, (votes.get(name) ?? 0) + 1);
  let winner = DEFAULT_ASSIGNOR;
  let most = 0;
  for (const [name, count] of votes) if (count > most) [winner, most] = [name, count];
  return winner;
}

/** Names and what the pattern matches now, each once. */
export function subscribedNames(member: ConsumerMember, catalog: TopicCatalog): ReadonlySet<string> {
  const { subscribedPattern } = member;
  const matched = subscribedPattern === null || subscribedPattern === '' ? [] : (catalog.matching(subscribedPattern) ?? []);
  return new Set([...member.subscribedNames, ...matched]);
}

/** 48 bits over every subscribed topic with its id and partition count; 0 for none. */
export function hashOfTopics(state: ConsumerGroupState, catalog: TopicCatalog): number {
  const names = new Set<string>();
  for (const member of state.members.values()) for (const name of subscribedNames(member, catalog)) names.add(name);
  let low = 0;
  let high = 0;
  for (const name of [...names].sort()) {
    const topic = catalog.find(name);
    if (topic === undefined) continue;
    for (const char of `${topic.id}:${topic.partitionCount};`) {
      low = (Math.imul(low, 31) + char.charCodeAt(0)) | 0;
      high = (Math.imul(high, 37) + char.charCodeAt(0)) | 0;
    }
  }
  return (high & 0xffff) * 0x1_0000_0000 + (low >>> 0);
}
