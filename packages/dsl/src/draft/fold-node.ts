// What all aggregates of streams are made of, windowed or not, grouped or cogrouped: the store's spec, the operator, the rows to look up.
import type { ErasedSerde } from '@millrace/core';
import type { ProcessorFactory, StoreSpec } from '@millrace/topology';
import type { ErasedAdder } from '../erased.ts';
import type { ErasedFold } from '../operators/fold.ts';
import { readStored, readStoredSessions, readStoredWindows } from '../operators/row-readers.ts';
import { sessionAggregateOperator } from '../operators/session-aggregate.ts';
import { slidingAggregateOperator } from '../operators/sliding-aggregate.ts';
import { streamAggregateOperator } from '../operators/stream-aggregate.ts';
import type { Emission } from '../operators/table-emission.ts';
import { windowAggregateOperator } from '../operators/window-aggregate.ts';
import type { SessionSettings, WindowSettings } from '../windows.ts';
import type { PlanDraft } from './plan-draft.ts';
import { sessionKey, windowedKey } from './serde-hints.ts';
import { rowsSpec, type StoreDraft, sessionSpec, windowSpec } from './store-draft.ts';
import type { RowView, TableRows } from './table-rows.ts';

export type FoldWindows = WindowSettings | SessionSettings | undefined;

/** The fold of one input; sessions need `merge`. */
export interface InputFold extends ErasedFold {
  readonly merge?: ErasedAdder | undefined;
}

export interface FoldSettings {
  readonly store: string;
  readonly fold: InputFold;
  readonly sendsPrior: boolean;
  readonly emit: Emission;
}

export function storeKindOf(windows: FoldWindows): 'keyValue' | 'window' | 'session' {
  if (windows === undefined) return 'keyValue';
  return windows.kind === 'session' ? 'session' : 'window';
}

/** Throws ERR_OPTION for a retention that is shorter than the windows need. */
export function foldSpec(
  draft: PlanDraft,
  store: StoreDraft,
  windows: FoldWindows,
  serdes: { readonly key: ErasedSerde | undefined; readonly value: ErasedSerde | undefined },
): StoreSpec {
  const { key, value } = serdes;
  if (windows === undefined) return rowsSpec(draft, store, key, value);
  return windows.kind === 'session' ? sessionSpec(draft, store, windows, key, value) : windowSpec(draft, store, windows, key, value);
}

/** Serde of the result's keys. */
export function foldedKey(key: ErasedSerde | undefined, windows: FoldWindows): ErasedSerde | undefined {
  if (windows === undefined) return key;
  return windows.kind === 'session' ? sessionKey(key) : windowedKey(key, windows.sizeMs);
}

export function createFold(settings: FoldSettings, windows: FoldWindows): ProcessorFactory {
  if (windows === undefined) return streamAggregateOperator(settings);
  const { fold } = settings;
  switch (windows.kind) {
    case 'session':
      // Sound: whoever writes an aggregate over sessions gives `merge` (checked by types, and for cogroups at build).
      return sessionAggregateOperator({ ...settings, fold: { ...fold, merge: fold.merge as ErasedAdder }, windows });
    case 'sliding':
      return slidingAggregateOperator({ ...settings, windows });
    default:
      return windowAggregateOperator({ ...settings, windows });
  }
}

/** How long behind its end a window may still change. */
export function graceOf(windows: Exclude<FoldWindows, undefined>): number {
  return windows.kind === 'session' ? windows.graceMs + windows.gapMs : windows.graceMs;
}

/** Rows of an aggregate are always kept. */
export class FoldRows implements TableRows {
  sendsPrior = false;
  readonly historyMs: number | undefined;
  readonly #store: string;
  readonly #kind: ReturnType<typeof storeKindOf>;

  constructor(store: StoreDraft, windows: FoldWindows) {
    this.historyMs = store.declared?.historyMs;
    this.#store = store.name;
    this.#kind = storeKindOf(windows);
  }

  sendPrior(): boolean {
    this.sendsPrior = true;
    return true;
  }

  view(): RowView {
    const store = this.#store;
    const open = { keyValue: readStored, window: readStoredWindows, session: readStoredSessions }[this.#kind];
    return { stores: [store], open: (context, asOf) => open(context, store, asOf) };
  }
}
