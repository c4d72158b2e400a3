// Records of a stream-table join with grace that wait for their time, in order of time, key and arrival, each with its context.
// Owns the join's own stream time: the largest time of a record it has seen.  Never: looks a row up.
// W1 a record beyond the grace does not wait.  W2 what is due comes out with the context it came in with, and leaves the store first.
import { copyBytes } from '@millrace/core';
import type { StagedKeyValueStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import { keyValueStore } from './row-readers.ts';
import type { WaitingKey, WaitingRecord } from './waiting-serdes.ts';

const SEQUENCE_MAX = 0x7fffffff;

export class WaitingRecords {
  readonly #context: NodeContext;
  readonly #store: StagedKeyValueStore<WaitingKey, WaitingRecord>;
  readonly #graceMs: number;
  #observed = -1;
  #sequence = 0;
  /** At most the time of the oldest record: nothing is due below it. */
  #oldest = Number.POSITIVE_INFINITY;

  constructor(context: NodeContext, store: string, graceMs: number) {
    this.#context = context;
    // Sound: the join declared the store with exactly these serdes.
    this.#store = keyValueStore(context, store) as unknown as StagedKeyValueStore<WaitingKey, WaitingRecord>;
    this.#graceMs = graceMs;
    for (const { key } of this.#store.range()) {
      this.#oldest = Math.min(this.#oldest, key.timestamp);
      this.#observed = Math.max(this.#observed, key.timestamp);
      this.#sequence = Math.max(this.#sequence, key.sequence);
    }
  }

  /** False: the record is late beyond the grace, and is to be joined at once. */
  keep(key: unknown, value: unknown): boolean {
    const { timestamp, headers, source } = this.#context.record;
    if (this.#observed - this.#graceMs > timestamp) return false;
    this.#observed = Math.max(this.#observed, timestamp);
    this.#sequence = this.#sequence === SEQUENCE_MAX ? 1 : this.#sequence + 1;
    this.#oldest = Math.min(this.#oldest, timestamp);
    const position = source === undefined ? undefined : { ...source };
    this.#store.write({ timestamp, key: own(key), sequence: this.#sequence }, { value: own(value), timestamp, headers, source: position }, timestamp);
    return true;
  }

  /** Hands out what stream time has passed by the grace. */
  giveDue(give: (key: unknown, value: unknown) => void): void {
    const dueUpTo = this.#observed - this.#graceMs;
    if (this.#oldest > dueUpTo) return;
    const { record: cursor } = this.#context;
    const { timestamp, headers, source } = cursor;
    this.#oldest = Number.POSITIVE_INFINITY;
    for (const { key: row, value: record } of this.#store.range()) {
      if (row.timestamp > dueUpTo) {
        this.#oldest = row.timestamp;
        break;
      }
      this.#store.write(row, undefined, timestamp);
      cursor.timestamp = record.timestamp;
      cursor.headers = record.headers;
      cursor.source = record.source;
      give(row.key, record.value);
    }
    cursor.timestamp = timestamp;
    cursor.headers = headers;
    cursor.source = source;
  }
}

/** Bytes share memory with the batch they came in: a store keeps a copy. */
function own(value: unknown): unknown {
  return value instanceof Uint8Array ? copyBytes(value) : value;
}
