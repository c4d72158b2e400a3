// Cursors over a table's rows by key: straight from a store, or through the operators of a table that keeps none.

import type { Windowed } from '@millrace/core';
import type { StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, StagedWindowStore, Written } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import type { RowReader, RowsAsOf } from '../draft/table-rows.ts';
import type { ErasedRowMapper, ErasedRowPredicate } from '../erased.ts';

/** Sound: the runtime opens a store of the shape its spec says, and the node connected to it knows that spec. */
export function keyValueStore(context: NodeContext, name: string): StagedKeyValueStore<unknown, unknown> {
  return context.store(name) as StagedKeyValueStore<unknown, unknown>;
}

/** A row as an operator holds it between looking and writing. */
export interface FoundRow {
  readonly key: unknown;
  readonly present: boolean;
  readonly value: unknown;
  readonly timestamp: number;
}
/** What table operators ask of the store behind them, plain or versioned. */
export interface RowStore {
  find(key: unknown): FoundRow;
  write(key: unknown, value: unknown, timestamp: number): Written;
  /** `found` is what `find` of this very store has given. */
  writeEntry(found: FoundRow, value: unknown, timestamp: number): Written;
}
/** Sound: entries go back to the store they came from. */
export function rowStore(context: NodeContext, name: string): RowStore {
  return context.store(name) as RowStore;
}
export function versionedStore(context: NodeContext, name: string): StagedVersionedStore<unknown, unknown> {
  return context.store(name) as StagedVersionedStore<unknown, unknown>;
}
export function windowStore(context: NodeContext, name: string): StagedWindowStore<unknown, unknown> {
  return context.store(name) as StagedWindowStore<unknown, unknown>;
}

export function sessionStore(context: NodeContext, name: string): StagedSessionStore<unknown, unknown> {
  return context.store(name) as StagedSessionStore<unknown, unknown>;
}

class StoredRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedKeyValueStore<unknown, unknown>;
  readonly #isShown: boolean;
  constructor(store: StagedKeyValueStore<unknown, unknown>, asOf: RowsAsOf) {
    this.#store = store;
    this.#isShown = asOf === 'shown';
  }
  find(key: unknown): boolean {
    const entry = this.#store.find(key);
    if (this.#isShown && this.#store.awaitsDrain(entry)) {
      this.value = entry.priorValue;
      this.timestamp = entry.priorTimestamp;
      return entry.priorPresent;
    }
    this.value = entry.value;
    this.timestamp = entry.timestamp;
    return entry.present;
  }
}

class StoredVersion implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedVersionedStore<unknown, unknown>;
  constructor(store: StagedVersionedStore<unknown, unknown>) {
    this.#store = store;
  }
  find(key: unknown, asOf?: number): boolean {
    const row = this.#store.find(key, asOf);
    this.value = row.value;
    this.timestamp = row.timestamp;
    return row.present;
  }
}

class StoredWindowRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedWindowStore<unknown, unknown>;
  readonly #isShown: boolean;
  constructor(store: StagedWindowStore<unknown, unknown>, asOf: RowsAsOf) {
    this.#store = store;
    this.#isShown = asOf === 'shown';
  }
  find(key: unknown): boolean {
    const windowed = key as Windowed<unknown>;
    const entry = this.#store.find(windowed.key, windowed.window.start);
    if (entry === undefined) return false;
    if (this.#isShown && this.#store.awaitsDrain(entry)) {
      this.value = entry.priorValue;
      this.timestamp = entry.priorTimestamp;
      return entry.priorPresent;
    }
    this.value = entry.value;
    this.timestamp = entry.timestamp;
    return entry.present;
  }
}

class StoredSessionRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedSessionStore<unknown, unknown>;
  readonly #isShown: boolean;
  constructor(store: StagedSessionStore<unknown, unknown>, asOf: RowsAsOf) {
    this.#store = store;
    this.#isShown = asOf === 'shown';
  }
  find(key: unknown): boolean {
    const session = key as Windowed<unknown>;
    const entry = this.#store.find(session.key, session.window);
    const isOlder = this.#isShown && this.#store.awaitsDrain(entry);
    this.value = isOlder ? entry.priorValue : entry.value;
    this.timestamp = session.window.end;
    return isOlder ? entry.priorPresent : entry.present;
  }
}

class FilteredRow implements RowReader {
  readonly #parent: RowReader;
  readonly #predicate: ErasedRowPredicate;
  readonly #keep: boolean;
  constructor(parent: RowReader, predicate: ErasedRowPredicate, keep: boolean) {
    this.#parent = parent;
    this.#predicate = predicate;
    this.#keep = keep;
  }
  get value(): unknown {
    return this.#parent.value;
  }
  get timestamp(): number {
    return this.#parent.timestamp;
  }
  find(key: unknown, asOf?: number): boolean {
    return this.#parent.find(key, asOf) && this.#predicate(this.#parent.value, key) === this.#keep;
  }
}

class MappedRow implements RowReader {
  value: unknown = undefined;
  readonly #parent: RowReader;
  readonly #mapper: ErasedRowMapper;
  constructor(parent: RowReader, mapper: ErasedRowMapper) {
    this.#parent = parent;
    this.#mapper = mapper;
  }
  get timestamp(): number {
    return this.#parent.timestamp;
  }
  find(key: unknown, asOf?: number): boolean {
    if (!this.#parent.find(key, asOf)) return false;
    this.value = this.#mapper(this.#parent.value, key);
    return this.value !== null && this.value !== undefined;
  }
}

/** Rows of a table's store, plain or versioned. */
export function readStored(context: NodeContext, store: string, asOf: RowsAsOf = 'newest'): RowReader {
  const opened = context.store(store) as { readonly kind: string };
  return opened.kind === 'versioned' ? new StoredVersion(versionedStore(context, store)) : new StoredRow(keyValueStore(context, store), asOf);
}
export const readStoredWindows = (context: NodeContext, store: string, asOf: RowsAsOf = 'newest'): RowReader =>
  new StoredWindowRow(windowStore(context, store), asOf);
export const readStoredSessions = (context: NodeContext, store: string, asOf: RowsAsOf = 'newest'): RowReader =>
  new StoredSessionRow(sessionStore(context, store), asOf);
export const readFiltered = (parent: RowReader, predicate: ErasedRowPredicate, keep: boolean): RowReader => new FilteredRow(parent, predicate, keep);
export const readMapped = (parent: RowReader, mapper: ErasedRowMapper): RowReader => new MappedRow(parent, mapper);
