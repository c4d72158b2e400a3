// The stores of all partitions as one: what a query over every instance would see, settled rows only.
import type { Windowed } from '@millrace/core';
import type { KeyValueHandle, SessionHandle, WindowHandle } from '@millrace/dsl';
import { type Database, type Entry, keyValueView, sessionView, type WindowReadView, windowView } from '@millrace/state';
import type { StoreSpec } from '@millrace/topology';

export interface SimKeyValueView<K, V> {
  get(key: K): V | undefined;
  /** Every row, partition by partition, in key order within each. */
  entries(): readonly Entry<K, V>[];
}
export interface SimWindowView<K, V> {
  get(key: K, windowStart: number): V | undefined;
  entries(): readonly Entry<Windowed<K>, V>[];
}

/** Typed access by handle; throws when the topology has no such store. */
export interface SimStores {
  store<K, V>(handle: KeyValueHandle<K, V>): SimKeyValueView<K, V>;
  store<K, V>(handle: WindowHandle<K, V> | SessionHandle<K, V>): SimWindowView<K, V>;
}

/** Every row of a store over its databases. */
export function rowsOf(spec: StoreSpec, databases: readonly Database[]): readonly Entry<unknown, unknown>[] {
  return databases.flatMap((database): Entry<unknown, unknown>[] => {
    if (spec.kind === 'keyValue') return [...keyValueView<unknown, unknown>(database, spec).range()];
    return [...windowsOf(spec, database).fetchAll()];
  });
}

function windowsOf(spec: StoreSpec, database: Database): Pick<WindowReadView<unknown, unknown>, 'fetch' | 'fetchAll'> {
  if (spec.kind === 'window') return windowView(database, spec);
  if (spec.kind === 'session') return sessionView(database, spec);
  throw new Error(`store '${spec.name}' is a ${spec.kind} store, which a simulation cannot show`);
}

/** One view for all kinds; the handle's type says which of its methods the caller sees. */
export function viewOf(spec: StoreSpec, databases: readonly Database[]): SimKeyValueView<unknown, unknown> & SimWindowView<unknown, unknown> {
  return {
    get(key: unknown, windowStart?: number) {
      for (const database of databases) {
        if (spec.kind === 'keyValue') {
          const found = keyValueView<unknown, unknown>(database, spec).get(key);
          if (found !== undefined) return found.value;
        } else {
          for (const row of windowsOf(spec, database).fetch(key, { from: windowStart, to: windowStart })) return row.value;
        }
      }
      return undefined;
    },
    entries: () => rowsOf(spec, databases) as never,
  };
}
