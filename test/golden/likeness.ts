// What Kafka Streams' stores do and ours do not, on purpose (decision 0050), put over the stores of one run: so that a case which differs for such a
// reason can be compared whole all the same. Owns the list of these likenesses; what it changes is gone with the run.
import { StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, StagedWindowStore } from '@millrace/state';
// What a foreign-key join knows of answers that have not come yet: the same class that its operators use.
import { OpenAnswers } from '../../packages/dsl/src/operators/open-answers.ts';
import type { Case } from './case-format.ts';
import { forgetDeletes } from './forgetful-versions.ts';
import { inMemoryOrder } from './store-commands.ts';

/** How a run is to be like Kafka Streams where ours is not. */
export type Likeness =
  /** Repartitions move above process() and joins with global tables. */
  | 'mergesLoosely'
  /** Below a suppress nobody knows which topics a table comes from. */
  | 'losesSources'
  /** Of a cogroup's inputs the topics above their repartitions are to have equal partition counts. */
  | 'listsAboveCogroups'
  /** Where names are demanded, they are of stores too that nothing keeps. */
  | 'demandsUnmadeNames'
  /** Where names are demanded, foreign-key joins need none. */
  | 'sparesForeignKeys'
  /** Windows that close are lost when retention hides them first. */
  | 'losesClosed'
  /** A persistent store takes what it hides until its whole segment is gone, and counts nothing. */
  | 'countsBySegment'
  /** Stores in order of time show rows at the very edge of their retention. */
  | 'showsEdge'
  /** A cache shows what the store below it hides. */
  | 'showsCached'
  /** Behind a cache the delete of a row that is not there is no write: nobody logs it. */
  | 'logsNoEmptyDeletes'
  /** A supplied LRU store of a table lets rows go without a word. */
  | 'logsNoEvictions'
  /** A row that waits in suppress is logged with an offset, also behind a commit of many records. */
  | 'namesOffsets'
  /** A foreign-key join does not ask again where an answer was missed. */
  | 'missesAnswers'
  /** In-memory stores list windows and sessions by time. */
  | 'listsByTime'
  /** Closed windows of a supplied persistent store come by key. */
  | 'listsSuppliedByKey'
  /** A put of null moves the time of an in-memory window store with duplicates. */
  | 'nullMovesTime'
  /** A delete at the time of a key's only version leaves nothing. */
  | 'forgetsDeletes';

export type Likenesses = ReadonlySet<Likeness>;
export const AS_OURS: Likenesses = new Set();

type Windows = StagedWindowStore<unknown, unknown>;
type Sessions = StagedSessionStore<unknown, unknown>;

/** Is a store of Java's in-memory? Named ones say so themselves; the others are as the configuration says. */
export function isInMemory(given: Case, store: string): boolean {
  for (const { materialized, store: added, joined } of given.topology) {
    for (const spec of [materialized?.supplier, added, joined?.thisStore, joined?.otherStore]) if (spec?.name === store) return spec.memory === true || spec.type === 'lru';
    if (materialized?.name === store && materialized.store !== undefined) return materialized.store === 'in_memory';
  }
  return given.config['default.dsl.store'] === 'in_memory';
}

/** Runs a case whose foreign-key joins are to miss what those of Kafka Streams miss: the one likeness that is not one of stores. */
export function withLikeness<T>(likenesses: Likenesses, run: () => T): T {
  if (!likenesses.has('missesAnswers')) return run();
  const { isOpen, askAgain } = OpenAnswers.prototype;
  Object.assign(OpenAnswers.prototype, { isOpen: () => false, askAgain: () => {} });
  try {
    return run();
  } finally {
    Object.assign(OpenAnswers.prototype, { isOpen, askAgain });
  }
}

export interface StoreLikeness {
  /** Writes that we counted as dropped and Kafka Streams does not, less those that only it counts. */
  uncounted: number;
}

