// count, reduce and aggregate over sliding windows [x, x + difference], both ends inclusive (semantics 8.5).
// Only windows with different contents come to exist: each record makes the window that ends at it, and the one that begins just
// behind it once something lies in there. So a record updates every window around it and adds at most three.
// S1 a window takes records while its end is at or above observed time - grace; observed time is this operator's own.
// S2 a new window gets what lies in it from a window that is there already, never from single records, which nobody keeps.
import type { Windowed } from '@millrace/core';
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import { finalTimeWindows } from './final-windows.ts';
import { windowStore } from './row-readers.ts';
import { drainWindows } from './table-emission.ts';
import type { WindowAggregateSettings } from './window-aggregate.ts';

/** A window as it was before this record. */
interface Found {
  readonly value: unknown;
  /** Largest time of its records. */
  readonly timestamp: number;
}

export function slidingAggregateOperator(settings: WindowAggregateSettings): ProcessorFactory {
  const { sizeMs: differenceMs, graceMs } = settings.windows;
  return (context): NodeProcessor => {
    const store = windowStore(context, settings.store);
    const { record } = context;
    const windows = new SlidingWindows(settings, context);
    const windowEnd = (start: number): number => start + differenceMs;
    const { emit, sendsPrior, store: name } = settings;
    const finals = emit === 'onWindowClose' ? finalTimeWindows({ context, name, store, sendsPrior }, settings.windows, windowEnd) : undefined;
    // What has closed stays closed over a restart: nothing may come after a final result, and a late record must not begin anew a window whose
    // row the store has let go.
    let observedTime = finals === undefined ? store.observedTime : Math.max(store.observedTime, finals.resumedTime(graceMs));
    const process = (key: unknown, value: unknown): void => {
      if (key === null || key === undefined) {
        context.drop('nullKey');
        return;
      }
      if (value === null || value === undefined) {
        context.drop('skipped', 'a record without value cannot be aggregated');
        return;
      }
      const at = record.timestamp;
      if (at > observedTime) observedTime = at;
      const closesAt = observedTime - graceMs;
      if (at + differenceMs < closesAt) {
        context.drop('late', `every window of a record at ${at} had closed at stream time ${observedTime}`);
        return;
      }
      windows.take(key, value, at, closesAt);
      // As in Kafka Streams, a record before the first full window closes nothing.
      if (at >= differenceMs) finals?.advance(closesAt);
    };
    const timeMoved = (streamTime: number): void => {
      if (streamTime > observedTime) observedTime = streamTime;
      finals?.advance(observedTime - graceMs);
    };
    return emit === 'onCommit' ? { process, timeMoved, drain: drainWindows(store, context, sendsPrior, windowEnd) } : { process, timeMoved };
  };
}

/** The windows of one task: finds those around a record, and makes those that it adds. */
class SlidingWindows {
  readonly #settings: WindowAggregateSettings;
  readonly #context: Parameters<ProcessorFactory>[0];
  readonly #store: ReturnType<typeof windowStore>;
  readonly #differenceMs: number;
  readonly #cell = new ChangeCell();
  #key: unknown = undefined;
  #value: unknown = undefined;
  #at = 0;
  #closesAt = 0;

  constructor(settings: WindowAggregateSettings, context: Parameters<ProcessorFactory>[0]) {
    this.#settings = settings;
    this.#context = context;
    this.#store = windowStore(context, settings.store);
    this.#differenceMs = settings.windows.sizeMs;
  }

