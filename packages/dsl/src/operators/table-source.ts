// A stream of updates read as a table: the last one per key stands, null deletes, later arrivals win whatever their time.
// A versioned store puts an older row where it belongs in time and says that it is not the latest; what is beyond its history goes no further.
// Records without a key are dropped and counted. Equal values are not swallowed (semantics 9.3).
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface TableSourceSettings {
  /** Undefined: nobody needs the rows, changes pass through. */
  readonly store: string | undefined;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function tableSourceOperator(settings: TableSourceSettings): ProcessorFactory {
  const { store: storeName, sendsPrior, emit } = settings;
  return (context): NodeProcessor => {
    const cell = new ChangeCell();
    const { record } = context;
    if (storeName === undefined) {
      return {
        process(key, value) {
          if (key === null || key === undefined) context.drop('nullKey');
          else context.forward(key, cell.withoutPrior(value));
        },
      };
    }
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    if (emit === 'onUpdate' && sendsPrior) {
      return {
        process(key, value) {
          if (key === null || key === undefined) {
            context.drop('nullKey');
            return;
          }
          const entry = store.find(key);
          const prior = entry.present ? entry.value : null;
          const written = store.writeEntry(entry, value, record.timestamp);
          if (written !== 'tooOld') context.forward(key, cell.withPrior(value, prior, written === 'latest'));
        },
      };
    }
    if (emit === 'onUpdate') {
      return {
        process(key, value) {
          if (key === null || key === undefined) {
            context.drop('nullKey');
            return;
          }
          const written = store.write(key, value, record.timestamp);
          if (written !== 'tooOld') context.forward(key, cell.withoutPrior(value, written === 'latest'));
        },
      };
    }
    const writes = (key: unknown, value: unknown): void => {
      if (key === null || key === undefined) context.drop('nullKey');
      else store.write(key, value, record.timestamp);
    };
    return emit === 'never' ? { process: writes } : { process: writes, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) };
  };
}
