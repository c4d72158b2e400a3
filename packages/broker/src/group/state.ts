// The durable half of a consumer group: what comes back from the log after a restart.
// Owns: the shapes.  Never: changes outside `apply.ts`; knows parked requests or deadlines (membership.ts has those).
// S1 everything here is the fold of the group's records and of the markers of its partition, in log order.
import type { ConsumerGroupState } from './consumer/state.ts';

/** A member as the last group record has it. */
export interface DurableMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  readonly clientId: string;
  readonly clientHost: string;
  readonly rebalanceTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  /** Metadata for the protocol that was chosen. */
  readonly subscription: Buffer;
  readonly assignment: Buffer;
}

/** What one group record says: written when an assignment is complete, when a static member returns, when the group empties. */
export interface GroupMetadata {
  readonly protocolType: string;
  readonly generation: number;
  readonly protocolName: string | null;
  readonly leaderId: string | null;
  /** Wall clock ms of the record; the offsets of an empty group live from here. */
  readonly sinceMs: number;
  /** In the order in which they joined. */
  readonly members: readonly DurableMember[];
}

export interface OffsetValue {
  readonly offset: number;
  /** -1 when the client gave none. */
  readonly leaderEpoch: number;
  readonly metadata: string;
  /** Wall clock, ms. */
  readonly committedAtMs: number;
  /** Wall clock ms asked for by an old client (retention time of OffsetCommit 2-4); undefined: the broker's retention. */
  readonly expiresAtMs: number | undefined;
}

/** An offset and where in the internal topic it stands: of two, the later one counts. */
export interface StoredOffset extends OffsetValue {
  readonly position: number;
}

/** Topic, then partition. */
export type OffsetTable = Map<string, Map<number, StoredOffset>>;

export interface GroupState {
  readonly groupId: string;
  /** Undefined until the first group record: a simple group only keeps offsets. */
  metadata: GroupMetadata | undefined;
  /** Set for a group of the consumer group protocol; then `metadata` is not. */
  consumer: ConsumerGroupState | undefined;
  readonly offsets: OffsetTable;
  /** Offsets waiting for the marker of a transaction, by producer id. */
  readonly pending: Map<number, OffsetTable>;
}

export function createGroupState(groupId: string): GroupState {
  return { groupId, metadata: undefined, consumer: undefined, offsets: new Map(), pending: new Map() };
}

/** True when nothing durable is left: the group is as if it had never been. */
export function isBlank(state: GroupState): boolean {
  return state.metadata === undefined && state.consumer === undefined && state.offsets.size === 0 && state.pending.size === 0;
}

export function offsetOf(table: OffsetTable, topic: string, partition: number): StoredOffset | undefined {
  return table.get(topic)?.get(partition);
}

export function putOffset(table: OffsetTable, topic: string, partition: number, value: StoredOffset): void {
  let partitions = table.get(topic);
  if (partitions === undefined) table.set(topic, (partitions = new Map()));
  partitions.set(partition, value);
}

export function dropOffset(table: OffsetTable, topic: string, partition: number): void {
  const partitions = table.get(topic);
  if (partitions?.delete(partition) && partitions.size === 0) table.delete(topic);
}

/** True while a transaction holds an offset for the partition back. */
export function hasPendingOffset(state: GroupState, topic: string, partition: number): boolean {
  for (const table of state.pending.values()) if (offsetOf(table, topic, partition) !== undefined) return true;
  return false;
}

/** Every committed offset, as (topic, partition, value). */
export function* eachOffset(table: OffsetTable): Generator<readonly [topic: string, partition: number, value: StoredOffset]> {
  for (const [topic, partitions] of table) for (const [partition, value] of partitions) yield [topic, partition, value];
}
