// filter and filterNot of tables: a row that no longer fits is deleted. With the prior row at hand, a delete of what was
// never shown is left out; without it a tombstone goes on for every row that does not fit (semantics 9.5).
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { ErasedRowPredicate } from '../erased.ts';
import { keyValueStore } from './row-readers.ts';
import { drainRows, type Emission } from './table-emission.ts';

export interface TableFilterSettings {
  readonly predicate: ErasedRowPredicate;
  readonly keep: boolean;
  readonly sendsPrior: boolean;
  /** Undefined: the filtered rows are not kept. */
  readonly store: string | undefined;
  readonly emit: Emission;
}

export function tableFilterOperator(settings: TableFilterSettings): ProcessorFactory {
  const { predicate, keep, sendsPrior, store: storeName, emit } = settings;
  const filtered = (value: unknown, key: unknown): unknown => (value !== null && predicate(value, key) === keep ? value : null);
  return (context): NodeProcessor => {
    const cell = new ChangeCell();
    const { record } = context;
    if (storeName === undefined) {
      return {
        process(key, change) {
          const { value, prior } = change as Change;
          const now = filtered(value, key);
          if (!sendsPrior) {
            context.forward(key, cell.withoutPrior(now));
            return;
          }
          const before = filtered(prior, key);
          if (now !== null || before !== null) context.forward(key, cell.withPrior(now, before));
        },
      };
    }
    const store = keyValueStore(context, storeName);
    const process = (key: unknown, change: unknown): void => {
      const now = filtered((change as Change).value, key);
      const entry = store.find(key);
      const before = entry.present ? entry.value : null;
      if (sendsPrior && now === null && before === null) return;
      store.writeEntry(entry, now, record.timestamp);
      if (emit === 'onUpdate') context.forward(key, sendsPrior ? cell.withPrior(now, before) : cell.withoutPrior(now));
    };
    return emit === 'onCommit' ? { process, drain: drainRows(store, context, sendsPrior) } : { process };
  };
}
