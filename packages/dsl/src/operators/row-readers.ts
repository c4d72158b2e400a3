// Cursors over a table's rows by key: straight from a store, or through the operators of a table that keeps none.

import type { Windowed } from '@millrace/core';
import type { StagedKeyValueStore, StagedSessionStore, StagedWindowStore } from '@millrace/state';
import type { NodeContext } from '@millrace/topology';
import type { RowReader } from '../draft/table-rows.ts';
import type { ErasedRowMapper, ErasedRowPredicate } from '../erased.ts';

/** Sound: the runtime opens a store of the shape its spec says, and the node connected to it knows that spec. */
export function keyValueStore(context: NodeContext, name: string): StagedKeyValueStore<unknown, unknown> {
  return context.store(name) as StagedKeyValueStore<unknown, unknown>;
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
  constructor(store: StagedKeyValueStore<unknown, unknown>) {
    this.#store = store;
  }
  find(key: unknown): boolean {
    const entry = this.#store.find(key);
    this.value = entry.value;
    this.timestamp = entry.timestamp;
    return entry.present;
  }
}

class StoredWindowRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedWindowStore<unknown, unknown>;
  constructor(store: StagedWindowStore<unknown, unknown>) {
    this.#store = store;
  }
  find(key: unknown): boolean {
    const windowed = key as Windowed<unknown>;
    const entry = this.#store.find(windowed.key, windowed.window.start);
    if (entry === undefined) return false;
    this.value = entry.value;
    this.timestamp = entry.timestamp;
    return entry.present;
  }
}

class StoredSessionRow implements RowReader {
  value: unknown = undefined;
  timestamp = -1;
  readonly #store: StagedSessionStore<unknown, unknown>;
  constructor(store: StagedSessionStore<unknown, unknown>) {
    this.#store = store;
  }
  find(key: unknown): boolean {
    const session = key as Windowed<unknown>;
    const entry = this.#store.find(session.key, session.window);
    this.value = entry.value;
    this.timestamp = session.window.end;
    return entry.present;
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
  find(key: unknown): boolean {
    return this.#parent.find(key) && this.#predicate(this.#parent.value, key) === this.#keep;
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
  find(key: unknown): boolean {
    if (!this.#parent.find(key)) return false;
    this.value = this.#mapper(this.#parent.value, key);
    return this.value !== null && this.value !== undefined;
  }
}

export const readStored = (context: NodeContext, store: string): RowReader => new StoredRow(keyValueStore(context, store));
export const readStoredWindows = (context: NodeContext, store: string): RowReader => new StoredWindowRow(windowStore(context, store));
export const readStoredSessions = (context: NodeContext, store: string): RowReader => new StoredSessionRow(sessionStore(context, store));
export const readFiltered = (parent: RowReader, predicate: ErasedRowPredicate, keep: boolean): RowReader => new FilteredRow(parent, predicate, keep);
export const readMapped = (parent: RowReader, mapper: ErasedRowMapper): RowReader => new MappedRow(parent, mapper);
