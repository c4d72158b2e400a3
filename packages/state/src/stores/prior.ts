// What stood in an entry before its first write since the last drain or close: operators that emit per commit show it as the old value.
import type { ByteStore } from '../byte-store.ts';
import { IN_OPEN, type StagedEntry } from '../staged-entry.ts';
import type { ValueForm } from './value-form.ts';

/** Before `value` goes into `entry`. */
export function capturePrior<V, K>(entry: StagedEntry<V, K>, value: V | null | undefined, disk: ByteStore, values: ValueForm): void {
  if (entry.place !== IN_OPEN) entry.isNew = !entry.present;
  entry.priorPresent = entry.present;
  entry.priorTimestamp = entry.timestamp;
  entry.priorValue = entry.value;
  if (!entry.present || typeof value !== 'object' || value !== entry.value || entry.place === IN_OPEN) return;
  // The caller has changed the old value in place: only its bytes still know what it was.
  const row = entry.closing ?? entry.committed ?? disk.get(entry.diskKey);
  if (row !== undefined) entry.priorValue = values.thaw(row) as V;
}
