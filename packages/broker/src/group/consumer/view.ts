// A consumer group as admins see it.
// Owns: what is shown of a state.  Never: changes anything.
import type { TopicCatalog } from './catalog.ts';
import { type ConsumerGroupState, type ConsumerPhase, consumerPhase, NEW_MEMBER } from './state.ts';
import { assignorName } from './target.ts';
import { NO_PARTITIONS, type TopicPartitions, union } from './topic-partitions.ts';

export interface NamedPartitions {
  readonly topicId: string;
  readonly topicName: string;
  readonly partitions: readonly number[];
}

export interface ConsumerGroupDescription {
  readonly phase: ConsumerPhase;
  readonly epoch: number;
  readonly assignmentEpoch: number;
  readonly assignorName: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly rackId: string | null;
    readonly memberEpoch: number;
    readonly clientId: string;
    readonly clientHost: string;
    readonly subscribedNames: readonly string[];
    readonly subscribedPattern: string | null;
    readonly assigned: readonly NamedPartitions[];
    readonly target: readonly NamedPartitions[];
  }[];
}

export function describeConsumerGroup(state: ConsumerGroupState, catalog: TopicCatalog): ConsumerGroupDescription {
  const members = [...state.members].map(([memberId, member]) => {
    const current = state.current.get(memberId) ?? NEW_MEMBER;
    return {
      memberId,
      instanceId: member.instanceId,
      rackId: member.rackId,
      memberEpoch: current.memberEpoch,
      clientId: member.clientId,
      clientHost: member.clientHost,
      subscribedNames: member.subscribedNames,
      subscribedPattern: member.subscribedPattern,
      assigned: named(union(current.assigned, current.revoking), catalog),
      target: named(state.targets.get(memberId) ?? NO_PARTITIONS, catalog),
    };
  });
  return { phase: consumerPhase(state), epoch: state.epoch, assignmentEpoch: state.assignmentEpoch, assignorName: assignorName(state), members };
}

/** Topics that are gone have no name any more and are left out. */
function named(set: TopicPartitions, catalog: TopicCatalog): NamedPartitions[] {
  return [...set].flatMap(([topicId, partitions]) => {
    const topicName = catalog.nameOf(topicId);
    return topicName === undefined ? [] : [{ topicId, topicName, partitions }];
  });
}