  take(key: unknown, value: unknown, at: number, closesAt: number): void {
    this.#key = key;
    this.#value = value;
    this.#at = at;
    this.#closesAt = closesAt;
    if (at < this.#differenceMs) this.#takeEarly();
    else this.#takeOrdinary();
  }

  /** From the newest window around the record to the first that ends before it. */
  #takeOrdinary(): void {
    const at = this.#at;
    const differenceMs = this.#differenceMs;
    const starts = new Set<number>();
    let before: Found | undefined;
    let behind: Found | undefined;
    let previousAt: number | undefined;
    let endsHere = false;
    using rows = this.#store.fetch(this.#key, { from: Math.max(0, at - 2 * differenceMs), to: at + 1, reverse: true });
    for (const row of rows) {
      const { start } = row.key.window;
      const end = start + differenceMs;
      starts.add(start);
      if (end < at) {
        before = row;
        previousAt = row.timestamp;
        break;
      }
      if (start === at + 1) continue;
      this.#fold(start, row);
      if (end > at) {
        behind ??= row;
        continue;
      }
      if (row.timestamp >= at) return; // another record of this very time has made every window that this one needs
      endsHere = true;
      previousAt = row.timestamp;
    }
    if (previousAt !== undefined && !starts.has(previousAt + 1) && previousAt + 1 + differenceMs >= at) this.#fold(previousAt + 1, undefined);
    if (!endsHere) {
      const holdsPrevious = previousAt !== undefined && previousAt >= at - differenceMs;
      this.#fold(at - differenceMs, holdsPrevious && before !== undefined ? { value: before.value, timestamp: at } : undefined);
    }
    if (!starts.has(at + 1)) this.#copyBehind(behind);
  }

  /** Windows cannot start before the epoch: [0, difference] stands for every window that would end at an early record. */
  #takeEarly(): void {
    const at = this.#at;
    const starts = new Set<number>();
    let combined: Found | undefined;
    let behind: Found | undefined;
    using rows = this.#store.fetch(this.#key, { from: 0, to: at + 1 });
    for (const row of rows) {
      const { start } = row.key.window;
      starts.add(start);
      if (start === 0) combined = row;
      else if (start <= at) {
        behind = row;
        this.#fold(start, row);
      }
    }
    if (behind === undefined && combined !== undefined && combined.timestamp > at) behind = combined;
    if (!starts.has(at + 1)) this.#copyBehind(behind);
    const previousAt = combined !== undefined && combined.timestamp < at ? combined.timestamp : undefined;
    if (previousAt !== undefined && !starts.has(previousAt + 1)) this.#fold(previousAt + 1, undefined);
    this.#fold(0, combined);
  }

  /** The record into the window at `start`, which holds `found` so far. */
  #fold(start: number, found: Found | undefined): void {
    const at = this.#at;
    const end = start + this.#differenceMs;
    if (end < this.#closesAt) {
      this.#context.drop('late', `window [${start}, ${end}] had closed before ${this.#closesAt}`);
      return;
    }
    const { initial, add } = this.#settings.fold;
    const before = found === undefined ? initial?.() : found.value;
    const now = found === undefined && initial === undefined ? this.#value : add(before, this.#value, this.#key, this.#context.record);
    const timestamp = found !== undefined && found.timestamp > at ? found.timestamp : at;
    this.#store.writeEntry(this.#store.find(this.#key, start), now, now === null || now === undefined ? at : timestamp);
    this.#forward(start, now, before, timestamp);
  }

  /** The window just behind the record: what lies in there is what the window around both held without the record. */
  #copyBehind(behind: Found | undefined): void {
    if (behind === undefined || behind.timestamp <= this.#at) return;
    const start = this.#at + 1;
    this.#store.writeEntry(this.#store.find(this.#key, start), behind.value, behind.timestamp);
    this.#forward(start, behind.value, null, behind.timestamp);
  }

  #forward(start: number, now: unknown, before: unknown, timestamp: number): void {
    const { emit, sendsPrior } = this.#settings;
    if (emit !== 'onUpdate') return;
    const key: Windowed<unknown> = { key: this.#key, window: { start, end: start + this.#differenceMs } };
    this.#context.forwardAt(key, sendsPrior ? this.#cell.withPrior(now, before) : this.#cell.withoutPrior(now), timestamp);
  }
}
