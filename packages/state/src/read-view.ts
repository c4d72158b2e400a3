// Read-only typed views over a database, for queries in a thread that does not own the store.
// They see what has been settled, nothing staged. Synchronous: the caller bounds how much it asks for.
import { copyBytes, type ErasedSerde, prefixEnd, type Windowed } from '@millrace/core';
import type { ByteRows, Database } from './byte-store.ts';
import { readCheckpoint } from './checkpoint.ts';
import { rowTimestamp } from './layouts/key-value.ts';
import { SESSION_SUFFIX_BYTES, sessionOfDiskKey, sessionScanBounds } from './layouts/session.ts';
import {
  diskKeySegment,
  diskKeyStart,
  SEGMENT_BYTES,
  segmentInterval,
  segmentOf,
  segmentStart,
  WINDOW_SUFFIX_BYTES,
  windowScanBounds,
} from './layouts/window.ts';
import type { Entry, Range, TimeRange } from './stores/contract.ts';
import { createKeyForm } from './stores/key-form.ts';
import { createValueForm } from './stores/value-form.ts';

/** What a view needs to know of a store; every store spec fits. */
export interface ViewSpec {
  readonly name: string;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
}

export interface KeyValueViewSpec extends ViewSpec {
  /** Rows whose time is so far behind the store's are hidden; none unless given. */
  readonly ttlMs?: number | undefined;
}

export interface WindowViewSpec extends ViewSpec {
  readonly windowSizeMs: number;
  readonly retentionMs: number;
}

export interface SessionViewSpec extends ViewSpec {
  readonly retentionMs: number;
}

/** Whoever answers strangers stops at a bound in bytes: told of each row, before it is handed out, what key and value weigh as they lie in the store. */
export interface Weighing {
  readonly weigh?: ((bytes: number) => void) | undefined;
}

export interface KeyValueReadView<K, V> {
  get(key: K): Entry<K, V> | undefined;
  /** Lazily, in key order; stop early and the cursor is closed. */
  range(range?: Range<K> & Weighing): Generator<Entry<K, V>>;
  approximateCount(): number;
}

export interface WindowReadView<K, V> {
  get(key: K, windowStart: number): Entry<Windowed<K>, V> | undefined;
  /** One key, by window start; bounds inclusive on the start. */
  fetch(key: K, range?: TimeRange & Weighing): Generator<Entry<Windowed<K>, V>>;
  /** All keys, by segment, key bytes, window start. */
  fetchAll(range?: TimeRange & Weighing): Generator<Entry<Windowed<K>, V>>;
  approximateCount(): number;
}

export function keyValueView<K, V>(database: Database, spec: KeyValueViewSpec): KeyValueReadView<K, V> {
  const disk = database.store(spec.name);
  const keys = createKeyForm(spec.key, spec.name, spec.name);
  const values = createValueForm(spec.value, spec.name, spec.name);
  const { ttlMs } = spec;
  /** Rows at or below this time are hidden. */
  const hiddenUpTo = (): number => (ttlMs === undefined ? Number.NEGATIVE_INFINITY : observedTime(database, spec.name) - ttlMs);
  return {
    get(key) {
      const row = disk.get(keys.bytesOf(key));
      return row === undefined || rowTimestamp(row, spec.name) <= hiddenUpTo()
        ? undefined
        : { key, value: values.thaw(row) as V, timestamp: rowTimestamp(row, spec.name) };
    },
    *range(range = {}) {
      const prefix = range.prefix === undefined ? undefined : keys.bytesOf(range.prefix);
      const bounds =
        prefix === undefined
          ? { gte: range.from === undefined ? undefined : keys.bytesOf(range.from), lte: range.to === undefined ? undefined : keys.bytesOf(range.to) }
          : { gte: prefix, lt: prefixEnd(prefix) };
      const hidden = hiddenUpTo();
      let left = range.limit ?? Number.POSITIVE_INFINITY;
      using rows = new Cursor(disk.scan({ ...bounds, reverse: range.reverse, ...(ttlMs === undefined ? { limit: range.limit } : {}) }));
      while (left > 0 && rows.next()) {
        const timestamp = rowTimestamp(rows.value, spec.name);
        if (timestamp <= hidden) continue;
        left -= 1;
        range.weigh?.(rows.key.length + rows.value.length);
        yield { key: keys.fromBytes(rows.key) as K, value: values.thaw(rows.value) as V, timestamp };
      }
    },
    approximateCount: () => disk.approximateCount(),
  };
}

