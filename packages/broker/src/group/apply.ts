// The only place where the durable state of a group changes: one function for a record, one for a marker.
// Owns: the fold.  Never: decides, looks at a clock, answers anyone. The live path and the replay at start are this same code.
// A1 an offset without a transaction wins at once; one inside a transaction waits for the marker of its producer.
// A2 at a commit marker a waiting offset wins only if it stands later in the log than the one it would replace.
// A3 a tombstone outside a transaction also takes the waiting offsets of its partition: the topic or the admin said so.
import { withConsumerRecord } from './consumer/state.ts';
import type { GroupRecord } from './records.ts';
import { dropOffset, type GroupState, offsetOf, putOffset } from './state.ts';

/** Where a record stands: its offset in the internal topic, and the producer whose marker it waits for. */
export interface RecordPlace {
  readonly position: number;
  readonly pendingFor: number | undefined;
}

export function applyGroupRecord(state: GroupState, record: GroupRecord, place: RecordPlace): void {
  if (record.kind === 'group') {
    state.metadata = record.value ?? undefined;
    return;
  }
  if (record.kind !== 'offset') {
    state.consumer = withConsumerRecord(state.consumer, record);
    return;
  }
  const { topic, partition, value } = record;
  if (place.pendingFor !== undefined) {
    if (value !== null) putOffset(pendingTable(state, place.pendingFor), topic, partition, { ...value, position: place.position });
    return;
  }
  if (value !== null) {
    putOffset(state.offsets, topic, partition, { ...value, position: place.position });
    return;
  }
  dropOffset(state.offsets, topic, partition);
  for (const [producerId, table] of state.pending) {
    dropOffset(table, topic, partition);
    if (table.size === 0) state.pending.delete(producerId);
  }
}

/** The transaction of `producerId` has ended in this group's partition of the internal topic. */
export function applyMarker(state: GroupState, producerId: number, commit: boolean): void {
  const table = state.pending.get(producerId);
  if (table === undefined) return;
  state.pending.delete(producerId);
  if (!commit) return;
  for (const [topic, partitions] of table) {
    for (const [partition, value] of partitions) {
      const current = offsetOf(state.offsets, topic, partition);
      if (current === undefined || current.position < value.position) putOffset(state.offsets, topic, partition, value);
    }
  }
}

function pendingTable(state: GroupState, producerId: number): GroupState['offsets'] {
  let table = state.pending.get(producerId);
  if (table === undefined) state.pending.set(producerId, (table = new Map()));
  return table;
}
