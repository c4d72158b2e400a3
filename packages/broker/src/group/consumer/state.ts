// The durable half of a group of the consumer group protocol (KIP-848): everything but the sessions.
// Owns: the shapes and how one record changes them.  Never: decides; knows time.
// CS1 the state is the fold of the group's records: the working copy of a decision, the live state and a replay use the same function.
//
//   group epoch      rises when the members or what they subscribe to change
//   assignment epoch the group epoch for which the target was computed; equal: the target is up to date
//   member epoch     the assignment epoch that the member has been moved to; -2: a static member that is away
import { NO_PARTITIONS, type TopicPartitions } from './topic-partitions.ts';

/** Epoch of a member that joins, of one that leaves, and of a static one that leaves for a while. */
export const JOINING_EPOCH = 0;
export const LEAVING_EPOCH = -1;
export const AWAY_EPOCH = -2;

export interface ConsumerMember {
  readonly instanceId: string | null;
  readonly rackId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  /** As the client gave them; topics that do not exist yet may be among them. */
  readonly subscribedNames: readonly string[];
  /** null or empty: no pattern. */
  readonly subscribedPattern: string | null;
  readonly rebalanceTimeoutMs: number;
  /** Which assignor the member would like; null: whichever. */
  readonly assignorName: string | null;
}

/**
 * `stable`: has what it is to have at its epoch. `unrevoked`: has to give up `revoking` before it may go on.
 * `unreleased`: has reached the epoch, and gets the rest once others have given it up.
 */
export type ReconcileState = 'stable' | 'unrevoked' | 'unreleased';

export interface CurrentAssignment {
  readonly memberEpoch: number;
  /** The epoch before: a member whose last answer was lost still comes with it. */
  readonly previousEpoch: number;
  readonly state: ReconcileState;
  readonly assigned: TopicPartitions;
  /** Per topic, in the order of `assigned`: the member epoch at which the partition came. */
  readonly assignedEpochs: ReadonlyMap<string, readonly number[]>;
  readonly revoking: TopicPartitions;
}

export const NEW_MEMBER: CurrentAssignment = {
  memberEpoch: 0,
  previousEpoch: 0,
  state: 'stable',
  assigned: NO_PARTITIONS,
  assignedEpochs: new Map(),
  revoking: NO_PARTITIONS,
};

/** The member epoch at which the partition was assigned; undefined: it is not. */
export function assignedSince({ assigned, assignedEpochs, memberEpoch }: CurrentAssignment, topicId: string, partition: number): number | undefined {
  const at = assigned.get(topicId)?.indexOf(partition) ?? -1;
  return at < 0 ? undefined : (assignedEpochs.get(topicId)?.[at] ?? memberEpoch);
}

export interface ConsumerGroupState {
  readonly epoch: number;
  /** Of the topics and partition counts that were seen at `epoch`. */
  readonly metadataHash: number;
  readonly assignmentEpoch: number;
  readonly members: ReadonlyMap<string, ConsumerMember>;
  readonly targets: ReadonlyMap<string, TopicPartitions>;
  readonly current: ReadonlyMap<string, CurrentAssignment>;
}

/** One record of the group. `value` null deletes what the record before said. */
export type ConsumerRecord =
  | { readonly kind: 'consumer-epoch'; readonly value: { readonly epoch: number; readonly metadataHash: number } | null }
  | { readonly kind: 'consumer-target-epoch'; readonly value: { readonly assignmentEpoch: number } | null }
  | { readonly kind: 'consumer-member'; readonly memberId: string; readonly value: ConsumerMember | null }
  | { readonly kind: 'consumer-target'; readonly memberId: string; readonly value: TopicPartitions | null }
  | { readonly kind: 'consumer-current'; readonly memberId: string; readonly value: CurrentAssignment | null };

const NOTHING: ConsumerGroupState = { epoch: 0, metadataHash: 0, assignmentEpoch: 0, members: new Map(), targets: new Map(), current: new Map() };

/** The state with the record in it; undefined: the group is gone. The given state is not changed. */
export function withConsumerRecord(state: ConsumerGroupState | undefined, record: ConsumerRecord): ConsumerGroupState | undefined {
  switch (record.kind) {
    case 'consumer-epoch':
      return record.value === null ? undefined : { ...(state ?? NOTHING), ...record.value };
    case 'consumer-target-epoch':
      if (record.value === null) return state === undefined ? undefined : { ...state, assignmentEpoch: 0 };
      return { ...(state ?? NOTHING), ...record.value };
    case 'consumer-member':
      return changed(state, 'members', record.memberId, record.value);
    case 'consumer-target':
      return changed(state, 'targets', record.memberId, record.value);
    case 'consumer-current':
      return changed(state, 'current', record.memberId, record.value);
  }
}

/** A tombstone alone brings no group into being: after compaction it may be all that is left of one. */
function changed<Part extends 'members' | 'targets' | 'current'>(
  state: ConsumerGroupState | undefined,
  part: Part,
  memberId: string,
  value: (ConsumerGroupState[Part] extends ReadonlyMap<string, infer Value> ? Value : never) | null,
): ConsumerGroupState | undefined {
  if (value === null && state?.[part].has(memberId) !== true) return state;
  const before = state ?? NOTHING;
  const entries = new Map<string, unknown>(before[part]);
  if (value === null) entries.delete(memberId);
  else entries.set(memberId, value);
  return { ...before, [part]: entries };
}

/** The static member that holds the instance id, as [member id, member]. */
export function byInstance(state: ConsumerGroupState, instanceId: string): readonly [memberId: string, member: ConsumerMember] | undefined {
  for (const entry of state.members) if (entry[1].instanceId === instanceId) return entry;
  return undefined;
}

export type ConsumerPhase = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable';

/** As Kafka names it. */
export function consumerPhase(state: ConsumerGroupState): ConsumerPhase {
  if (state.members.size === 0) return 'Empty';
  if (state.epoch > state.assignmentEpoch) return 'Assigning';
  for (const memberId of state.members.keys()) {
    const current = state.current.get(memberId);
    if (current?.state !== 'stable' || current.memberEpoch !== state.assignmentEpoch) return 'Reconciling';
  }
  return 'Stable';
}
