// Records of a left or outer join that have found no partner yet, shared by both sides of the join within a task.
// Owns the join's observed time and the decision when to look for rows whose window has closed.  Never: reads the join buffers.
// U1 a row is given out once, after its window and grace have passed, in order of time; at equal times the right side goes first.
// U2 when to look is decided as in Kafka Streams, by the time of the last row looked at: it shows in which record a result comes behind.
import { copyBytes } from '@millrace/core';
import type { StagedKeyValueStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import type { JoinWindowSettings } from '../join-window.ts';
import { keyValueStore } from './row-readers.ts';
import type { UnmatchedKey, UnmatchedValues } from './unmatched-serdes.ts';

/** Takes what has found no partner: exactly one of the sides is there. */
export type GiveUnmatched = (key: unknown, value: unknown, isLeft: boolean, timestamp: number) => void;

/** Unknown until the first look: rows may have been restored. */
const NOTHING_KNOWN = Number.POSITIVE_INFINITY;

export class UnmatchedRows {
  observedTime = -1;
  readonly #store: StagedKeyValueStore<UnmatchedKey, UnmatchedValues>;
  readonly #window: JoinWindowSettings;
  readonly #context: NodeContext;
  #lookedUpTo = NOTHING_KNOWN;
  #looked = false;
  #lookAgainAtMs = 0;

  constructor(store: StagedKeyValueStore<UnmatchedKey, UnmatchedValues>, window: JoinWindowSettings, context: NodeContext) {
    this.#store = store;
    this.#window = window;
    this.#context = context;
  }

  keep(key: unknown, value: unknown, isLeft: boolean, timestamp: number): void {
    const entry = this.#store.find({ timestamp, isLeft, key: own(key) });
    const values = entry.present && entry.value !== undefined ? [...entry.value.values, own(value)] : [own(value)];
    this.#store.writeEntry(entry, { isLeft, values }, this.#context.record.timestamp);
    if (timestamp < this.#lookedUpTo) this.#lookedUpTo = timestamp;
  }

  /** A partner has come: all rows of that side, key and time have one. */
  matched(key: unknown, isLeft: boolean, timestamp: number): void {
    const entry = this.#store.find({ timestamp, isLeft, key });
    if (entry.present) this.#store.deleteEntry(entry, this.#context.record.timestamp);
  }

  /** Gives out every row whose window has closed by the observed time. `lookAheadMs`: how far the side at work looks ahead. */
  giveClosed(lookAheadMs: number, give: GiveUnmatched): void {
    const { graceMs } = this.#window;
    const nothing = this.#lookedUpTo === NOTHING_KNOWN;
    // With nothing known Kafka Streams looks if the window and grace are longer than 0; rows that were restored are looked for in any case.
    if (nothing ? this.#looked && lookAheadMs + graceMs <= 0 : this.#lookedUpTo + lookAheadMs + graceMs >= this.observedTime) return;
    const now = this.#context.wallClockMs();
    const { emitIntervalMs } = this.#context;
    if (now < this.#lookAgainAtMs && now >= this.#lookAgainAtMs - emitIntervalMs) return; // a clock that was set back is no reason to wait
    this.#lookAgainAtMs = now + emitIntervalMs;
    this.#looked = true;
    this.#lookedUpTo = NOTHING_KNOWN;
    this.#scan(give);
  }

  #scan(give: GiveUnmatched): void {
    const { beforeMs, afterMs, graceMs } = this.#window;
    const at = this.#context.record.timestamp;
    let leftOpen = false;
    let rightOpen = false;
    let given: UnmatchedKey | undefined;
    for (const { key: row, value: kept } of this.#store.range()) {
      const { timestamp, isLeft, key } = row;
      this.#lookedUpTo = timestamp;
      if (leftOpen && rightOpen) break;
      if (timestamp + (isLeft ? afterMs : beforeMs) + graceMs >= this.observedTime) {
        if (isLeft) leftOpen = true;
        else rightOpen = true;
        continue;
      }
      for (const value of kept.values) give(key, value, isLeft, timestamp);
      // Gone only once the next has been given: what throws in between is given again.
      if (given !== undefined) this.#store.write(given, undefined, at);
      given = row;
    }
    if (given !== undefined) this.#store.write(given, undefined, at);
  }
}

/** Bytes share memory with the batch they came in: a store keeps a copy. */
function own(value: unknown): unknown {
  return value instanceof Uint8Array ? copyBytes(value) : value;
}

/** The rows that both sides of one join share in one life of a task: found by the task's own store, until a side closes. */
export class SharedUnmatchedRows {
  readonly #storeName: string;
  readonly #window: JoinWindowSettings;
  readonly #byStore = new WeakMap<object, UnmatchedRows>();

  constructor(storeName: string, window: JoinWindowSettings) {
    this.#storeName = storeName;
    this.#window = window;
  }

  open(context: NodeContext): UnmatchedRows {
    // Sound: the join declared the store with exactly these serdes.
    const store = keyValueStore(context, this.#storeName) as unknown as StagedKeyValueStore<UnmatchedKey, UnmatchedValues>;
    const rows = this.#byStore.get(store) ?? new UnmatchedRows(store, this.#window, context);
    this.#byStore.set(store, rows);
    return rows;
  }

  close(context: NodeContext): void {
    this.#byStore.delete(keyValueStore(context, this.#storeName));
  }
}
