// Store handles: the value a user declares to name state, and the typed tag by which operators, tasks and queries find it.
// A handle is inert: importing it costs nothing, and two apps may use the same one.
import { type Duration, durationMs, type ErasedSerde, MillraceError, type Serde } from '@millrace/core';
import { checkEngine, type Engine } from '@millrace/state';
import { checkName, topologyError } from './validate.ts';

/** Settings of a Kafka topic by their Kafka names. */
export type Overrides = Readonly<Record<string, string | number | boolean>>;

/** What a store is declared with. Its serdes must read what they wrote. */
export interface StoreOptions<K, V> {
  /** For window and session stores: of the key without its window. */
  readonly key: Serde<K>;
  readonly value: Serde<V>;
  /** True (default): every write is logged to a compacted topic, whose settings `config` overrides. False: the store is lost with its disk. */
  readonly changelog?: boolean | { readonly config: Overrides };
  /** True (default): readable over HTTP. */
  readonly queryable?: boolean;
  /** Where this store lies: the app's engine unless given. Stores of one task may lie in different ones. In tests all lie in memory. */
  readonly engine?: Engine;
}
export interface KeyValueOptions<K, V> extends StoreOptions<K, V> {
  /**
   * At most so many rows in each task: one more deletes the row that was read or written longest ago, also from the changelog. The order of use is
   * kept in memory, one key a row; after a restart it begins as that of the rows' times. Nothing below a table hears of it. No bound unless given.
   */
  readonly entriesMax?: number;
  /**
   * A row goes once stream time has passed the time of its last write by this much: from then on no read shows it, and soon after it is deleted, also
   * from the changelog. Of a table, what hangs below gets the delete; so a topic that it is written to needs a nullable value. A write that is older
   * than this is dropped and counted (`expired`). Who is due when is kept in memory, one key a row. For tables read from a topic, aggregates and
   * processors; the result of a table join cannot have it. No end unless given.
   */
  readonly ttl?: Duration;
}
export interface SessionStoreOptions<K, V> extends StoreOptions<K, V> {
  /** How long rows are kept. Default and minimum is what the windows need (size + grace; sessions: gap + grace). */
  readonly retention?: Duration;
}
export interface WindowStoreOptions<K, V> extends SessionStoreOptions<K, V> {
  /** End minus start of its windows. Only for a store that a processor keeps; an aggregate knows its windows. */
  readonly windowSize?: Duration;
  /** Several values per key and window start, in the order in which they were put; for a store that a processor keeps. False unless given. */
  readonly duplicates?: boolean;
}

export interface VersionedOptions<K, V> extends StoreOptions<K, V> {
  /** How far back, in event time, old values are kept and late writes are accepted. The newest value of a key stays for ever. */
  readonly history: Duration;
}

export type StoreKind = 'keyValue' | 'window' | 'session' | 'versioned';
/** Names a store; made by `store.*`. */
export interface StoreHandle<Kind extends StoreKind = StoreKind, N extends string = string> {
  readonly kind: Kind;
  readonly name: N;
}
export interface TypedHandle<Kind extends StoreKind, in K, in out V, N extends string> extends StoreHandle<Kind, N> {
  readonly '~types'?: { readonly key: (key: K) => void; readonly value: (value: V) => V };
}
export type KeyValueHandle<K, V, N extends string = string> = TypedHandle<'keyValue', K, V, N>;
export type WindowHandle<K, V, N extends string = string> = TypedHandle<'window', K, V, N>;
export type SessionHandle<K, V, N extends string = string> = TypedHandle<'session', K, V, N>;
export type VersionedHandle<K, V, N extends string = string> = TypedHandle<'versioned', K, V, N>;

/** What a handle was declared with, types erased. */
export interface StoreDeclaration extends StoreHandle {
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly changelog: false | { readonly config: Readonly<Record<string, string>> };
  readonly queryable: boolean;
  readonly engine: Engine | undefined;
  /** Window and session stores: undefined means what the windows need. */
  readonly retentionMs: number | undefined;
  /** Window stores that a processor keeps. */
  readonly windowSizeMs: number | undefined;
  readonly duplicates: boolean | undefined;
  /** Key-value stores. */
  readonly entriesMax: number | undefined;
  readonly ttlMs: number | undefined;
  /** Versioned stores. */
  readonly historyMs: number | undefined;
}

/**
 * Declares a store.
 *
 * @example
 * ```ts
 * export const spent = store.keyValue('spent', { key: serde.string(), value: serde.safeInt() });
 * export const newest = store.keyValue('newest', { key: serde.string(), value: serde.json<Visit>(), entriesMax: 10_000 });
 * export const seen = store.keyValue('seen', { key: serde.string(), value: serde.safeInt(), ttl: '1 day' });
 * export const perDay = store.window('per-day', { key: serde.string(), value: serde.safeInt(), retention: '30 days' });
 * export const visits = store.session('visits', { key: serde.string(), value: serde.json<Visit>() });
 * export const prices = store.versioned('prices', { key: serde.string(), value: serde.float64(), history: '7 days' });
 * ```
 */
