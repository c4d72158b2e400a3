// count, reduce and aggregate over sessions: a record joins every session of its key within the gap, both ends included, and
// what it joins becomes one (semantics 8.6).
// S1 what was merged is deleted, in the store and downstream, before the new session shows; also when its bounds stay as they are.
// S2 a session is open while its end is at or above observed time - grace - gap; observed time is this operator's own.
// Results carry no headers, as in Kafka Streams. Null keys are dropped; null values reach the fold.
import { noHeaders, type Windowed } from '@millrace/core';
import type { NodeProcessor, ProcessorFactory } from '@millrace/topology';
import { ChangeCell } from '../change.ts';
import type { ErasedAdder } from '../erased.ts';
import type { SessionSettings } from '../windows.ts';
import { finalSessions } from './final-windows.ts';
import type { ErasedFold } from './fold.ts';
import { sessionStore } from './row-readers.ts';
import { drainSessions, type Emission } from './table-emission.ts';

export interface ErasedSessionFold extends ErasedFold {
  /** Two sessions become one; the initial value may be the first of them. */
  readonly merge: ErasedAdder;
}

export interface SessionAggregateSettings {
  readonly store: string;
  readonly fold: ErasedSessionFold;
  readonly windows: SessionSettings;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function sessionAggregateOperator(settings: SessionAggregateSettings): ProcessorFactory {
  const { store: storeName, fold, sendsPrior, emit } = settings;
  const { initial, add, merge } = fold;
  const { gapMs, graceMs } = settings.windows;
  return (context): NodeProcessor => {
    const store = sessionStore(context, storeName);
    const { record } = context;
    const cell = new ChangeCell();
    const finals = emit === 'onWindowClose' ? finalSessions({ context, name: storeName, store, sendsPrior }) : undefined;
    // What has closed stays closed over a restart: nothing may come after a final result, and a late record must not begin anew a session whose
    // row the store has let go.
    let observedTime = finals === undefined ? store.observedTime : Math.max(store.observedTime, finals.resumedTime(graceMs + gapMs));
    const forward = (session: Windowed<unknown>, now: unknown, before: unknown): void => {
      if (emit !== 'onUpdate') return;
      const { headers } = record;
      record.headers = noHeaders;
      context.forwardAt(session, sendsPrior ? cell.withPrior(now, before) : cell.withoutPrior(now), session.window.end);
      record.headers = headers;
    };
    const process = (key: unknown, value: unknown): void => {
      if (key === null || key === undefined) {
        context.drop('nullKey');
        return;
      }
      const at = record.timestamp;
      if (at > observedTime) observedTime = at;
      const found = [...store.findSessions(key, { earliestEnd: Math.max(0, at - gapMs), latestStart: at + gapMs })];
      let start = at;
      let end = at;
      let aggregate = initial?.();
      for (const session of found) {
        start = Math.min(start, session.key.window.start);
        end = Math.max(end, session.key.window.end);
        aggregate = initial === undefined && isNothing(aggregate) ? session.value : merge(aggregate, session.value, key, record);
      }
      const closesAt = observedTime - graceMs - gapMs;
      if (end < closesAt) {
        context.drop('late', `session [${start}, ${end}] had closed at stream time ${observedTime}`);
        finals?.advance(closesAt);
        return;
      }
      if (start !== end) {
        for (const session of found) {
          store.write(key, session.key.window, undefined, at);
          forward(session.key, null, session.value);
        }
      }
      const now = initial === undefined && isNothing(aggregate) ? value : add(aggregate, value, key, record);
      const session: Windowed<unknown> = { key, window: { start, end } };
      store.write(key, session.window, now, at);
      forward(session, now, null);
      finals?.advance(closesAt);
    };
    const timeMoved = (streamTime: number): void => {
      if (streamTime > observedTime) observedTime = streamTime;
      finals?.advance(observedTime - graceMs - gapMs);
    };
    return emit === 'onCommit' ? { process, timeMoved, drain: drainSessions(store, context, sendsPrior) } : { process, timeMoved };
  };
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;
