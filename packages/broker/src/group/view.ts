// Reading a group: offsets for consumers, descriptions and lists for admins.
// Owns: what is shown of a state.  Never: changes anything; writes anything.
import { ERROR_CODES } from '@millrace/protocol';
import { metadataFor } from './draft.ts';
import type { GroupPhase, Membership } from './membership.ts';
import { eachOffset, type GroupState, hasPendingOffset, offsetOf } from './state.ts';

export interface FetchedOffset {
  readonly partition: number;
  /** -1: none, or not stable yet. */
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
  readonly errorCode: number;
}

export interface FetchedTopic {
  readonly topic: string;
  readonly partitions: readonly FetchedOffset[];
}

export interface AskedTopic {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** The committed offsets of `asked`, or of everything when null. `requireStable`: partitions with an offset in an open transaction get UNSTABLE_OFFSET_COMMIT. */
export function fetchOffsets(state: GroupState | undefined, asked: readonly AskedTopic[] | null, requireStable: boolean): FetchedTopic[] {
  const topics = asked ?? everyTopic(state, requireStable);
  return topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map((partition) => fetchOne(state, topic, partition, requireStable)) }));
}

function fetchOne(state: GroupState | undefined, topic: string, partition: number, requireStable: boolean): FetchedOffset {
  if (requireStable && state !== undefined && hasPendingOffset(state, topic, partition)) {
    return { partition, offset: -1, leaderEpoch: -1, metadata: '', errorCode: ERROR_CODES.UNSTABLE_OFFSET_COMMIT };
  }
  const stored = state === undefined ? undefined : offsetOf(state.offsets, topic, partition);
  return {
    partition,
    offset: stored?.offset ?? -1,
    leaderEpoch: stored?.leaderEpoch ?? -1,
    metadata: stored?.metadata ?? '',
    errorCode: ERROR_CODES.NONE,
  };
}

function everyTopic(state: GroupState | undefined, withPending: boolean): AskedTopic[] {
  const found = new Map<string, Set<number>>();
  const tables = state === undefined ? [] : withPending ? [state.offsets, ...state.pending.values()] : [state.offsets];
  for (const table of tables) {
    for (const [topic, partition] of eachOffset(table)) {
      let partitions = found.get(topic);
      if (partitions === undefined) found.set(topic, (partitions = new Set()));
      partitions.add(partition);
    }
  }
  return [...found].map(([topic, partitions]) => ({ topic, partitions: [...partitions] }));
}

export interface GroupDescription {
  readonly phase: GroupPhase;
  readonly protocolType: string;
  readonly protocolName: string;
  readonly members: readonly {
    readonly memberId: string;
    readonly instanceId: string | null;
    readonly clientId: string;
    readonly clientHost: string;
    readonly metadata: Buffer;
    readonly assignment: Buffer;
  }[];
}

const NO_BYTES = Buffer.alloc(0);
const DEAD: GroupDescription = { phase: 'Dead', protocolType: '', protocolName: '', members: [] };

/** Undefined gives the description of a group that is not there. Metadata shows only while the group is stable; assignments are the last ones handed out. */
export function describeGroup(membership: Membership | undefined): GroupDescription {
  if (membership === undefined) return DEAD;
  const { phase } = membership;
  const stable = phase === 'Stable';
  return {
    phase,
    protocolType: membership.protocolType ?? '',
    protocolName: stable ? (membership.protocolName ?? '') : '',
    members: [...membership.members.values()].map((member) => ({
      memberId: member.memberId,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: stable ? metadataFor(member.protocols, membership.protocolName) : NO_BYTES,
      assignment: member.assignment,
    })),
  };
}
