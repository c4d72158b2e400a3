// count, reduce and aggregate of grouped streams: one store lookup a record, one write.
// The time of a row is the largest of its records'. Null keys and null values are dropped and counted (semantics 8.3).
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import type { ErasedFold } from './fold.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface StreamAggregateSettings {
  readonly store: string;
  readonly fold: ErasedFold;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function streamAggregateOperator(settings: StreamAggregateSettings): ProcessorFactory {
  const { store: storeName, fold, sendsPrior, emit } = settings;
  const { initial, add } = fold;
  return (context): NodeProcessor => {
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    const { record } = context;
    const cell = new ChangeCell();
    const process = (key: unknown, value: unknown): void => {
      if (key === null || key === undefined) {
        context.drop('nullKey');
        return;
      }
      if (value === null || value === undefined) {
        context.drop('skipped', 'a record without value cannot be aggregated');
        return;
      }
      const entry = store.find(key);
      // The first change of a row shows the initial value as the one before, as Kafka Streams does without its cache.
      const before = entry.present ? entry.value : initial?.();
      const now = !entry.present && initial === undefined ? value : add(before, value, key, record);
      const timestamp = entry.present && entry.timestamp > record.timestamp ? entry.timestamp : record.timestamp;
      // A delete is written with the time of the record that caused it.
      const written = store.writeEntry(entry, now, now === null || now === undefined ? record.timestamp : timestamp);
      if (emit !== 'onUpdate' || written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forwardAt(key, sendsPrior ? cell.withPrior(now, before, isLatest) : cell.withoutPrior(now, isLatest), timestamp);
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}
