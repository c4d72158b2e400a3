// One side of a join of two streams: looks up what the other side has kept around the record's time (semantics 10.2).
// The result has the later of both times and the headers of the record in hand. A record without partner waits in the shared rows,
// if its side may stand alone; too late to wait, it goes on at once. Records without key or value are dropped and counted.
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedJoiner } from '../erased.ts';
import type { JoinWindowSettings } from '../join-window.ts';
import { windowStore } from './row-readers.ts';
import type { GiveUnmatched, SharedUnmatchedRows } from './unmatched-rows.ts';

export interface StreamJoinSideSettings {
  readonly isLeft: boolean;
  /** Buffer of the other side. */
  readonly otherStore: string;
  readonly joiner: ErasedJoiner;
  readonly window: JoinWindowSettings;
  readonly leftAlone: boolean;
  readonly rightAlone: boolean;
  /** Undefined: an inner join, nobody waits. */
  readonly unmatched: SharedUnmatchedRows | undefined;
}

export function streamJoinSideOperator(settings: StreamJoinSideSettings): ProcessorFactory {
  const { isLeft, otherStore, joiner, window } = settings;
  const aloneHere = isLeft ? settings.leftAlone : settings.rightAlone;
  const aloneThere = isLeft ? settings.rightAlone : settings.leftAlone;
  const backMs = isLeft ? window.beforeMs : window.afterMs;
  const aheadMs = isLeft ? window.afterMs : window.beforeMs;
  const join = (own: unknown, other: unknown, key: unknown): unknown => (isLeft ? joiner(own, other, key) : joiner(other, own, key));
  return (context) => {
    const store = windowStore(context, otherStore);
    const waiting = settings.unmatched?.open(context);
    const { record } = context;
    const give: GiveUnmatched = (key, value, left, timestamp) =>
      context.forwardAt(key, left ? joiner(value, undefined, key) : joiner(undefined, value, key), timestamp);
    return {
      process(key, value) {
        const at = record.timestamp;
        if (waiting !== undefined && at > waiting.observedTime) waiting.observedTime = at;
        const hasValue = value !== null && value !== undefined;
        if (key === null || key === undefined) {
          if (aloneHere && hasValue) context.forward(key, join(value, undefined, key));
          else context.drop('nullKey');
          return;
        }
        if (!hasValue) {
          context.drop('skipped', 'a record without value cannot be joined');
          return;
        }
        if (waiting !== undefined && at === waiting.observedTime) waiting.giveClosed(aheadMs, give);
        let matched = false;
        for (const row of store.fetch(key, { from: Math.max(0, at - backMs), to: Math.max(0, at + aheadMs) })) {
          matched = true;
          const otherAt = row.key.window.start;
          if (aloneThere) waiting?.matched(key, !isLeft, otherAt);
          context.forwardAt(key, join(value, row.value, key), Math.max(at, otherAt));
        }
        if (matched || !aloneHere || waiting === undefined) return;
        if (Math.max(0, at + aheadMs) < waiting.observedTime) context.forward(key, join(value, undefined, key));
        else waiting.keep(key, value, isLeft, at);
      },
      timeMoved(streamTime) {
        if (waiting === undefined) return;
        if (streamTime > waiting.observedTime) waiting.observedTime = streamTime;
        waiting.giveClosed(aheadMs, give);
      },
      close: () => settings.unmatched?.close(context),
    };
  };
}
