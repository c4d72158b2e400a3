// What a run of ours left behind, in the form in which cases list it: outputs, internal topics, store contents.
import { decodeWith, noHeaders } from '@millrace/core';
import { StagedKeyValueStore, StagedSessionStore, StagedVersionedStore, type StagedWindowStore } from '@millrace/state';
import type { StoreSpec } from '@millrace/topology';
import type { Case, Pipe, Row, TopicSerdes } from './case-format.ts';
import type { Arrival, Driver, Produced } from './driver.ts';
import { fromCase, serdeNamed, toCase } from './serdes.ts';

export function toArrival(pipe: Pipe, serdes: TopicSerdes): Arrival {
  const { topic } = pipe;
  const bytes = (role: 'key' | 'value', hex: string | undefined, value: unknown): Uint8Array | null => {
    if (hex !== undefined) return Buffer.from(hex, 'hex');
    const ours = fromCase(serdes[role], value);
    return ours === null ? null : serdeNamed(serdes[role]).serialize(ours, { topic, role, headers: noHeaders });
  };
  const headers = (pipe.headers ?? []).map(([name, text]) => [name, text === null ? null : Buffer.from(text)] as const);
  return { topic, timestamp: pipe.ts, key: bytes('key', pipe.keyHex, pipe.key), value: bytes('value', pipe.valueHex, pipe.value), headers };
}

export function outputRow(record: Produced, serdes: TopicSerdes): Row {
  const { topic } = record;
  const decoded = (role: 'key' | 'value', bytes: Uint8Array | null): unknown => toCase(decodeWith(serdeNamed(serdes[role]), bytes, { topic, role, headers: noHeaders }));
  return { key: decoded('key', record.key), value: decoded('value', record.value), ts: record.timestamp, ...headersOf(record) };
}

export function bytesRow(record: Produced): Row {
  const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
  return { key: hex(record.key), value: hex(record.value), ts: record.timestamp, ...headersOf(record) };
}

function headersOf(record: Produced): Pick<Row, 'headers'> {
  if (record.headers.length === 0) return {};
  return { headers: record.headers.map(([name, value]) => [name, value === null ? null : Buffer.from(value).toString('utf8')] as const) };
}

interface WindowedRow {
  readonly key: { readonly key: unknown; readonly start: number; readonly end: unknown };
}

/** `withoutTimes`: a processor's plain store, which has no timestamps in Java; ours all have. */
export function storeRows(driver: Driver, name: string, withoutTimes: boolean, given: Case): Row[] {
  const store = driver.stores.get(name);
  if (store instanceof StagedKeyValueStore) return [...store.range()].map((entry) => ({ key: toCase(entry.key), value: toCase(entry.value), ...(withoutTimes ? {} : { ts: entry.timestamp }) }));
  if (store instanceof StagedVersionedStore) return versionRows(store, given);
  if (store instanceof StagedSessionStore) {
    const sessions = [...store.fetchAll()].map((entry) => ({ key: toCase(entry.key) as WindowedRow['key'], value: toCase(entry.value) }));
    return sessions.sort(byKeyAndStart);
  }
  const rows = [...(store as StagedWindowStore<unknown, unknown>).fetchAll()].map((entry) => ({
    key: toCase(entry.key) as WindowedRow['key'],
    value: toCase(entry.value),
    ...(withoutTimes ? {} : { ts: entry.timestamp }),
  }));
  return rows.sort(byKeyAndStart);
}

/** Versions are asked for: the newest of every key that was sent, and what held at every time that was sent. */
function versionRows(store: StagedVersionedStore<unknown, unknown>, given: Case): Row[] {
  const sent = (given.script ?? []).flatMap(({ pipe }) => pipe ?? []);
  const keys = [...new Set(sent.flatMap(({ key }) => (typeof key === 'string' ? [key] : [])))].sort();
  const times = [...new Set(sent.map(({ ts }) => ts))].sort((a, b) => a - b);
  return keys.flatMap((key) =>
    [undefined, ...times].flatMap((asOf) => {
      const row = store.find(key, asOf);
      return row.present ? [{ key, ...(asOf === undefined ? {} : { asOf }), value: toCase(row.value), ts: row.timestamp }] : [];
    }),
  );
}

function byKeyAndStart(a: WindowedRow, b: WindowedRow): number {
  return String(a.key.key) < String(b.key.key) ? -1 : String(a.key.key) > String(b.key.key) ? 1 : a.key.start - b.key.start || Number(a.key.end) - Number(b.key.end);
}

/** The cases do not list the buffers of joins. */
export function isJoinBuffer(spec: StoreSpec | undefined): boolean {
  if (spec?.kind === 'keyValue' && spec.isBuffer === true) return true;
  return spec?.kind === 'window' ? spec.duplicates : /^(unmatched|subscription|waiting)\(/.test(spec?.key.format ?? '');
}
