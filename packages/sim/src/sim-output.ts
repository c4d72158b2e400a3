// The committed records of a topic, with its own serdes: what a test reads at the end.
import { decodeWith, type RecordHeaders } from '@millrace/core';
import { type Present, type TopicSource, topicDeclaration } from '@millrace/dsl';
import type { RawTopic } from './log-reader.ts';

export interface SimRecord<K, V> {
  readonly key: K;
  readonly value: V;
  /** Event time, ms since the epoch. */
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  readonly partition: number;
  readonly offset: number;
}

/** The reading end of a topic: committed records only, partition by partition, each in its order. */
export interface SimOutput<K, V> {
  readonly size: number;
  readAll(): readonly SimRecord<K, V>[];
  /** Keys and values only. */
  pairs(): readonly (readonly [K, V])[];
  /** As a table: the last value of each key, tombstones removed, in the order in which keys last changed. */
  latest(): readonly { readonly key: K; readonly value: Present<V>; readonly timestamp: number }[];
}

export function outputOf<K, V>(topic: TopicSource<K, V>, raw: RawTopic | undefined): SimOutput<K, V> {
  const declared = topicDeclaration(topic, 'output()');
  const records = (raw?.records ?? []).map(
    (record): SimRecord<K, V> => ({
      key: decodeWith(declared.key, record.key, { topic: topic.name, role: 'key', headers: record.headers }) as K,
      value: (record.value === null ? null : decodeWith(declared.value, record.value, { topic: topic.name, role: 'value', headers: record.headers })) as V,
      timestamp: record.timestamp,
      headers: record.headers,
      partition: record.partition,
      offset: record.offset,
    }),
  );
  return {
    size: records.length,
    readAll: () => records,
    pairs: () => records.map(({ key, value }) => [key, value] as const),
    latest() {
      const rows = new Map<string, SimRecord<K, V>>();
      (raw?.records ?? []).forEach((record, at) => {
        const name = record.key === null ? 'null' : record.key.toString('hex');
        rows.delete(name);
        if (record.value !== null) rows.set(name, records[at] as SimRecord<K, V>);
      });
      return [...rows.values()].map(({ key, value, timestamp }) => ({ key, value: value as Present<V>, timestamp }));
    },
  };
}
