// The store behind a table operator: its name, given or generated, and its spec once the serdes are known.
import { type ErasedSerde, MillraceError } from '@millrace/core';
import {
  type KeyValueSpec,
  type SessionSpec,
  type StoreDeclaration,
  type StoreHandle,
  storeDeclaration,
  topologyError,
  type VersionedSpec,
  type WindowSpec,
} from '@millrace/topology';
import { retentionNeededMs, type SessionSettings, type WindowSettings } from '../windows.ts';
import type { PlanDraft } from './plan-draft.ts';

export interface StoreOptionsErased {
  readonly key?: ErasedSerde;
  readonly value?: ErasedSerde;
  readonly store?: StoreHandle;
}

export interface StoreDraft {
  readonly name: string;
  /** Undefined: nobody named it. */
  readonly declared: StoreDeclaration | undefined;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
}

/** Name and serdes of a store; takes an index for a generated name when the user gave no handle. */
export function nameStore(draft: PlanDraft, prefix: string, options: StoreOptionsErased, kind: StoreHandle['kind']): StoreDraft {
  const declared = declaredStore(options, kind);
  return { name: declared?.name ?? draft.names.store(prefix), declared, key: declared?.key ?? options.key, value: declared?.value ?? options.value };
}

export function declaredStore(options: StoreOptionsErased, kind: StoreHandle['kind']): StoreDeclaration | undefined {
  if (options.store === undefined) return undefined;
  const declared = storeDeclaration(options.store);
  const fits = declared.kind === kind || (kind === 'keyValue' && declared.kind === 'versioned');
  if (!fits) {
    throw topologyError(
      `Store "${declared.name}" is declared with store.${declared.kind}(), but this operator keeps its rows in a ${kind} store. Declare it with store.${kind}().`,
      { store: declared.name },
    );
  }
  return declared;
}

export const UNNAMED = { changelog: { config: {} }, queryable: false } as const;

export function keyValueSpec(
  draft: PlanDraft,
  store: StoreDraft,
  key: ErasedSerde | undefined,
  value: ErasedSerde | undefined,
  sourceTopic?: string,
): KeyValueSpec {
  const { changelog, queryable } = store.declared ?? UNNAMED;
  return Object.freeze({
    kind: 'keyValue',
    name: store.name,
    key: draft.keySerde(key),
    value: draft.valueSerde(value),
    changelog,
    queryable,
    sourceTopic,
    entriesMax: store.declared?.entriesMax,
  });
}

/** The store of a table: plain, or versioned if its handle says so. */
export function rowsSpec(draft: PlanDraft, store: StoreDraft, key: ErasedSerde | undefined, value: ErasedSerde | undefined): KeyValueSpec | VersionedSpec {
  const plain = keyValueSpec(draft, store, key, value);
  const historyMs = store.declared?.historyMs;
  return historyMs === undefined ? plain : Object.freeze({ ...plain, kind: 'versioned', historyMs });
}

export function windowSpec(
  draft: PlanDraft,
  store: StoreDraft,
  windows: WindowSettings,
  key: ErasedSerde | undefined,
  value: ErasedSerde | undefined,
): WindowSpec {
  const { changelog, queryable } = store.declared ?? UNNAMED;
  const retentionMs = retentionOf(store, retentionNeededMs(windows), `windows (${windows.kind === 'sliding' ? 'twice the difference' : 'size'} + grace)`);
  return Object.freeze({
    kind: 'window',
    name: store.name,
    key: draft.keySerde(key),
    value: draft.valueSerde(value),
    changelog,
    queryable,
    windowSizeMs: windows.sizeMs,
    retentionMs,
    duplicates: false,
  });
}

export function sessionSpec(
  draft: PlanDraft,
  store: StoreDraft,
  windows: SessionSettings,
  key: ErasedSerde | undefined,
  value: ErasedSerde | undefined,
): SessionSpec {
  const { changelog, queryable } = store.declared ?? UNNAMED;
  const retentionMs = retentionOf(store, windows.gapMs + windows.graceMs, 'sessions (gap + grace)');
  return Object.freeze({ kind: 'session', name: store.name, key: draft.keySerde(key), value: draft.valueSerde(value), changelog, queryable, retentionMs });
}

function retentionOf(store: StoreDraft, needed: number, what: string): number {
  const retentionMs = store.declared?.retentionMs ?? needed;
  if (retentionMs >= needed) return retentionMs;
  throw new MillraceError(
    'ERR_OPTION',
    `Store "${store.name}" keeps rows for ${retentionMs} ms, but it needs ${needed} ms for its ${what}. Raise { retention } or leave it out.`,
    { store: store.name, option: 'retention' },
  );
}

/** A window or session store that only processors keep: nobody else knows how long its rows are needed. */
export function ownWindowSpec(draft: PlanDraft, declared: StoreDeclaration): WindowSpec | SessionSpec {
  const { kind, name, changelog, queryable, retentionMs, windowSizeMs } = declared;
  const isWindow = kind === 'window';
  if (retentionMs === undefined || (isWindow && windowSizeMs === undefined)) {
    throw topologyError(
      `Store "${name}" is connected to a processor, and no aggregate keeps it. Say how it keeps its rows: store.${kind}('${name}', { ${isWindow ? 'windowSize, retention' : 'retention'}, … }).`,
      { store: name },
    );
  }
  const shared = { name, key: draft.keySerde(declared.key), value: draft.valueSerde(declared.value), changelog, queryable, retentionMs };
  if (!isWindow) return Object.freeze({ kind: 'session', ...shared });
  return Object.freeze({ kind: 'window', ...shared, windowSizeMs: windowSizeMs as number, duplicates: declared.duplicates ?? false });
}