/** `logsEveryWrite`: true of stores without a cache over them. */
export function likenStores(given: Case, stores: ReadonlyMap<string, object>, dropped: () => number, likenesses: Likenesses, logsEveryWrite: (store: string) => boolean): StoreLikeness {
  const found: StoreLikeness = { uncounted: 0 };
  for (const [name, store] of stores) {
    if (likenesses.has('logsNoEmptyDeletes') && store instanceof StagedKeyValueStore && !logsEveryWrite(name)) logNoEmptyDeletes(store);
    if (likenesses.has('logsNoEvictions') && store instanceof StagedKeyValueStore && isSupplied(given, name)) logNoEvictions(store);
    if (likenesses.has('forgetsDeletes') && store instanceof StagedVersionedStore) forgetDeletes(store);
    if (!(store instanceof StagedWindowStore || store instanceof StagedSessionStore)) continue;
    const inMemory = isInMemory(given, name);
    const { retentionMs } = store;
    if (likenesses.has('losesClosed') && logsEveryWrite(name)) loseClosed(store, retentionMs, inMemory);
    if (likenesses.has('listsByTime') && inMemory && store instanceof StagedSessionStore) listByEnd(store);
    if (likenesses.has('listsSuppliedByKey') && !inMemory && store instanceof StagedWindowStore && isSupplied(given, name)) listByKey(store, retentionMs);
    if (likenesses.has('showsCached') && !logsEveryWrite(name)) showCached(store, inMemory, found);
    if (likenesses.has('countsBySegment') && !inMemory) countBySegment(store, retentionMs, dropped, found);
    if (likenesses.has('nullMovesTime') && inMemory && store instanceof StagedWindowStore && keepsDuplicates(given, name)) moveTimeByNull(store, found);
  }
  return found;
}

const isBuffer = (given: Case, name: string): boolean =>
  /-join-store$|JOIN(THIS|OTHER)|OUTER(THIS|OTHER)/.test(name) || given.topology.some(({ joined }) => joined?.thisStore?.name === name || joined?.otherStore?.name === name);

const keepsDuplicates = (given: Case, name: string): boolean => isBuffer(given, name) || given.topology.some(({ store }) => store?.name === name && store.retainDuplicates === true);

/** Only deletes that somebody asked for are logged: an LRU store's own come from inside, past `writeEntry` of the instance. */
function logNoEvictions(store: StagedKeyValueStore<unknown, unknown>): void {
  const close = store.close.bind(store);
  const write = store.writeEntry.bind(store) as (...all: unknown[]) => unknown;
  const asked = new Map<string, number>();
  const count = (key: Uint8Array, by: number): number => {
    const text = Buffer.from(key).toString('latin1');
    const now = (asked.get(text) ?? 0) + by;
    asked.set(text, Math.max(0, now));
    return now;
  };
  Object.assign(store, {
    writeEntry(entry: Written, value: unknown, ...more: unknown[]): unknown {
      if (isNothing(value)) count(entry.diskKey, 1);
      return write(entry, value, ...more);
    },
    close(changelog: Parameters<typeof close>[0]): void {
      close(changelog && { append: (key, value, ...more) => (value === null && count(key, -1) < 0 ? undefined : changelog.append(key, value, ...more)) });
      asked.clear();
    },
  });
}

function logNoEmptyDeletes(store: StagedKeyValueStore<unknown, unknown>): void {
  const close = store.close.bind(store);
  const present = new Set<string>();
  store.close = (changelog) =>
    close(
      changelog && {
        append(key, value, ...more): void {
          const text = Buffer.from(key).toString('latin1');
          const was = present.has(text);
          if (value === null) present.delete(text);
          else present.add(text);
          if (value !== null || was) changelog.append(key, value, ...more);
        },
      },
    );
}

/** Java reads the windows that have closed through a store that already hides some: those are never handed on. */
function loseClosed(store: Windows | Sessions, retentionMs: number, inMemory: boolean): void {
  const read = store.closedRows.bind(store);
  const isSession = store instanceof StagedSessionStore;
  // The layout by time of persistent window stores shows one millisecond more, persistent sessions are lost by whole segments.
  const edge = inMemory ? 1 : 0;
  const segment = (at: number): number => Math.floor(at / segmentMs(retentionMs));
  const isLost = (at: number): boolean => (isSession && !inMemory ? segment(at) < segment(store.observedTime - retentionMs) : at < store.observedTime - retentionMs + edge);
  store.closedRows = (from: number, to: number) => read(from, to).filter(({ key: { window } }) => !isLost(isSession ? window.end : window.start));
}

const isSupplied = (given: Case, name: string): boolean => given.topology.some(({ materialized }) => materialized?.supplier?.name === name);

