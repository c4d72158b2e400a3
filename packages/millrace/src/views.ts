// Typed views over this instance's partitions of a store: promises outside, plain reads of committed state behind.
import { MillraceError, type Windowed } from '@millrace/core';
import type { ReadFacade, ReadRequest, ReadRow } from '@millrace/runtime';

/** A row; its time is that of the newest record in it, ms since the epoch. */
export interface StoreEntry<K, V> {
  readonly key: K;
  readonly value: V;
  readonly timestamp: number;
}

/** Committed rows of a key-value store. */
export interface KeyValueView<K, V> {
  /** Undefined: not there. Throws ERR_STORE_NOT_CONNECTED when the key's partition is not on this instance. */
  get(key: K): Promise<V | undefined>;
  /** The same with its time. */
  entry(key: K): Promise<StoreEntry<K, V> | undefined>;
  /** Partition by partition, in key order within each. Bounds inclusive. */
  range(range?: {
    readonly from?: K;
    readonly to?: K;
    readonly prefix?: K;
    readonly reverse?: boolean;
    readonly limit?: number;
  }): AsyncIterable<StoreEntry<K, V>>;
}

/** Committed rows of a window or session store; bounds on the start of the window or session, inclusive, ms since the epoch. */
export interface WindowView<K, V> {
  /** One window. Throws ERR_STORE_NOT_CONNECTED when the key's partition is not on this instance. */
  get(key: K, windowStart: number): Promise<V | undefined>;
  /** Windows of a key, oldest first unless `reverse`. Throws as `get` does. */
  fetch(
    key: K,
    range?: { readonly from?: number; readonly to?: number; readonly reverse?: boolean; readonly limit?: number },
  ): AsyncIterable<StoreEntry<Windowed<K>, V>>;
  /** Windows of every key on this instance, partition by partition. */
  fetchAll(range?: { readonly from?: number; readonly to?: number; readonly limit?: number }): AsyncIterable<StoreEntry<Windowed<K>, V>>;
}

/** Committed versions of a versioned store. */
export interface VersionedView<K, V> {
  /** The newest value, or the one that held at `asOf`, ms since the epoch. Throws ERR_STORE_NOT_CONNECTED when the key's partition is not on this instance. */
  get(key: K, asOf?: number): Promise<V | undefined>;
  /** Versions that held at some time in [from, to], oldest first unless `reverse`, deletes included. Throws as `get` does. */
  versions(
    key: K,
    range?: { readonly from?: number; readonly to?: number; readonly reverse?: boolean; readonly limit?: number },
  ): AsyncIterable<{ readonly value: V | null; readonly validFrom: number; readonly validTo: number | undefined }>;
}

const ALL = Number.MAX_SAFE_INTEGER;
/** Rows read in one go; between two pages the event loop turns. */
const PAGE_ROWS = 1000;

/** A range of one task, page by page: each page begins with the last key of the one before, which is skipped. */
async function* pages<K>(
  reads: ReadFacade,
  taskId: string,
  store: string,
  range: { readonly from?: K; readonly to?: K; readonly prefix?: K; readonly reverse?: boolean },
): AsyncGenerator<ReadRow> {
  if (range.prefix !== undefined) {
    yield* await reads.read(taskId, store, {
      kind: 'range',
      from: undefined,
      to: undefined,
      prefix: range.prefix,
      reverse: range.reverse ?? false,
      limit: ALL,
    });
    return;
  }
  const reverse = range.reverse ?? false;
  let bounds: { readonly from: unknown; readonly to: unknown } = { from: range.from, to: range.to };
  let skip = 0;
  while (true) {
    const rows = await reads.read(taskId, store, { kind: 'range', ...bounds, prefix: undefined, reverse, limit: PAGE_ROWS + skip });
    for (const row of rows.slice(skip)) yield row;
    if (rows.length < PAGE_ROWS + skip) return;
    const last = rows.at(-1)?.key;
    bounds = reverse ? { from: range.from, to: last } : { from: last, to: range.to };
    skip = 1;
  }
}

