// What Kafka Streams' stores do and ours do not, on purpose (decision 0050), put over the stores of one run: so that a case which differs for such a
// reason can be compared whole all the same. Owns the list of these likenesses; what it changes is gone with the run.
import { StagedSessionStore, StagedVersionedStore, StagedWindowStore } from '@millrace/state';
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
  /** Windows that close are lost when retention hides them first. */
  | 'losesClosed'
  /** A persistent store takes what it hides until its whole segment is gone, and counts nothing. */
  | 'countsBySegment'
  /** Stores in order of time show rows at the very edge of their retention. */
  | 'showsEdge'
  /** A cache shows what the store below it hides. */
  | 'showsCached'
  /** A row that waits in suppress is logged with an offset, also behind a commit of many records. */
  | 'namesOffsets'
  /** A foreign-key join does not ask again where an answer was missed. */
  | 'missesAnswers'
  /** In-memory stores list windows and sessions by time. */
  | 'listsByTime'
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

export function likenStores(given: Case, stores: ReadonlyMap<string, object>, dropped: () => number, likenesses: Likenesses): StoreLikeness {
  const found: StoreLikeness = { uncounted: 0 };
  for (const [name, store] of stores) {
    if (likenesses.has('forgetsDeletes') && store instanceof StagedVersionedStore) forgetDeletes(store);
    if (!(store instanceof StagedWindowStore || store instanceof StagedSessionStore)) continue;
    const inMemory = isInMemory(given, name);
    const { retentionMs } = store;
    if (likenesses.has('losesClosed')) loseClosed(store, retentionMs, inMemory);
    if (likenesses.has('listsByTime') && inMemory && store instanceof StagedSessionStore) listByEnd(store);
    if (likenesses.has('showsCached') && !isBuffer(given, name) && !isAdded(given, name)) showCached(store, inMemory, found);
    if (likenesses.has('countsBySegment') && !inMemory) countBySegment(store, retentionMs, dropped, found);
    if (likenesses.has('nullMovesTime') && inMemory && store instanceof StagedWindowStore && keepsDuplicates(given, name)) moveTimeByNull(store, found);
  }
  return found;
}

const isAdded = (given: Case, name: string): boolean => given.topology.some(({ store }) => store?.name === name);

const isBuffer = (given: Case, name: string): boolean =>
  /-join-store$|JOIN(THIS|OTHER)|OUTER(THIS|OTHER)/.test(name) || given.topology.some(({ joined }) => joined?.thisStore?.name === name || joined?.otherStore?.name === name);

const keepsDuplicates = (given: Case, name: string): boolean => isBuffer(given, name) || given.topology.some(({ store }) => store?.name === name && store.retainDuplicates === true);

/** Java reads the windows that have closed through a store that already hides some: those are never handed on. */
function loseClosed(store: Windows | Sessions, retentionMs: number, inMemory: boolean): void {
  const read = store.closedRows.bind(store);
  const isSession = store instanceof StagedSessionStore;
  if (isSession && !inMemory) return;
  // The layout by time of persistent window stores shows one millisecond more.
  const edge = inMemory ? 1 : 0;
  store.closedRows = (from: number, to: number) =>
    read(from, to).filter(({ key: { window } }) => (isSession ? window.end : window.start) >= store.observedTime - retentionMs + edge);
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
  const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');
  const write = store.writeEntry.bind(store) as (entry: Written, value: unknown, timestamp: number) => void;
  const visitOpen = store.forEachOpen.bind(store) as (visit: (entry: Written) => void) => void;
  const close = store.close.bind(store);
  Object.assign(store, {
    retentionMs: Number.MAX_SAFE_INTEGER,
    writeEntry(entry: Written, value: unknown, timestamp: number): void {
      const isHidden = timeOf(store, entry) <= Math.max(store.observedTime, timeOf(store, entry)) - retentionMs;
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

/** Java's persistent stores refuse by segment: half the retention, and at least a minute. */
function countBySegment(store: Windows | Sessions, retentionMs: number, dropped: () => number, found: StoreLikeness): void {
  const interval = Math.max(Math.floor(retentionMs / 2), 60_000);
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
