// split of streams: a record goes to the first branch whose predicate accepts it, or to the rest where somebody reads it.
// Without a rest, records that fit nowhere end here, silently: that is what was asked for (semantics 6.4).
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedPredicate } from '../erased.ts';

export interface BranchTarget {
  /** Node name of the branch. */
  readonly child: string;
  readonly predicate: ErasedPredicate;
}

export function branchOperator(branches: readonly BranchTarget[], rest: string | undefined): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      for (const { child, predicate } of branches) {
        if (!predicate(value, key, context.record)) continue;
        context.forwardTo(child, key, value);
        return;
      }
      if (rest !== undefined) context.forwardTo(rest, key, value);
    },
  });
}
