// Joins of a stream with a global table: the row found by a key of the record's choosing, as it is now on this instance.
// Only the stream triggers; key, time and headers are the record's. Without a row key a left join finds nothing, an inner one drops (semantics 11.2).
import type { NodeContext, ProcessorFactory } from '@millrace/topology';
import type { ErasedJoiner, ErasedRowMapper } from '../erased.ts';

export interface StreamGlobalJoinSettings {
  /** The global table's. */
  readonly store: string;
  readonly on: ErasedRowMapper;
  readonly joiner: ErasedJoiner;
  readonly kind: 'inner' | 'left';
}

interface GlobalRows {
  get(key: unknown): unknown;
}

export function streamGlobalJoinOperator({ store, on, joiner, kind }: StreamGlobalJoinSettings): ProcessorFactory {
  const isLeft = kind === 'left';
  return (context: NodeContext) => {
    const rows = context.store(store) as GlobalRows; // sound: every global store can be read by key
    return {
      process(key, value) {
        if (isNothing(value)) {
          context.drop('skipped', 'a record without value cannot be joined');
          return;
        }
        const rowKey = on(value, key);
        if (isNothing(rowKey) && !isLeft) {
          context.drop('nullKey');
          return;
        }
        const row = isNothing(rowKey) ? undefined : rows.get(rowKey);
        if (row !== undefined || isLeft) context.forward(key, joiner(value, row, key));
      },
    };
  };
}

const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined;
