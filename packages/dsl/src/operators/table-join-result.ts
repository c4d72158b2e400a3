// Where the two sides of a table join come together: keeps the results if they have a store, and hands them on.
// What a change says of the row before is the join's word, not the store's.
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission } from './table-emission.ts';

export interface TableJoinResultSettings {
  readonly store: string;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function tableJoinResultOperator({ store: storeName, sendsPrior, emit }: TableJoinResultSettings): ProcessorFactory {
  return (context): NodeProcessor => {
    const store = rowStore(context, storeName);
    const cell = new ChangeCell();
    const { record } = context;
    const process = (key: unknown, given: unknown): void => {
      const { value, prior, priorKind } = given as Change;
      const written = store.write(key, value, record.timestamp);
      if (emit !== 'onUpdate' || written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forward(key, priorKind === 'notRead' ? cell.withoutPrior(value, isLatest) : cell.withPrior(value, prior, isLatest));
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}
