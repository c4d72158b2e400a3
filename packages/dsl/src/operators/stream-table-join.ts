// Joins of a stream with a table: looks up the row of the record's key now. Only the stream triggers; time and headers are the record's.
// Records without value, and in inner joins without key, are dropped and counted (semantics 11.2).
import type { ProcessorFactory } from '@millrace/topology';
import type { RowView } from '../draft/table-rows.ts';
import type { ErasedJoiner } from '../erased.ts';

export interface StreamTableJoinSettings {
  readonly view: RowView;
  readonly joiner: ErasedJoiner;
  readonly kind: 'inner' | 'left';
}

export function streamTableJoinOperator({ view, joiner, kind }: StreamTableJoinSettings): ProcessorFactory {
  const isLeft = kind === 'left';
  return (context) => {
    const rows = view.open(context);
    return {
      process(key, value) {
        if (value === null || value === undefined) context.drop('skipped', 'a record without value cannot be joined');
        else if (key === null || key === undefined) {
          if (isLeft) context.forward(key, joiner(value, undefined, key));
          else context.drop('nullKey');
        } else if (rows.find(key)) context.forward(key, joiner(value, rows.value, key));
        else if (isLeft) context.forward(key, joiner(value, undefined, key));
      },
    };
  };
}
