// An inner join of a stream with itself, over one buffer: each record meets the kept ones as left side, then as right side, and itself once
// (semantics 10.10). Same results as two buffers give; a record without key or value counts once, not once per side.
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedJoiner } from '../erased.ts';
import type { JoinWindowSettings } from '../join-window.ts';
import { windowStore } from './row-readers.ts';

export interface StreamSelfJoinSettings {
  readonly store: string;
  readonly joiner: ErasedJoiner;
  readonly window: JoinWindowSettings;
}

export function streamSelfJoinOperator({ store: storeName, joiner, window }: StreamSelfJoinSettings): ProcessorFactory {
  const { beforeMs, afterMs, graceMs } = window;
  const retentionMs = beforeMs + afterMs + graceMs;
  return (context) => {
    const store = windowStore(context, storeName);
    const { record } = context;
    let observedTime = -1;
    return {
      process(key, value) {
        if (key === null || key === undefined || value === null || value === undefined) {
          context.drop(key === null || key === undefined ? 'nullKey' : 'skipped', 'a record without key or value cannot be joined');
          return;
        }
        const at = record.timestamp;
        if (at > observedTime) observedTime = at;
        for (const row of store.fetch(key, { from: Math.max(0, at - beforeMs), to: Math.max(0, at + afterMs) }))
          context.forwardAt(key, joiner(value, row.value, key), Math.max(at, row.key.window.start));
        // Two buffers would have kept the record for its second meeting only within the retention.
        let metItself = at <= observedTime - retentionMs + 1;
        for (const row of store.fetch(key, { from: Math.max(0, at - afterMs), to: Math.max(0, at + beforeMs) })) {
          const otherAt = row.key.window.start;
          if (otherAt > at && !metItself) {
            metItself = true;
            context.forward(key, joiner(value, value, key));
          }
          context.forwardAt(key, joiner(row.value, value, key), Math.max(at, otherAt));
        }
        if (!metItself) context.forward(key, joiner(value, value, key));
      },
    };
  };
}