export function windowView<K, V>(database: Database, spec: WindowViewSpec): WindowReadView<K, V> {
  const disk = database.store(spec.name);
  const keys = createKeyForm(spec.key, spec.name, spec.name);
  const values = createValueForm(spec.value, spec.name, spec.name);
  const interval = segmentInterval(spec.retentionMs);

  /** Window starts that are asked for and not past retention. */
  const visible = (range: TimeRange): readonly [number, number] => {
    const observed = observedTime(database, spec.name);
    return [Math.max(range.from ?? 0, observed - spec.retentionMs + 1, 0), Math.min(range.to ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - interval)];
  };

  /** Segments that hold rows, in order; found by seeking, since nobody else knows which there are. */
  function* segments(from: number, to: number, reverse: boolean): Generator<number> {
    if (from > to) return;
    let low = segmentOf(from, interval);
    let high = segmentOf(to, interval);
    while (low <= high) {
      using rows = new Cursor(disk.scan({ gte: segmentStart(low), lt: segmentStart(high + 1), reverse, limit: 1 }));
      if (!rows.next()) return;
      const segment = diskKeySegment(rows.key);
      yield segment;
      if (reverse) high = segment - 1;
      else low = segment + 1;
    }
  }

  const entry = (key: K, start: number, row: Buffer): Entry<Windowed<K>, V> => ({
    key: { key, window: { start, end: start + spec.windowSizeMs } },
    value: values.thaw(row) as V,
    timestamp: rowTimestamp(row, spec.name),
  });

  function* fetch(key: K, range: TimeRange & Weighing = {}): Generator<Entry<Windowed<K>, V>> {
    const bytes = copyBytes(keys.bytesOf(key));
    const [from, to] = visible(range);
    const reverse = range.reverse === true;
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (const segment of segments(from, to, reverse)) {
      using rows = new Cursor(disk.scan({ ...windowScanBounds(bytes, segment, from, to), reverse }));
      while (left > 0 && rows.next()) {
        if (rows.key.length !== SEGMENT_BYTES + bytes.length + WINDOW_SUFFIX_BYTES) continue; // a longer key that begins with this one
        left--;
        range.weigh?.(rows.key.length + rows.value.length);
        yield entry(key, diskKeyStart(rows.key), rows.value);
      }
    }
  }

  function* fetchAll(range: TimeRange & Weighing = {}): Generator<Entry<Windowed<K>, V>> {
    const [from, to] = visible(range);
    const reverse = range.reverse === true;
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (const segment of segments(from, to, reverse)) {
      using rows = new Cursor(disk.scan({ gte: segmentStart(segment), lt: segmentStart(segment + 1), reverse }));
      while (left > 0 && rows.next()) {
        const start = diskKeyStart(rows.key);
        if (start < from || start > to) continue;
        left--;
        range.weigh?.(rows.key.length + rows.value.length);
        yield entry(keys.fromBytes(copyBytes(rows.key.subarray(SEGMENT_BYTES, rows.key.length - WINDOW_SUFFIX_BYTES))) as K, start, rows.value);
      }
    }
  }

  return {
    get(key, windowStart) {
      for (const row of fetch(key, { from: windowStart, to: windowStart, limit: 1 })) return row;
      return undefined;
    },
    fetch,
    fetchAll,
    approximateCount: () => disk.approximateCount(),
  };
}

/** Sessions of a store, one key's or all; `range` is over session starts. Timestamps are session ends. */
export function sessionView<K, V>(database: Database, spec: SessionViewSpec): Pick<WindowReadView<K, V>, 'fetch' | 'fetchAll'> {
  const disk = database.store(spec.name);
  const keys = createKeyForm(spec.key, spec.name, spec.name);
  const values = createValueForm(spec.value, spec.name, spec.name);
  const interval = segmentInterval(spec.retentionMs);

  function* sessions(bytes: Buffer | undefined, range: TimeRange & Weighing): Generator<Entry<Windowed<K>, V>> {
    const observed = observedTime(database, spec.name);
    const from = range.from ?? 0;
    const to = range.to ?? Number.MAX_SAFE_INTEGER;
    const fromEnd = Math.max(0, from, observed - spec.retentionMs + 1);
    const reverse = range.reverse === true;
    const first = segmentOf(fromEnd, interval);
    const last = segmentOf(Math.max(0, observed), interval);
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    for (let step = 0; step <= last - first; step++) {
      const segment = reverse ? last - step : first + step;
      const bounds = bytes === undefined ? { gte: segmentStart(segment), lt: segmentStart(segment + 1) } : sessionScanBounds(bytes, segment, fromEnd, observed);
      using rows = new Cursor(disk.scan({ ...bounds, reverse }));
      while (left > 0 && rows.next()) {
        if (bytes !== undefined && rows.key.length !== SEGMENT_BYTES + bytes.length + SESSION_SUFFIX_BYTES) continue; // a longer key may begin with this one
        const { key, start, end } = sessionOfDiskKey(rows.key);
        if (end < fromEnd || start < from || start > to) continue;
        left--;
        range.weigh?.(rows.key.length + rows.value.length);
        yield { key: { key: keys.fromBytes(copyBytes(key)) as K, window: { start, end } }, value: values.thaw(rows.value) as V, timestamp: end };
      }
    }
  }

  return {
    fetch: (key, range = {}) => sessions(copyBytes(keys.bytesOf(key)), range),
    fetchAll: (range = {}) => sessions(undefined, range),
  };
}

/** Largest event time that a store has seen, as settled; -1 unknown. */
function observedTime(database: Database, store: string): number {
  const checkpoint = readCheckpoint(database, store);
  return checkpoint === undefined || checkpoint === 'corrupt' ? -1 : checkpoint.observedTime;
}

/** `using` over a cursor, whatever the engine's class. */
class Cursor implements Disposable {
  readonly #rows: ByteRows;
  constructor(rows: ByteRows) {
    this.#rows = rows;
  }
  get key(): Buffer {
    return this.#rows.key;
  }
  get value(): Buffer {
    return this.#rows.value;
  }
  next(): boolean {
    return this.#rows.next();
  }
  [Symbol.dispose](): void {
    this.#rows.close();
  }
}
