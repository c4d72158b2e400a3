// Where the two sides of a table join come together: keeps the results if they have a store, and hands them on.
// What a change says of the row before is the join's word, not the store's.
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import type { Change } from '../change.ts';
import { keyValueStore } from './row-readers.ts';
import { drainRows, type Emission } from './table-emission.ts';

export interface TableJoinResultSettings {
  readonly store: string;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function tableJoinResultOperator({ store: storeName, sendsPrior, emit }: TableJoinResultSettings): ProcessorFactory {
  return (context): NodeProcessor => {
    const store = keyValueStore(context, storeName);
    const { record } = context;
    const process = (key: unknown, change: unknown): void => {
      store.write(key, (change as Change).value, record.timestamp);
      if (emit === 'onUpdate') context.forward(key, change);
    };
    return emit === 'onCommit' ? { process, drain: drainRows(store, context, sendsPrior) } : { process };
  };
}
