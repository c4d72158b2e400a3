// Joins of a stream with a table: looks up the row of the record's key now; in a versioned table, the one that held at the record's time.
// Only the stream triggers; time and headers are the record's. Records without value, and in inner joins without key, are dropped and counted (semantics 11.2).
import type { NodeContext, ProcessorFactory } from '@millrace/topology';
import type { RowReader, RowView } from '../draft/table-rows.ts';
import type { ErasedJoiner } from '../erased.ts';
import { WaitingRecords } from './waiting-records.ts';

export interface StreamTableJoinSettings {
  readonly view: RowView;
  readonly joiner: ErasedJoiner;
  readonly kind: 'inner' | 'left';
  /** Rows are looked up as of the record's time. */
  readonly isVersioned: boolean;
  /** Records wait in a store until stream time has passed them by `graceMs`, and are joined in order of time. */
  readonly waiting?: { readonly store: string; readonly graceMs: number } | undefined;
}

export function streamTableJoinOperator(settings: StreamTableJoinSettings): ProcessorFactory {
  const { view, joiner, kind, isVersioned, waiting } = settings;
  const isLeft = kind === 'left';
  return (context) => {
    const rows = view.open(context);
    const join = (key: unknown, value: unknown): void => joinOne(context, rows, { joiner, isLeft, isVersioned }, key, value);
    const records = waiting === undefined ? undefined : new WaitingRecords(context, waiting.store, waiting.graceMs);
    return {
      process(key, value) {
        if (value === null || value === undefined) context.drop('skipped', 'a record without value cannot be joined');
        else if (key === null || key === undefined) {
          if (isLeft) context.forward(key, joiner(value, undefined, key));
          else context.drop('nullKey');
        } else if (records === undefined || !records.keep(key, value)) join(key, value);
        else records.giveDue(join);
      },
      timeMoved(streamTime) {
        if (records === undefined) return;
        records.timeMoved(streamTime);
        records.giveDue(join);
      },
    };
  };
}

interface Lookup {
  readonly joiner: ErasedJoiner;
  readonly isLeft: boolean;
  readonly isVersioned: boolean;
}

function joinOne(context: NodeContext, rows: RowReader, { joiner, isLeft, isVersioned }: Lookup, key: unknown, value: unknown): void {
  const isFound = isVersioned ? rows.find(key, context.record.timestamp) : rows.find(key);
  if (isFound) context.forward(key, joiner(value, rows.value, key));
  else if (isLeft) context.forward(key, joiner(value, undefined, key));
}
