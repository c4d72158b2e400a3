// Equal keys meet in one partition, and in one row, only if they have equal bytes: joins of like with like check that.
import type { ErasedSerde } from '@millrace/core';
import { topologyError } from '@millrace/topology';

/** Throws ERR_TOPOLOGY when both serdes are known and write keys in different formats. */
export function checkEqualKeys(left: ErasedSerde | undefined, right: ErasedSerde | undefined, where: string): void {
  if (left === undefined || right === undefined || left.format === right.format) return;
  throw topologyError(
    `The left side of the join "${where}" has keys written as ${left.format}, the right side as ${right.format}: equal keys would not meet. Rekey one of them so that both have one key serde.`,
    { node: where },
  );
}
