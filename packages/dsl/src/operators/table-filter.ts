// filter and filterNot of tables: a row that no longer fits is deleted. With the prior row at hand, a delete of what was
// never shown is left out; without it a tombstone goes on for every row that does not fit (semantics 9.5).
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { ErasedRowPredicate } from '../erased.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface TableFilterSettings {
  readonly predicate: ErasedRowPredicate;
  readonly keep: boolean;
  readonly sendsPrior: boolean;
  /** Undefined: the filtered rows are not kept. */
  readonly store: string | undefined;
  readonly emit: Emission;
  /** Of what is filtered. Then a delete of what was never shown goes on too: it may be one of the past. */
  readonly isVersioned: boolean;
}

export function tableFilterOperator(settings: TableFilterSettings): ProcessorFactory {
  const { predicate, keep, sendsPrior, store: storeName, emit, isVersioned } = settings;
  const filtered = (value: unknown, key: unknown): unknown => (value !== null && predicate(value, key) === keep ? value : null);
  return (context): NodeProcessor => {
    const cell = new ChangeCell();
    const { record } = context;
    if (storeName === undefined) {
      return {
        process(key, change) {
          const { value, prior, isLatest } = change as Change;
          const now = filtered(value, key);
          if (!sendsPrior) {
            context.forward(key, cell.withoutPrior(now, isLatest));
            return;
          }
          const before = filtered(prior, key);
          if (now !== null || before !== null || isVersioned) context.forward(key, cell.withPrior(now, before, isLatest));
        },
      };
    }
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    const process = (key: unknown, change: unknown): void => {
      const now = filtered((change as Change).value, key);
      const entry = store.find(key);
      const before = entry.present ? entry.value : null;
      if (sendsPrior && now === null && before === null && !isVersioned) return;
      const written = store.writeEntry(entry, now, record.timestamp);
      if (emit !== 'onUpdate' || written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forward(key, sendsPrior ? cell.withPrior(now, before, isLatest) : cell.withoutPrior(now, isLatest));
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}
