// How a table operator that keeps rows hands its changes on: at once, at each commit, or not at all where nobody listens.
// At a commit only the last change of each key goes on, in order of last write, with the row as it was at the last commit;
// a row that came and went in between is never seen (semantics 16.5).
import type { Windowed } from '@millrace/core';
import { ExpiringStore, type StagedEntry, type StagedKeyValueStore, type StagedSessionStore, type StagedWindowStore, sessionEnd } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import { ChangeCell } from '../change.ts';

export type Emission = 'onUpdate' | 'onCommit' | 'onWindowClose' | 'never';

/** Drains a key-value store at commit. */
export function drainRows(store: StagedKeyValueStore<unknown, unknown>, context: NodeContext, sendsPrior: boolean): () => void {
  store.keepPrior(() => context.record.headers);
  const cell = new ChangeCell();
  const visit = (entry: StagedEntry): void => {
    if (!entry.present && !entry.priorPresent) return;
    emit(context, entry, entry.key, changeOf(cell, entry, sendsPrior), entry.timestamp);
  };
  return () => store.forEachOpen(visit);
}

/** Rows that go by themselves (`ttl`) are told at once, where changes are; at a commit they are changes like any other. */
export function tellExpired(context: NodeContext, storeName: string, emit: Emission, sendsPrior: boolean): void {
  const store = emit === 'onUpdate' ? context.store(storeName) : undefined;
  if (!(store instanceof ExpiringStore)) return;
  const cell = new ChangeCell();
  store.onExpiry((key, prior, timestamp) => context.forwardAt(key, sendsPrior ? cell.withPrior(null, prior) : cell.withoutPrior(null), timestamp));
}

/** Drains a window store at commit: keys are windowed. */
export function drainWindows(
  store: StagedWindowStore<unknown, unknown>,
  context: NodeContext,
  sendsPrior: boolean,
  windowEnd: (start: number) => number,
): () => void {
  store.keepPrior(() => context.record.headers);
  const cell = new ChangeCell();
  const visit = (entry: StagedEntry): void => {
    if (!entry.present && !entry.priorPresent) return;
    const key: Windowed<unknown> = { key: entry.key, window: { start: entry.start, end: windowEnd(entry.start) } };
    emit(context, entry, key, changeOf(cell, entry, sendsPrior), entry.timestamp);
  };
  return () => store.forEachOpen(visit);
}

/** Drains a session store at commit: keys are sessions, and so are times. */
export function drainSessions(store: StagedSessionStore<unknown, unknown>, context: NodeContext, sendsPrior: boolean): () => void {
  store.keepPrior(() => context.record.headers);
  const cell = new ChangeCell();
  const visit = (entry: StagedEntry): void => {
    if (!entry.present && !entry.priorPresent) return;
    const end = sessionEnd(entry);
    const key: Windowed<unknown> = { key: entry.key, window: { start: entry.start, end } };
    emit(context, entry, key, changeOf(cell, entry, sendsPrior), end);
  };
  return () => store.forEachOpen(visit);
}

/** Forwards a change under the headers of the record that made it. */
function emit(context: NodeContext, entry: StagedEntry, key: unknown, change: ChangeCell, timestamp: number): void {
  const { record } = context;
  const { headers } = record;
  record.headers = entry.writtenWith;
  context.forwardAt(key, change, timestamp);
  record.headers = headers;
}

function changeOf(cell: ChangeCell, entry: StagedEntry, sendsPrior: boolean): ChangeCell {
  const value = entry.present ? entry.value : null;
  return sendsPrior ? cell.withPrior(value, entry.priorPresent ? entry.priorValue : null) : cell.withoutPrior(value);
}