export const store = {
  keyValue<K, V, const N extends string>(name: N, options: KeyValueOptions<K, V>): KeyValueHandle<K, V, N> {
    const entriesMax = options?.entriesMax;
    if (entriesMax !== undefined && !(Number.isSafeInteger(entriesMax) && entriesMax > 0))
      throw new MillraceError('ERR_OPTION', `store ${name}: entriesMax is ${entriesMax}; it takes a whole number from 1.`, {
        store: name,
        option: 'entriesMax',
      });
    const ttlMs = options?.ttl === undefined ? undefined : durationMs(options.ttl, `store ${name}: ttl`);
    if (ttlMs === 0) throw new MillraceError('ERR_OPTION', `store ${name}: ttl is 0; it must be at least 1 ms.`, { store: name, option: 'ttl' });
    return declare('keyValue', name, options, { entriesMax, ttlMs });
  },
  window<K, V, const N extends string>(name: N, options: WindowStoreOptions<K, V>): WindowHandle<K, V, N> {
    const { windowSize, duplicates } = options ?? {};
    const windowSizeMs = windowSize === undefined ? undefined : durationMs(windowSize, `store ${name}: windowSize`);
    return declare('window', name, options, { retentionMs: retentionOf(name, options), windowSizeMs, duplicates });
  },
  session<K, V, const N extends string>(name: N, options: SessionStoreOptions<K, V>): SessionHandle<K, V, N> {
    return declare('session', name, options, { retentionMs: retentionOf(name, options) });
  },
  versioned<K, V, const N extends string>(name: N, options: VersionedOptions<K, V>): VersionedHandle<K, V, N> {
    return declare('versioned', name, options, { historyMs: durationMs(options?.history, `store ${name}: history`) });
  },
} as const;

function retentionOf(name: string, options: { readonly retention?: Duration }): number | undefined {
  return options?.retention === undefined ? undefined : durationMs(options.retention, `store ${name}: retention`);
}

function declare<Kind extends StoreKind, K, V, N extends string>(
  kind: Kind,
  name: N,
  options: StoreOptions<K, V>,
  shape: Partial<Pick<StoreDeclaration, 'retentionMs' | 'historyMs' | 'windowSizeMs' | 'duplicates' | 'entriesMax' | 'ttlMs'>>,
): TypedHandle<Kind, K, V, N> {
  checkName(name, 'store');
  checkSerdes(kind, name, options);
  checkNames(kind, name, options);
  checkEngine(options.engine, `store ${name}`);
  const logged = options.changelog ?? true;
  const declaration: StoreDeclaration & StoreHandle<Kind, N> = Object.freeze({
    kind,
    name,
    key: options.key,
    value: options.value,
    changelog: logged === false ? false : { config: settings(logged === true ? {} : logged.config) },
    queryable: options.queryable ?? true,
    engine: options.engine,
    retentionMs: shape.retentionMs,
    entriesMax: shape.entriesMax,
    ttlMs: shape.ttlMs,
    historyMs: shape.historyMs,
    windowSizeMs: shape.windowSizeMs,
    duplicates: shape.duplicates,
  });
  return declaration; // '~types' is a tag for the compiler and never there
}

const SHARED_OPTIONS = ['key', 'value', 'changelog', 'queryable', 'engine'];
const OPTIONS: Readonly<Record<StoreKind, readonly string[]>> = {
  keyValue: [...SHARED_OPTIONS, 'entriesMax', 'ttl'],
  window: [...SHARED_OPTIONS, 'retention', 'windowSize', 'duplicates'],
  session: [...SHARED_OPTIONS, 'retention'],
  versioned: [...SHARED_OPTIONS, 'history'],
};

/** What types refuse, for those who write without them: an option that means nothing here would be taken for granted. */
function checkNames(kind: StoreKind, name: string, options: object): void {
  const unknown = Object.keys(options).find((option) => !OPTIONS[kind].includes(option));
  if (unknown === undefined) return;
  throw new MillraceError('ERR_OPTION', `store.${kind}('${name}') has no option ${JSON.stringify(unknown)}; it takes ${OPTIONS[kind].join(', ')}.`, {
    store: name,
    option: unknown,
  });
}

function checkSerdes(kind: StoreKind, name: string, options: object | undefined): void {
  if (typeof options === 'object' && options !== null) return;
  throw new MillraceError('ERR_OPTION', `store.${kind}('${name}') needs its serdes: { key: serde.string(), value: serde.json() }, for example.`, {
    store: name,
  });
}

/** What is behind a handle. Throws ERR_TOPOLOGY for what `store.*` did not make. */
export function storeDeclaration(handle: StoreHandle): StoreDeclaration {
  const declaration = handle as StoreDeclaration;
  if (declaration?.changelog !== undefined) return declaration;
  const name = String(handle?.name);
  throw topologyError(
    `Store "${name}" was never declared. Declare it with store.${handle?.kind ?? 'keyValue'}('${name}', { key, value }) and use that value.`,
    {
      store: name,
    },
  );
}

/** Topic settings as Kafka takes them: text. */
export function settings(overrides: Overrides): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, String(value)]));
}