/** Closed windows as a store lists them that is not laid out by time: by segment, then by key. */
function listByKey(store: Windows, retentionMs: number): void {
  const read = store.closedRows.bind(store);
  const segment = (at: number): number => Math.floor(at / segmentMs(retentionMs));
  const byKey = (a: { readonly key: unknown }, b: { readonly key: unknown }): number => Buffer.compare(Buffer.from(String(a.key)), Buffer.from(String(b.key)));
  store.closedRows = (from: number, to: number) =>
    [...read(from, to)]
      .filter(({ key: { window } }) => window.start > store.observedTime - retentionMs)
      .sort((a, b) => segment(a.key.window.start) - segment(b.key.window.start) || byKey(a.key, b.key) || a.key.window.start - b.key.window.start);
}

/** Closed sessions of one end by key, not by start. */
function listByEnd(store: Sessions): void {
  const read = store.closedRows.bind(store);
  store.closedRows = (from: number, to: number) => [...read(from, to)].sort(inMemoryOrder);
}

interface Written {
  readonly start: number;
  /** Of a session: its length. */
  readonly sequence: number;
  readonly diskKey: Buffer;
  readonly present: boolean;
}
const timeOf = (store: Windows | Sessions, { start, sequence }: Written): number => (store instanceof StagedSessionStore ? start + sequence : start);
/** On disk a key stands behind its segment. */
const SEGMENT_BYTES = 8;

/**
 * Nothing is hidden: a cache of the size of the cases forgets nothing. What the store below hides it also cannot give back as the former value: when
 * such a row is deleted, nobody hears of it. And a row that comes too late for the store below counts as dropped there, if that is in memory.
 */
function showCached(store: Windows | Sessions, inMemory: boolean, found: StoreLikeness): void {
  const { retentionMs } = store;
  const unheard = new Set<string>();
  // The time of the store below: what never gets there does not move it.
  let below = -1;
  const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
  const write = store.writeEntry.bind(store) as (entry: Written, value: unknown, timestamp: number) => void;
  const visitOpen = store.forEachOpen.bind(store) as (visit: (entry: Written) => void) => void;
  const close = store.close.bind(store);
  Object.assign(store, {
    retentionMs: Number.MAX_SAFE_INTEGER,
    writeEntry(entry: Written, value: unknown, timestamp: number): void {
      const at = timeOf(store, entry);
      const isHidden = at <= Math.max(below, at) - retentionMs;
      if (!isNothing(value) || (entry.present && !isHidden)) below = Math.max(below, at);
      const text = textOf(entry.diskKey.subarray(SEGMENT_BYTES));
      if (isHidden && isNothing(value)) unheard.add(text);
      else unheard.delete(text);
      if (isHidden && !isNothing(value) && inMemory) found.uncounted--;
      write(entry, value, timestamp);
    },
    forEachOpen: (visit: (entry: Written) => void): void => visitOpen((entry) => (unheard.has(textOf(entry.diskKey.subarray(SEGMENT_BYTES))) ? undefined : visit(entry))),
    close(changelog: Parameters<typeof close>[0]): void {
      close(changelog && { append: (key, value, ...more) => (value === null && unheard.has(textOf(key)) ? undefined : changelog.append(key, value, ...more)) });
      unheard.clear();
    },
  });
}

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;

/** Of Java's persistent stores: half the retention, and at least a minute. */
const segmentMs = (retentionMs: number): number => Math.max(Math.floor(retentionMs / 2), 60_000);

function countBySegment(store: Windows | Sessions, retentionMs: number, dropped: () => number, found: StoreLikeness): void {
  const interval = segmentMs(retentionMs);
  const write = store.writeEntry.bind(store) as (...all: unknown[]) => void;
  Object.assign(store, {
    writeEntry(entry: Written, ...more: unknown[]): void {
      const before = dropped();
      write(entry, ...more);
      const at = timeOf(store, entry);
      const isLive = Math.floor(at / interval) >= Math.floor((store.observedTime - retentionMs) / interval);
      if (isLive) found.uncounted += dropped() - before;
    },
  });
}

/** Java's in-memory window store with duplicates keeps no null, but its time goes on with it, and a late one counts as dropped. */
function moveTimeByNull(store: Windows, found: StoreLikeness): void {
  const write = store.write.bind(store);
  let { duplicates } = store.memory();
  store.write = (key: unknown, start: number, value: unknown, timestamp: number): void => {
    write(key, start, value, timestamp);
    duplicates = (duplicates + 1) & 0x7fffffff;
    if (!isNothing(value)) return;
    if (start <= Math.max(store.observedTime, start) - store.retentionMs) found.uncounted--;
    if (start > store.observedTime) store.restoreMemory({ duplicates, observedTime: start });
  };
}
