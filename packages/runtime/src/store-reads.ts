// One committed read of one task's store, as rows: the same code on the main thread (shared engines) and in the worker (memory engine).
// Never: reads what is staged; returns more than the limit asked for, or goes on past the bound in bytes (callers bound and page).
import { MillraceError } from '@millrace/core';
import { type Database, type Entry, keyValueView, sessionView, versionedView, type Weighing, type WindowReadView, windowView } from '@millrace/state';
import type { SessionSpec, StoreSpec, WindowSpec } from '@millrace/topology';
import type { ReadRequest, ReadRow } from './worker-messages.ts';

export function readStore(database: Database, spec: StoreSpec, query: ReadRequest['query']): readonly ReadRow[] {
  if (spec.kind === 'keyValue') return readKeyValue(database, spec, query);
  if (spec.kind === 'versioned') return readVersions(database, spec, query);
  return readWindows(spec, spec.kind === 'window' ? windowView(database, spec) : sessionView(database, spec), query);
}

function readKeyValue(database: Database, spec: StoreSpec & { kind: 'keyValue' }, query: ReadRequest['query']): readonly ReadRow[] {
  const view = keyValueView<unknown, unknown>(database, spec);
  switch (query.kind) {
    case 'entry': {
      if (query.asOfMs !== undefined) throw unsupported(spec, 'it keeps only the newest value of a key; declare it with store.versioned() to ask as of a time');
      const found = view.get(query.key);
      return found === undefined ? [] : [plainRow(found)];
    }
    case 'range':
      return within(
        query.bytesMax,
        (weigh) => view.range({ from: query.from, to: query.to, prefix: query.prefix, reverse: query.reverse, limit: query.limit, weigh }),
        plainRow,
      );
    case 'windows':
    case 'allWindows':
      throw unsupported(spec, 'it is a key-value store: ask for entries');
  }
}

/** Versions are rows with a window: from their time to the next one's. */
function readVersions(database: Database, spec: StoreSpec & { kind: 'versioned' }, query: ReadRequest['query']): readonly ReadRow[] {
  const view = versionedView<unknown, unknown>(database, spec);
  switch (query.kind) {
    case 'entry': {
      const found = view.get(query.key, query.asOfMs);
      return found === undefined ? [] : [plainRow(found)];
    }
    case 'windows': {
      const range = { from: query.fromMs, to: query.toMs, reverse: query.reverse, limit: query.limit };
      return within(
        query.bytesMax,
        (weigh) => view.versions(query.key, { ...range, weigh }),
        ({ value, validFrom, validTo = Number.MAX_SAFE_INTEGER }) => ({
          key: query.key,
          value,
          timestamp: validFrom,
          window: { start: validFrom, end: validTo },
        }),
      );
    }
    case 'range':
    case 'allWindows':
      throw unsupported(spec, 'it is a versioned store: ask for one key, now, as of a time or all its versions');
  }
}

function readWindows(
  spec: WindowSpec | SessionSpec,
  view: Pick<WindowReadView<unknown, unknown>, 'fetch' | 'fetchAll'>,
  query: ReadRequest['query'],
): readonly ReadRow[] {
  switch (query.kind) {
    case 'windows':
      return within(
        query.bytesMax,
        (weigh) => view.fetch(query.key, { from: query.fromMs, to: query.toMs, reverse: query.reverse, limit: query.limit, weigh }),
        windowRow,
      );
    case 'allWindows':
      return Array.from(view.fetchAll({ from: query.fromMs, to: query.toMs, limit: query.limit }), windowRow);
    case 'entry':
    case 'range':
      throw unsupported(spec, `it is a ${spec.kind} store: ask for windows`);
  }
}

/** Rows up to and with the first one past `bytesMax`: it tells whoever asked that there is more. The rest is not read. */
function within<T>(bytesMax: number | undefined, read: (weigh: Weighing['weigh']) => Iterable<T>, rowOf: (entry: T) => ReadRow): readonly ReadRow[] {
  if (bytesMax === undefined) return Array.from(read(undefined), rowOf);
  const rows: ReadRow[] = [];
  let left = bytesMax;
  let bytes = 0;
  const entries = read((weight) => {
    bytes = weight;
  });
  for (const entry of entries) {
    rows.push({ ...rowOf(entry), bytes });
    left -= bytes;
    if (left < 0) break;
  }
  return rows;
}

function plainRow(entry: Entry<unknown, unknown>): ReadRow {
  return { key: entry.key, value: entry.value, timestamp: entry.timestamp, window: undefined };
}

function windowRow(entry: Entry<{ readonly key: unknown; readonly window: { readonly start: number; readonly end: number } }, unknown>): ReadRow {
  return { key: entry.key.key, value: entry.value, timestamp: entry.timestamp, window: { start: entry.key.window.start, end: entry.key.window.end } };
}

function unsupported(spec: StoreSpec, why: string): MillraceError {
  return new MillraceError('ERR_OPTION', `store '${spec.name}' cannot answer this: ${why}`, { store: spec.name });
}
