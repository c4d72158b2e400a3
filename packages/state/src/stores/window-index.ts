// Entries of a window store in memory: per key a short run of entries, ordered by window start and sequence.
// Most keys have one to three windows in hand, so a run is searched from its end.
import type { StagedEntry } from '../staged-entry.ts';

export interface WindowRun<V, K> {
  readonly key: K;
  readonly text: string;
  /** Own bytes of the key. */
  readonly bytes: Buffer;
  readonly entries: StagedEntry<V, K>[];
}

/** Index of (start, sequence) in a run, or where it would go. */
export function runPosition<V, K>(run: WindowRun<V, K>, start: number, sequence: number): number {
  const { entries } = run;
  let low = 0;
  let high = entries.length;
  // The newest windows are the ones in use.
  while (high > 0 && high > entries.length - 4) {
    const entry = entries[high - 1] as StagedEntry<V, K>;
    if (entry.start < start || (entry.start === start && entry.sequence < sequence)) return high;
    high--;
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle] as StagedEntry<V, K>;
    if (entry.start < start || (entry.start === start && entry.sequence < sequence)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The entry of (start, sequence), if it is in the run. */
export function findInRun<V, K>(run: WindowRun<V, K>, start: number, sequence: number): StagedEntry<V, K> | undefined {
  const newest = run.entries[run.entries.length - 1];
  if (newest !== undefined && newest.start === start && newest.sequence === sequence) return newest;
  const entry = run.entries[runPosition(run, start, sequence)];
  return entry !== undefined && entry.start === start && entry.sequence === sequence ? entry : undefined;
}
