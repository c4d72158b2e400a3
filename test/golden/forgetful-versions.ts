// A versioned store that forgets as Kafka Streams' does: a delete at the very time of a version with no value right below it leaves nothing behind, so
// that an older value which comes later is the newest. Reads are answered from a plain list of versions; writes still reach our store, for its log.
import type { StagedVersionedStore } from '@millrace/state';

interface Version {
  readonly from: number;
  /** Null: a delete. */
  readonly value: unknown;
}

export function forgetDeletes(store: StagedVersionedStore<unknown, unknown>): void {
  const lists = new Map<string, Version[]>();
  const listOf = (key: unknown): Version[] => {
    const text = JSON.stringify(key);
    const list = lists.get(text) ?? [];
    lists.set(text, list);
    return list;
  };
  const write = store.write.bind(store);
  const absent = (key: unknown) => ({ key, present: false as const, value: undefined, timestamp: -1 });
  const row = (key: unknown, found: Version | undefined) =>
    found === undefined || found.value === null ? absent(key) : { key, present: true as const, value: found.value, timestamp: found.from };
  const find = (key: unknown, asOf?: number) => {
    const list = listOf(key);
    const newest = list.at(-1);
    if (asOf === undefined || (newest !== undefined && newest.value !== null && newest.from <= asOf)) return row(key, newest);
    if (asOf < store.observedTime - store.historyMs) return absent(key);
    return row(key, list.findLast(({ from }) => from <= asOf));
  };
  Object.assign(store, {
    find,
    get: (key: unknown, asOf?: number) => find(key, asOf).value,
    write(key: unknown, value: unknown, timestamp: number): 'latest' | 'superseded' | 'tooOld' {
      const written = write(key, value, timestamp);
      return written === 'tooOld' ? written : keep(listOf(key), { from: timestamp, value: value ?? null });
    },
    *versions(key: unknown, { from = 0, to = Number.MAX_SAFE_INTEGER }: { from?: number; to?: number } = {}) {
      const list = listOf(key);
      for (const [at, { from: validFrom, value }] of list.entries()) {
        const validTo = list[at + 1]?.from;
        if (value !== null && validFrom <= to && (validTo === undefined || validTo > from)) yield { value, validFrom, validTo };
      }
    },
  });
}

function keep(list: Version[], version: Version): 'latest' | 'superseded' {
  const at = list.findIndex(({ from }) => from >= version.from);
  if (at < 0) {
    list.push(version);
    return 'latest';
  }
  const isSame = list[at]?.from === version.from;
  const isNewest = isSame && at === list.length - 1;
  const below = list[at - 1];
  if (isNewest && version.value === null && list[at]?.value !== null && (below === undefined || below.value === null)) list.splice(at, 1);
  else list.splice(at, isSame ? 1 : 0, version);
  return isNewest ? 'latest' : 'superseded';
}
