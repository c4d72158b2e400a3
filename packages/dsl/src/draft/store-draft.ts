// The store behind a table operator: its name, given or generated, and its spec once the serdes are known.
import { type Duration, durationMs, type ErasedSerde, MillraceError } from '@millrace/core';
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
  /** Of a store that nobody named. */
  readonly changelog?: boolean;
  readonly retention?: Duration;
}

export interface StoreDraft {
  readonly name: string;
  /** Undefined: nobody named it. */
  readonly declared: StoreDeclaration | undefined;
  readonly key: ErasedSerde | undefined;
  readonly value: ErasedSerde | undefined;
  readonly changelog: StoreDeclaration['changelog'];
  readonly queryable: boolean;
  /** Undefined: what the windows need. */
  readonly retentionMs: number | undefined;
}

/** Name and serdes of a store; takes an index for a generated name when the user gave no handle. */
export function nameStore(draft: PlanDraft, prefix: string, options: StoreOptionsErased, kind: StoreHandle['kind']): StoreDraft {
  const declared = declaredStore(options, kind);
  return storeDraft(declared?.name ?? draft.names.store(prefix), declared, options);
}

/** Is anything said of a store that is not named? */
export function isUnnamedStore({ store, key, value, changelog, retention }: StoreOptionsErased): boolean {
  return store === undefined && [key, value, changelog, retention].some((each) => each !== undefined);
}

export function storeDraft(name: string, declared: StoreDeclaration | undefined, options: StoreOptionsErased): StoreDraft {
  if (declared !== undefined) {
    checkSaidOnce(declared, options);
    const { key, value, changelog, queryable, retentionMs } = declared;
    return { name, declared, key: key ?? options.key, value: value ?? options.value, changelog, queryable, retentionMs };
  }
  const { key, value, changelog, retention } = options;
  const retentionMs = retention === undefined ? undefined : durationMs(retention, 'retention');
  return { name, declared, key, value, changelog: changelog === false ? false : { config: {} }, queryable: false, retentionMs };
}

/** A store with a name says itself how it is kept. */
function checkSaidOnce(declared: StoreDeclaration, options: StoreOptionsErased): void {
  const twice = (['changelog', 'retention'] as const).find((option) => options[option] !== undefined);
  if (twice === undefined) return;
  throw new MillraceError('ERR_OPTION', `{ ${twice} } is given beside { store }: move it to where store "${declared.name}" is declared.`, {
    store: declared.name,
    option: twice,
  });
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

export function keyValueSpec(
  draft: PlanDraft,
  store: StoreDraft,
  key: ErasedSerde | undefined,
  value: ErasedSerde | undefined,
  sourceTopic?: string,
): KeyValueSpec {
  const { changelog, queryable } = store;
  return Object.freeze({
    kind: 'keyValue',
    name: store.name,
    key: draft.keySerde(key),
    value: draft.valueSerde(value),
    changelog,
    queryable,
    sourceTopic,
    engine: store.declared?.engine,
    entriesMax: store.declared?.entriesMax,
    ttlMs: store.declared?.ttlMs,
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
  const { changelog, queryable } = store;
  const retentionMs = retentionOf(store, retentionNeededMs(windows), `windows (${windows.kind === 'sliding' ? 'twice the difference' : 'size'} + grace)`);
  return Object.freeze({
    kind: 'window',
    name: store.name,
    key: draft.keySerde(key),
    value: draft.valueSerde(value),
    changelog,
    queryable,
    engine: store.declared?.engine,
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
  const { changelog, queryable } = store;
  const retentionMs = retentionOf(store, windows.gapMs + windows.graceMs, 'sessions (gap + grace)');
  return Object.freeze({
    kind: 'session',
    name: store.name,
    key: draft.keySerde(key),
    value: draft.valueSerde(value),
    changelog,
    queryable,
    engine: store.declared?.engine,
    retentionMs,
  });
}

function retentionOf(store: StoreDraft, needed: number, what: string): number {
  const retentionMs = store.retentionMs ?? needed;
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
  const { engine } = declared;
  const shared = { name, key: draft.keySerde(declared.key), value: draft.valueSerde(declared.value), changelog, queryable, engine, retentionMs };
  if (!isWindow) return Object.freeze({ kind: 'session', ...shared });
  return Object.freeze({ kind: 'window', ...shared, windowSizeMs: windowSizeMs as number, duplicates: declared.duplicates ?? false });
}
