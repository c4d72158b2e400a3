// Read-only view of a versioned store over a database, for queries in a thread that does not own the store: what has been settled, nothing staged.
import type { Database } from './byte-store.ts';
import { readCheckpoint } from './checkpoint.ts';
import { OPEN_END, type StoredVersion } from './layouts/versioned.ts';
import type { ViewSpec, Weighing } from './read-view.ts';
import type { Entry, TimeRange, Version } from './stores/contract.ts';
import { createKeyForm } from './stores/key-form.ts';
import { createValueForm } from './stores/value-form.ts';
import { VersionHistory } from './stores/version-history.ts';

export interface VersionedViewSpec extends ViewSpec {
  readonly historyMs: number;
}

export interface VersionedReadView<K, V> {
  /** The newest value, or the one that held at `asOf`; the timestamp is the time from which it holds. */
  get(key: K, asOf?: number): Entry<K, V> | undefined;
  /** Versions that held at some time in [from, to], oldest first, tombstones included. */
  versions(key: K, range?: TimeRange & Weighing): Iterable<Version<V>>;
}

export function versionedView<K, V>(database: Database, spec: VersionedViewSpec): VersionedReadView<K, V> {
  const history = new VersionHistory(database.store(spec.name), spec.name, spec.historyMs);
  const keys = createKeyForm(spec.key, spec.name, spec.name);
  const values = createValueForm(spec.value, spec.name, spec.name);
  const observedTime = (): number => {
    const checkpoint = readCheckpoint(database, spec.name);
    return checkpoint === undefined || checkpoint === 'corrupt' ? -1 : checkpoint.observedTime;
  };
  const entry = (key: K, version: StoredVersion | undefined): Entry<K, V> | undefined =>
    version === undefined ? undefined : { key, value: values.thawValue(version.value as Buffer) as V, timestamp: version.from };
  return {
    get(key, asOf) {
      const bytes = keys.bytesOf(key);
      const latest = history.latest(bytes);
      if (asOf === undefined || (latest !== undefined && latest.from <= asOf)) return entry(key, latest);
      const observed = observedTime();
      return asOf < observed - spec.historyMs ? undefined : entry(key, history.superseded(bytes, asOf, observed));
    },
    *versions(key, range = {}) {
      const observed = observedTime();
      const all = history.all(keys.bytesOf(key), observed);
      for (const { from, to, value } of selectVersions(withEnds(all), range, observed - spec.historyMs)) {
        range.weigh?.(value?.length ?? 0);
        yield { value: value === null ? null : (values.thawValue(value) as V), validFrom: from, validTo: to === OPEN_END ? undefined : to };
      }
    },
  };
}

/** A version ends at the latest where the next one begins: a tombstone may have been left with an open end. */
function withEnds(versions: readonly StoredVersion[]): StoredVersion[] {
  return versions.map((version, at) => ({ ...version, to: Math.min(version.to, versions[at + 1]?.from ?? OPEN_END) }));
}

/** Those of [from, to] that are within the history. Old tombstones go with their segment, so they are never told. */
export function selectVersions<T extends { readonly from: number; readonly to: number; readonly value: unknown }>(
  versions: readonly T[],
  range: TimeRange,
  oldest: number,
): T[] {
  const { from = 0, to = Number.MAX_SAFE_INTEGER } = range;
  const found = versions.filter(
    (version) => version.from <= to && version.to > from && version.to > oldest && (version.value !== null || version.from > oldest),
  );
  if (range.reverse === true) found.reverse();
  return found.slice(0, range.limit ?? found.length);
}
