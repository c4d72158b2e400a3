// count, reduce and aggregate over time windows: a record updates every window that holds it and is still open.
// W1 a window is open while its end lies after observed time - grace; observed time is this operator's own and only grows.
// Null keys are dropped; null values reach the fold, as in Kafka Streams (semantics 8.4).
import type { Windowed } from '@millrace/core';
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import type { WindowSettings } from '../windows.ts';
import { finalTimeWindows } from './final-windows.ts';
import type { ErasedFold } from './fold.ts';
import { windowStore } from './row-readers.ts';
import { drainWindows, type Emission } from './table-emission.ts';
import { startsOf, windowEndOf } from './window-starts.ts';

export interface WindowAggregateSettings {
  readonly store: string;
  readonly fold: ErasedFold;
  readonly windows: WindowSettings;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function windowAggregateOperator(settings: WindowAggregateSettings): ProcessorFactory {
  const { store: storeName, fold, windows, sendsPrior, emit } = settings;
  const { initial, add } = fold;
  const { graceMs } = windows;
  const windowEnd = windowEndOf(windows);
  const startsFor = startsOf(windows);
  return (context): NodeProcessor => {
    const store = windowStore(context, storeName);
    const { record } = context;
    const cell = new ChangeCell();
    const finals = emit === 'onWindowClose' ? finalTimeWindows({ context, name: storeName, store, sendsPrior }, windows, windowEnd) : undefined;
    // What has closed stays closed over a restart: nothing may come after a final result, and a late record must not begin anew a window whose
    // row the store has let go.
    let observedTime = finals === undefined ? store.observedTime : Math.max(store.observedTime, finals.resumedTime(graceMs));
    const update = (key: unknown, value: unknown, start: number, at: number): void => {
      const entry = store.find(key, start);
      const before = entry.present ? entry.value : initial?.();
      const now = !entry.present && initial === undefined ? value : add(before, value, key, record);
      const timestamp = entry.present && entry.timestamp > at ? entry.timestamp : at;
      store.writeEntry(entry, now, now === null || now === undefined ? at : timestamp);
      if (emit !== 'onUpdate') return;
      const windowed: Windowed<unknown> = { key, window: { start, end: windowEnd(start) } };
      context.forwardAt(windowed, sendsPrior ? cell.withPrior(now, before) : cell.withoutPrior(now), timestamp);
    };
    const process = (key: unknown, value: unknown): void => {
      if (key === null || key === undefined) {
        context.drop('nullKey');
        return;
      }
      const at = record.timestamp;
      if (at > observedTime) observedTime = at;
      const closesAt = observedTime - graceMs;
      startsFor(at, (start, end) => {
        if (end > closesAt) update(key, value, start, at);
        else context.drop('late', `window [${start}, ${end}) had closed at stream time ${observedTime}`);
      });
      finals?.advance(closesAt);
    };
    const timeMoved = (streamTime: number): void => {
      if (streamTime > observedTime) observedTime = streamTime;
      finals?.advance(observedTime - graceMs);
    };
    return emit === 'onCommit' ? { process, timeMoved, drain: drainWindows(store, context, sendsPrior, windowEnd) } : { process, timeMoved };
  };
}
