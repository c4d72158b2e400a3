// What a test reads: the records of one topic, decoded by the topic's own serdes, in the order in which they were written.
// Owns: what it has decoded.  Never: takes a record away; the position in a topic is shared by all outputs of that topic.
import { decodeWith, explainError, MillraceError, noHeaders } from '@millrace/core';
import { DataRecord, type Present, type StreamRecord, type TopicDeclaration, type TopicSource, topicDeclaration } from '@millrace/dsl';
import type { RecordReader } from '@millrace/protocol';
import type { Entry } from '@millrace/state';
import type { TopologyDriver } from './topology-driver.ts';

/** How far a topic has been read. */
export interface OutputPosition {
  next: number;
}

/** Reads the records of one topic, whatever of them was written when: reading is at the test's own pace. */
export interface TestOutput<K, V> {
  /** Records not read yet. */
  readonly size: number;
  /** The next record. Throws ERR_NO_OUTPUT when there is none. */
  read(): StreamRecord<K, V>;
  /** All records not read yet. */
  readAll(): readonly StreamRecord<K, V>[];
  /** `readAll`, keys and values only. */
  pairs(): readonly (readonly [K, V])[];
  /** The topic as a table, from its first record on, read or not: last value per key, in the order in which keys came first. Tombstones remove. */
  latest(): readonly Entry<K, Present<V>>[];
  /** The partition of each record not read yet, in the order of `readAll`. */
  partitions(): readonly number[];
}

export class TopicOutput<K, V> implements TestOutput<K, V> {
  readonly #driver: TopologyDriver;
  readonly #topic: TopicDeclaration;
  readonly #position: OutputPosition;
  /** Decoded ahead of the position, so that reading one by one costs no walk each. */
  #ahead: StreamRecord<K, V>[] = [];
  #aheadFrom = 0;

  constructor(driver: TopologyDriver, topic: TopicSource<K, V>, position: OutputPosition) {
    this.#driver = driver;
    this.#topic = topicDeclaration(topic, 'output()');
    this.#position = position;
    const { name } = this.#topic;
    if (!isWritten(driver, name))
      throw new MillraceError(
        'ERR_TOPOLOGY',
        `Topology "${driver.topology.name}" does not write topic "${name}"; it writes ${writtenTopics(driver).join(', ') || 'none'}. Name one of these, internal ones with the application id in front.`,
        { topic: name },
      );
  }

  get size(): number {
    return (this.#driver.written(this.#topic.name)?.kept ?? 0) - this.#position.next;
  }

  read(): StreamRecord<K, V> {
    const position = this.#position;
    let found = this.#ahead[position.next - this.#aheadFrom];
    if (found === undefined) {
      this.#ahead = this.#decodeFrom(position.next);
      this.#aheadFrom = position.next;
      found = this.#ahead[0];
    }
    if (found === undefined) throw this.#nothing();
    position.next += 1;
    return found;
  }

  readAll(): readonly StreamRecord<K, V>[] {
    const records = this.#decodeFrom(this.#position.next);
    this.#position.next += records.length;
    return records;
  }

  pairs(): readonly (readonly [K, V])[] {
    return this.readAll().map(({ key, value }) => [key, value] as const);
  }

  latest(): readonly Entry<K, Present<V>>[] {
    const rows = new Map<string, Entry<K, Present<V>>>();
    this.#driver.written(this.#topic.name)?.visit(0, (reader, index) => {
      const id = reader.buffer.toString('latin1', reader.keyStart, reader.keyStart + reader.keyLength);
      if (reader.valueLength < 0) {
        rows.delete(id);
        return;
      }
      const { key, value, timestamp } = this.#decode(reader, index);
      // Sound: null bytes were sorted out above; a serde that reads null from bytes means it.
      if (value === null) rows.delete(id);
      else rows.set(id, { key, value: value as Present<V>, timestamp });
    });
    return [...rows.values()];
  }

  partitions(): readonly number[] {
    const log = this.#driver.written(this.#topic.name);
    return Array.from({ length: this.size }, (_, at) => log?.partitionOf(this.#position.next + at) ?? 0);
  }

  #decodeFrom(from: number): StreamRecord<K, V>[] {
    const records: StreamRecord<K, V>[] = [];
    this.#driver.written(this.#topic.name)?.visit(from, (reader, index) => void records.push(this.#decode(reader, index)));
    return records;
  }

  #decode(reader: RecordReader, index: number): StreamRecord<K, V> {
    const headers = reader.headerCount === 0 ? noHeaders : reader.headers();
    const { name } = this.#topic;
    const part = (role: 'key' | 'value', start: number, length: number): unknown => {
      const bytes = length < 0 ? null : Buffer.from(reader.buffer.subarray(start, start + length));
      try {
        return decodeWith(this.#topic[role], bytes, { topic: name, role, headers });
      } catch (error) {
        throw new MillraceError(
          'ERR_RECORD_UNDECODABLE',
          `record ${index} of topic ${name} has a ${role} that ${this.#topic[role].format} cannot read: ${explainError(error)}. Is the topic declared as the topology writes it?`,
          { topic: name, record: index },
          error,
        );
      }
    };
    // Sound: the topic's own serdes have read them.
    return new DataRecord(
      part('key', reader.keyStart, reader.keyLength) as K,
      part('value', reader.valueStart, reader.valueLength) as V,
      reader.timestamp,
      headers,
    );
  }

  #nothing(): MillraceError {
    const { name } = this.#topic;
    const total = this.#driver.written(name)?.kept ?? 0;
    const drops = this.#driver.drops.map(({ node, reason, count }) => `${count} ${reason} at ${node}`);
    const dropped = drops.length === 0 ? '' : ` Records were dropped: ${drops.join(', ')}.`;
    return new MillraceError(
      'ERR_NO_OUTPUT',
      `topic ${name} has no unread record (${total} were written in all).${dropped} Send input, or move the clock with advance().`,
      {
        topic: name,
      },
    );
  }
}

function writtenTopics(driver: TopologyDriver): readonly string[] {
  const { topology, applicationId } = driver;
  const sinks = topology.subtopologies.flatMap((one) => one.sinks.map(({ name, internal }) => (internal ? `${applicationId}-${name}` : name)));
  const internal = topology.internalTopics.map(({ name }) => `${applicationId}-${name}`);
  return [...new Set([...sinks, ...internal])].sort();
}

function isWritten(driver: TopologyDriver, topic: string): boolean {
  return driver.written(topic) !== undefined || writtenTopics(driver).includes(topic);
}
