// Step 8: what a frozen span needs to be committed. Pure; never looks at live tasks, which have moved on.
// C1 every task of the span is owned under the generation it commits with.  C2 everything was acknowledged without error (I5).
import type { GroupMetadata, OffsetToCommit } from '@millrace/client';
import { assert } from '@millrace/core';
import type { Span } from './close.ts';

/** Who this worker is in the group, and what it may commit as that: the tasks of the acknowledged assignment, and those it is giving up under it. */
export interface Ownership {
  readonly group: GroupMetadata;
  readonly tasks: ReadonlySet<string>;
}

export type CommitPlan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'commit'; readonly group: GroupMetadata; readonly offsets: readonly OffsetToCommit[] }
  /** A task has gone to somebody else meanwhile. */
  | { readonly kind: 'abort'; readonly notOurs: readonly string[] };

export function planCommit(span: Span, ownership: Ownership): CommitPlan {
  assert(!span.output.failed && span.output.inFlight === 0, 'a commit is planned before everything was acknowledged');
  if (span.tasks.length === 0 && span.output.batches === 0) return { kind: 'nothing' };
  const notOurs = span.tasks.map(({ task }) => task.id).filter((id) => !ownership.tasks.has(id));
  if (notOurs.length > 0) return { kind: 'abort', notOurs };
  return { kind: 'commit', group: ownership.group, offsets: span.tasks.flatMap(({ offsets }) => offsets) };
}
