// transformValues of tables: mapValues with state. The transformer sees deletes too, as null, and may make a row of them (semantics 9.7).
// Where no rows are kept, the row before is transformed again if somebody wants it, and so is a row that is looked up.
import type { NodeContext, NodeProcessor, ProcessorFactory, StoreHandle } from '@millrace/topology';
import { type Change, ChangeCell } from '../change.ts';
import type { RowReader } from '../draft/table-rows.ts';
import type { TaskContext } from '../processor.ts';
import { NodeTaskContext } from './process.ts';
import { keyValueStore, rowStore } from './row-readers.ts';
import { drainRows, type Emission, tellExpired } from './table-emission.ts';

export interface ErasedTransformerSpec {
  readonly stores?: readonly StoreHandle[];
  readonly create: (context: TaskContext) => (value: unknown, key: unknown) => unknown;
}

export interface TableTransformSettings {
  readonly spec: ErasedTransformerSpec;
  readonly sendsPrior: boolean;
  /** Undefined: the transformed rows are not kept. */
  readonly store: string | undefined;
  readonly emit: Emission;
}

export function tableTransformOperator(settings: TableTransformSettings): ProcessorFactory {
  const { spec, sendsPrior, store: storeName, emit } = settings;
  return (context): NodeProcessor => {
    const transform = spec.create(new NodeTaskContext(context));
    const cell = new ChangeCell();
    const { record } = context;
    if (storeName === undefined) {
      return {
        process(key, change) {
          const { value, prior, isLatest } = change as Change;
          const now = transform(value, key);
          context.forward(key, sendsPrior ? cell.withPrior(now, transform(prior, key), isLatest) : cell.withoutPrior(now, isLatest));
        },
      };
    }
    const store = rowStore(context, storeName);
    tellExpired(context, storeName, emit, sendsPrior);
    const process = (key: unknown, change: unknown): void => {
      const now = transform((change as Change).value, key);
      const entry = store.find(key);
      const before = entry.present ? entry.value : null;
      const written = store.writeEntry(entry, now, record.timestamp);
      if (emit !== 'onUpdate' || written === 'tooOld') return;
      const isLatest = written === 'latest';
      context.forward(key, sendsPrior ? cell.withPrior(now, before, isLatest) : cell.withoutPrior(now, isLatest));
    };
    return emit === 'onCommit' ? { process, drain: drainRows(keyValueStore(context, storeName), context, sendsPrior) } : { process };
  };
}

/** The rows of a transformed table that keeps none, for whoever looks them up: with a transformer of its own, over the same stores. */
export function readTransformed(parent: RowReader, spec: ErasedTransformerSpec, context: NodeContext): RowReader {
  const transform = spec.create(new NodeTaskContext(context));
  let value: unknown;
  let timestamp = -1;
  return {
    get value() {
      return value;
    },
    get timestamp() {
      return timestamp;
    },
    find(key, asOf) {
      const isThere = parent.find(key, asOf);
      timestamp = isThere ? parent.timestamp : -1;
      value = transform(isThere ? parent.value : null, key);
      return value !== null && value !== undefined;
    },
  };
}
