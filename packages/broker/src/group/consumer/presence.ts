// The passing half of a consumer group: until when each member lives, and until when it may take to give partitions up.
// Owns: the shape, and how it begins after a restart.  Never: written down.
// CP1 times are monotonic ms: a jump of the wall clock ends no session.
import type { GroupOptions } from '../options.ts';
import type { ConsumerGroupState } from './state.ts';

export interface Revocation {
  /** The member epoch at which it was asked: a member that moved on has answered. */
  readonly memberEpoch: number;
  readonly deadlineMs: number;
}

export interface ConsumerPresence {
  readonly sessions: ReadonlyMap<string, number>;
  readonly revocations: ReadonlyMap<string, Revocation>;
  /** The version of the topics at the last look; another one: look again. */
  readonly catalogVersion: number;
}

export const NO_PRESENCE: ConsumerPresence = { sessions: new Map(), revocations: new Map(), catalogVersion: -1 };

/** After a restart every session and every revocation starts anew. */
export function presenceAfterRestart(state: ConsumerGroupState | undefined, options: GroupOptions, atMs: number): ConsumerPresence {
  if (state === undefined) return NO_PRESENCE;
  const sessions = new Map<string, number>();
  const revocations = new Map<string, Revocation>();
  for (const [memberId, { rebalanceTimeoutMs }] of state.members) {
    sessions.set(memberId, atMs + options.consumerSessionTimeoutMs);
    const current = state.current.get(memberId);
    if (current?.state === 'unrevoked') revocations.set(memberId, { memberEpoch: current.memberEpoch, deadlineMs: atMs + rebalanceTimeoutMs });
  }
  return { sessions, revocations, catalogVersion: -1 };
}

/** Monotonic ms at which the group has to be looked at again; infinity for an idle one. */
export function nextConsumerDeadline(presence: ConsumerPresence): number {
  let nextMs = Number.POSITIVE_INFINITY;
  for (const deadlineMs of presence.sessions.values()) nextMs = Math.min(nextMs, deadlineMs);
  for (const { deadlineMs } of presence.revocations.values()) nextMs = Math.min(nextMs, deadlineMs);
  return nextMs;
}
