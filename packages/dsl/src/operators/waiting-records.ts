// Records of a stream-table join with grace that wait for their time, in order of time, key and arrival, each with its context.
// Owns the join's own stream time (the largest time of a record it has seen) and an index of who waits, since looking for the oldest in the
// store at every record would cost a sort each.  Never: looks a row up.
// W1 a record beyond the grace does not wait.  W2 what is due comes out with the context it came in with, and leaves the store first.
// W3 the index and the store hold the same records; when one fails in between, both are made anew with the task's next life.
import { copyBytes } from '@millrace/core';
import type { StagedEntry, StagedKeyValueStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import { keyValueStore } from './row-readers.ts';
import type { WaitingKey, WaitingRecord } from './waiting-serdes.ts';

const SEQUENCE_MAX = 0x7fffffff;

export class WaitingRecords {
  readonly #context: NodeContext;
  readonly #store: StagedKeyValueStore<WaitingKey, WaitingRecord>;
  readonly #graceMs: number;
  readonly #waiting = new WaitingIndex();
  #observed = -1;
  #sequence = 0;

  constructor(context: NodeContext, store: string, graceMs: number) {
    this.#context = context;
    // Sound: the join declared the store with exactly these serdes.
    this.#store = keyValueStore(context, store) as unknown as StagedKeyValueStore<WaitingKey, WaitingRecord>;
    this.#graceMs = graceMs;
    for (const { key } of this.#store.range()) {
      this.#observed = Math.max(this.#observed, key.timestamp);
      this.#sequence = Math.max(this.#sequence, key.sequence);
      this.#waiting.add(this.#store.find(key));
    }
  }

  /** False: the record is late beyond the grace, and is to be joined at once. */
  keep(key: unknown, value: unknown): boolean {
    const { timestamp, headers, source } = this.#context.record;
    if (this.#observed - this.#graceMs > timestamp) return false;
    this.#observed = Math.max(this.#observed, timestamp);
    this.#sequence = this.#sequence === SEQUENCE_MAX ? 1 : this.#sequence + 1;
    const entry = this.#store.find({ timestamp, key: own(key), sequence: this.#sequence });
    this.#store.writeEntry(entry, { value: own(value), timestamp, headers, source: source === undefined ? undefined : { ...source } }, timestamp);
    this.#waiting.add(entry);
    return true;
  }

  /** Stream time has moved without a record. */
  timeMoved(streamTime: number): void {
    this.#observed = Math.max(this.#observed, streamTime);
  }

  /** Hands out what stream time has passed by the grace. */
  giveDue(give: (key: unknown, value: unknown) => void): void {
    const dueUpTo = this.#observed - this.#graceMs;
    if (this.#waiting.oldestAt > dueUpTo) return;
    const { record: cursor } = this.#context;
    const { timestamp, headers, source } = cursor;
    while (this.#waiting.oldestAt <= dueUpTo) {
      const found = this.#store.find(this.#waiting.take());
      const record = found.value as WaitingRecord;
      this.#store.deleteEntry(found, timestamp);
      cursor.timestamp = record.timestamp;
      cursor.headers = record.headers;
      cursor.source = record.source;
      give(found.key.key, record.value);
    }
    cursor.timestamp = timestamp;
    cursor.headers = headers;
    cursor.source = source;
  }
}

interface Waiting {
  readonly key: WaitingKey;
  /** The key as stored, whose order is that of the records. */
  readonly bytes: Buffer;
}

/** Who waits, the oldest first: a binary heap over stored keys. */
class WaitingIndex {
  readonly #heap: Waiting[] = [];

  /** Infinity when nobody waits. */
  get oldestAt(): number {
    return this.#heap[0]?.key.timestamp ?? Number.POSITIVE_INFINITY;
  }

  add({ key, diskKey }: Pick<StagedEntry<WaitingRecord, WaitingKey>, 'key' | 'diskKey'>): void {
    const heap = this.#heap;
    let at = heap.push({ key, bytes: diskKey }) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  /** Removes the oldest; there is one. */
  take(): WaitingKey {
    const heap = this.#heap;
    const oldest = heap[0] as Waiting;
    const last = heap.pop() as Waiting;
    if (heap.length === 0) return oldest.key;
    heap[0] = last;
    for (let at = 0; ; ) {
      let least = at;
      for (const below of [2 * at + 1, 2 * at + 2]) if (below < heap.length && this.#isBefore(below, least)) least = below;
      if (least === at) return oldest.key;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(left: number, right: number): boolean {
    return Buffer.compare((this.#heap[left] as Waiting).bytes, (this.#heap[right] as Waiting).bytes) < 0;
  }

  #swap(left: number, right: number): void {
    const heap = this.#heap;
    [heap[left], heap[right]] = [heap[right] as Waiting, heap[left] as Waiting];
  }
}

/** Bytes share memory with the batch they came in: a store keeps a copy. */
function own(value: unknown): unknown {
  return value instanceof Uint8Array ? copyBytes(value) : value;
}
