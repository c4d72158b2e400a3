// One member's way from what it has to what it is to have: give up first, move to the epoch, take what is free.
// Owns: that step.  Never: looks at other members but through `isHeldByAnother`.
//
//                    ┌──────── still reports a partition it is to give up ────────┐
//   stable ──target──▶ unrevoked ──reports none of them any more──▶ stable        │ (stays unrevoked, at its epoch)
//      ▲               └───────────others still hold some──────────▶ unreleased ──┘
//      └───────────────────────────others have let go──────────────────┘
//
// RC1 a partition is in the assigned or revoking set of at most one member.  RC2 an epoch is reached only once nothing is left to give up.
import { assignedSince, type CurrentAssignment } from './state.ts';
import { filterPartitions, intersect, NO_PARTITIONS, overlaps, subtract, type TopicPartitions, union } from './topic-partitions.ts';

export interface ReconcileFacts {
  readonly current: CurrentAssignment;
  readonly target: TopicPartitions;
  readonly targetEpoch: number;
  /** What the member says it has; null: it does not say. */
  readonly owned: TopicPartitions | null;
  isHeldByAnother(topicId: string, partition: number): boolean;
}

/** The same object when nothing changes. */
export function reconcile(facts: ReconcileFacts): CurrentAssignment {
  const { current, targetEpoch, owned } = facts;
  if (current.state === 'stable' && current.memberEpoch === targetEpoch) return current;
  // It has the partitions until it says otherwise.
  if (current.state === 'unrevoked' && stillOwns(owned, current.revoking)) return current;
  const next = step(facts);
  return sameAssignment(current, next) ? current : next;
}

function step({ current, target, targetEpoch, owned, isHeldByAnother }: ReconcileFacts): CurrentAssignment {
  const kept = intersect(current.assigned, target);
  const revoking = subtract(current.assigned, target);
  if (revoking.size > 0 && stillOwns(owned, revoking))
    return { ...current, state: 'unrevoked', assigned: kept, assignedEpochs: epochsOf(kept, current, current.memberEpoch), revoking };
  const free = filterPartitions(
    target,
    (topicId, partition) => current.assigned.get(topicId)?.includes(partition) !== true && !isHeldByAnother(topicId, partition),
  );
  const assigned = union(kept, free);
  const complete = subtract(target, assigned).size === 0;
  const previousEpoch = current.memberEpoch === targetEpoch ? current.previousEpoch : current.memberEpoch;
  const assignedEpochs = epochsOf(assigned, current, targetEpoch);
  return { memberEpoch: targetEpoch, previousEpoch, state: complete ? 'stable' : 'unreleased', assigned, assignedEpochs, revoking: NO_PARTITIONS };
}

/** What was there before keeps its epoch, the rest comes now. */
function epochsOf(assigned: TopicPartitions, before: CurrentAssignment, epoch: number): ReadonlyMap<string, readonly number[]> {
  return new Map([...assigned].map(([topicId, partitions]) => [topicId, partitions.map((partition) => assignedSince(before, topicId, partition) ?? epoch)]));
}

function stillOwns(owned: TopicPartitions | null, revoking: TopicPartitions): boolean {
  return owned === null || overlaps(owned, revoking);
}

function sameAssignment(left: CurrentAssignment, right: CurrentAssignment): boolean {
  return (
    left.memberEpoch === right.memberEpoch &&
    left.previousEpoch === right.previousEpoch &&
    left.state === right.state &&
    subtract(left.assigned, right.assigned).size === 0 &&
    subtract(right.assigned, left.assigned).size === 0 &&
    subtract(right.revoking, left.revoking).size === 0 &&
    subtract(left.revoking, right.revoking).size === 0
  );
}
