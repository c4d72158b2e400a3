// mapValues of tables: deletes stay deletes and never reach the mapper; the row before is mapped again where it is wanted (semantics 9.6).
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { ErasedRowMapper } from '../erased.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface TableMapSettings {
  readonly mapper: ErasedRowMapper;
  readonly sendsPrior: boolean;
  /** Undefined: the mapped rows are not kept. */
  readonly store: string | undefined;
  readonly emit: Emission;
}

export function tableMapValuesOperator(settings: TableMapSettings): ProcessorFactory {
  const { mapper, sendsPrior, store: storeName, emit } = settings;
  const mapped = (value: unknown, key: unknown): unknown => (value === null ? null : mapper(value, key));
  return (context): NodeProcessor => {
    const cell = new ChangeCell();
    const { record } = context;
    if (storeName === undefined) {
      return {
        process(key, change) {
          const { value, prior, isLatest } = change as Change;
          const now = mapped(value, key);
          context.forward(key, sendsPrior ? cell.withPrior(now, mapped(prior, key), isLatest) : cell.withoutPrior(now, isLatest));
        },
      };
    }
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    const process = (key: unknown, change: unknown): void => {
      const now = mapped((change as Change).value, key);
      if (emit !== 'onUpdate') {
        store.write(key, now, record.timestamp);
        return;
      }
      const entry = store.find(key);
      const before = entry.present ? entry.value : null;
      const written = store.writeEntry(entry, now, record.timestamp);
      if (written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forward(key, sendsPrior ? cell.withPrior(now, before, isLatest) : cell.withoutPrior(now, isLatest));
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}
