// Chooses the batches of one fetch answer that a reader may see: no markers, and under read_committed no aborted transactions.
// Owns: the rule, per answer.  Never: looks into a data batch, moves a position (that comes from batch headers, seen or not).
// I1 whether a batch is a marker is said by its header bit alone, never by what its records look like.
// I2 the broker lists every aborted transaction that touches the answer's range, so nothing is carried from answer to answer.
// Source: shared protocol notes, section 7 ("client rule").
import { type RecordBatchView, readControlMarker } from '@millrace/protocol';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** `aborted` undefined: read_uncommitted. Batches wholly before `firstOffset`, markers and emptied batches are left out. */
export function visibleBatches(views: readonly RecordBatchView[], firstOffset: number, aborted: readonly AbortedTransaction[] | undefined): RecordBatchView[] {
  const visible: RecordBatchView[] = [];
  const waiting = aborted === undefined || aborted.length === 0 ? undefined : [...aborted].sort((left, right) => left.firstOffset - right.firstOffset);
  const aborting = new Set<number>();
  let activated = 0;
  for (const view of views) {
    for (; waiting !== undefined && activated < waiting.length; activated++) {
      const next = waiting[activated] as AbortedTransaction;
      if (next.firstOffset > view.lastOffset) break;
      aborting.add(next.producerId);
    }
    if (view.control) {
      if (aborting.size > 0 && aborting.has(view.producerId) && view.count > 0 && readControlMarker(view)?.type === 'abort') aborting.delete(view.producerId);
      continue;
    }
    if (view.count === 0 || view.lastOffset < firstOffset) continue;
    if (view.transactional && aborting.has(view.producerId)) continue;
    visible.push(view);
  }
  return visible;
}
