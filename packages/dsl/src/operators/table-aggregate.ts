// count, reduce and aggregate of regrouped tables: what the row was before is taken out, then what it is now goes in (semantics 9.11 to 9.13).
// One store lookup a change, one write. What is not there cannot be subtracted from: then only the addition counts.
import { MillraceError } from '@millrace/core';
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { ErasedAdder } from '../erased.ts';
import type { ErasedFold } from './fold.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface TableFold extends ErasedFold {
  readonly subtract: ErasedAdder;
}

/** A count that reaches 0 stays as 0. */
export const tableCountFold: TableFold = { initial: () => 0, add: (count) => (count as number) + 1, subtract: (count) => (count as number) - 1 };

export interface TableAggregateSettings {
  readonly store: string;
  readonly fold: TableFold;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function tableAggregateOperator(settings: TableAggregateSettings): ProcessorFactory {
  const { store: storeName, fold, sendsPrior, emit } = settings;
  const { initial, add, subtract } = fold;
  return (context): NodeProcessor => {
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    const { record } = context;
    const cell = new ChangeCell();
    const process = (key: unknown, given: unknown): void => {
      if (isNothing(key)) throw new MillraceError('ERR_PROCESS', `${context.node} was given a change without a key.`, { node: context.node });
      const change = given as Change;
      const entry = store.find(key);
      const before = entry.present ? entry.value : null;
      let now = before;
      let isTouched = false;
      if (change.priorKind === 'present' && now !== null) {
        now = subtract(now, change.prior, key, record);
        isTouched = true;
      }
      if (change.kind === 'put') {
        if (!isNothing(now)) now = add(now, change.value, key, record);
        else now = initial === undefined ? change.value : add(initial(), change.value, key, record);
        isTouched = true;
      }
      const isLate = isTouched && entry.present && entry.timestamp > record.timestamp;
      const timestamp = isLate ? entry.timestamp : record.timestamp;
      // A delete is written with the time of the record that caused it.
      const written = store.writeEntry(entry, now, isNothing(now) ? record.timestamp : timestamp);
      if (emit !== 'onUpdate' || written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forwardAt(key, sendsPrior ? cell.withPrior(now, before, isLatest) : cell.withoutPrior(now, isLatest), timestamp);
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;