export function keyValueViewOf<K, V>(reads: ReadFacade, store: string): KeyValueView<K, V> {
  const entry = async (key: K): Promise<StoreEntry<K, V> | undefined> => {
    const [row] = await readKey(reads, store, key, { kind: 'entry', key });
    return row === undefined ? undefined : (row as unknown as StoreEntry<K, V>);
  };
  return {
    entry,
    get: async (key) => (await entry(key))?.value,
    async *range(range = {}) {
      let left = range.limit ?? ALL;
      for (const taskId of localTasks(reads, store)) {
        for await (const row of pages(reads, taskId, store, range)) {
          if (left-- <= 0) return;
          yield row as unknown as StoreEntry<K, V>;
        }
      }
    },
  };
}

export function windowViewOf<K, V>(reads: ReadFacade, store: string): WindowView<K, V> {
  const windowed = (row: ReadRow): StoreEntry<Windowed<K>, V> => ({
    key: { key: row.key as K, window: row.window as Windowed<K>['window'] },
    value: row.value as V,
    timestamp: row.timestamp,
  });
  return {
    async get(key, windowStart) {
      const [row] = await readKey(reads, store, key, { kind: 'windows', key, fromMs: windowStart, toMs: windowStart, reverse: false, limit: 1 });
      return row?.value as V | undefined;
    },
    async *fetch(key, range = {}) {
      for (const row of await readKey(reads, store, key, {
        kind: 'windows',
        key,
        fromMs: range.from,
        toMs: range.to,
        reverse: range.reverse ?? false,
        limit: range.limit ?? ALL,
      }))
        yield windowed(row);
    },
    async *fetchAll(range = {}) {
      let left = range.limit ?? ALL;
      for (const taskId of localTasks(reads, store)) {
        for (const row of await reads.read(taskId, store, { kind: 'allWindows', fromMs: range.from, toMs: range.to, limit: left }))
          if (left-- > 0) yield windowed(row);
      }
    },
  };
}

export function versionedViewOf<K, V>(reads: ReadFacade, store: string): VersionedView<K, V> {
  return {
    async get(key, asOf) {
      const [row] = await readKey(reads, store, key, { kind: 'entry', key, asOfMs: asOf });
      return row?.value as V | undefined;
    },
    async *versions(key, range = {}) {
      const { from: fromMs, to: toMs, reverse = false, limit = ALL } = range;
      for (const { value, window } of await readKey(reads, store, key, { kind: 'windows', key, fromMs, toMs, reverse, limit })) {
        const { start, end } = window as { readonly start: number; readonly end: number };
        yield { value: value as V | null, validFrom: start, validTo: end === Number.MAX_SAFE_INTEGER ? undefined : end };
      }
    },
  };
}

async function readKey(reads: ReadFacade, store: string, key: unknown, query: ReadRequest['query']): Promise<readonly ReadRow[]> {
  const place = reads.locatePartition(store, reads.partitionOf(store, key));
  if (place.kind !== 'here') {
    throw new MillraceError(
      'ERR_STORE_NOT_CONNECTED',
      `partition ${place.partition} of store '${store}' is not served by this instance (${place.kind}). Ask over HTTP, which finds the owner, or wait until the app is running.`,
      { store, partition: place.partition },
    );
  }
  return reads.read(place.taskId, store, query);
}

function localTasks(reads: ReadFacade, store: string): readonly string[] {
  const facts = reads.stores().get(store);
  if (facts === undefined) throw new MillraceError('ERR_STORE_NOT_CONNECTED', `the topology has no queryable store '${store}'`, { store });
  const tasks: string[] = [];
  for (let partition = 0; partition < facts.partitions; partition++) {
    const place = reads.locatePartition(store, partition);
    if (place.kind === 'here') tasks.push(place.taskId);
  }
  return tasks;
}
