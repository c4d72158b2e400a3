// What a test writes: values through the topic's own serdes, or bytes as they are, with a time of their own or the next one.
// Owns: the time of its next record.  Never: runs anything; the driver does before `send` returns.
import { type Duration, durationMs, type ErasedSerde, encodeWith, MillraceError, murmur2, noHeaders, type RecordHeaders } from '@millrace/core';
import { type TopicDeclaration, type TopicSink, topicDeclaration } from '@millrace/dsl';
import type { TopologyDriver } from './topology-driver.ts';

export interface InputOptions {
  /** Time of the first record, ms since the epoch. Default: the test's wall clock at each `send`. */
  readonly at?: number;
  /** How much later each further record is than the one before; 0 by default. Needs `at`. */
  readonly step?: Duration;
}

export interface SendOptions {
  /** Event time of this record, ms since the epoch; it does not move the times of those after it. */
  readonly at?: number;
  readonly headers?: RecordHeaders;
  /** Default: where the topic's partitioner puts it, else murmur2 of the key bytes; records without a key go round. */
  readonly partition?: number;
}

/** Writes records of one topic. Each call returns when everything that the record causes is done. Throws what the program throws. */
export interface TestInput<in K, in V> {
  send(key: K, value: V, options?: SendOptions): void;
  /** One after another. */
  sendAll(entries: Iterable<readonly [key: K, value: V]>): void;
  /** A record without a value: a delete, whether or not the topic's serde knows null. */
  tombstone(key: K, options?: SendOptions): void;
  /** Bytes as they are: for what cannot be decoded. */
  sendBytes(key: Uint8Array | null, value: Uint8Array | null, options?: SendOptions): void;
}

export class TopicInput<K, V> implements TestInput<K, V> {
  readonly #driver: TopologyDriver;
  readonly #topic: TopicDeclaration;
  readonly #stepMs: number;
  readonly #partitions: number;
  #nextMs: number | undefined;
  #keyless = 0;

  constructor(driver: TopologyDriver, topic: TopicSink<K, V>, options: InputOptions) {
    this.#driver = driver;
    this.#topic = topicDeclaration(topic, 'input()');
    if (!driver.reads(this.#topic.name)) driver.feed(this.#topic.name, 0);
    if (options.step !== undefined && options.at === undefined)
      throw new MillraceError('ERR_OPTION', `input(${this.#topic.name}) has a step and nothing to begin at: add { at }.`, { option: 'at' });
    this.#stepMs = durationMs(options.step ?? 0, 'step');
    this.#nextMs = options.at;
    this.#partitions = driver.partitionsOf(this.#topic.name);
  }

  send(key: K, value: V, options: SendOptions = {}): void {
    const { partitioner } = this.#topic;
    const chosen = partitioner?.(key, value, this.#partitions);
    const partition = options.partition ?? (typeof chosen === 'object' ? chosen[0] : chosen);
    this.#write(this.#bytes(this.#topic.key, key, 'key', options), this.#bytes(this.#topic.value, value, 'value', options), options, partition);
  }

  sendAll(entries: Iterable<readonly [key: K, value: V]>): void {
    if (Array.isArray(entries) && this.#partitions === 1 && this.#driver.takesBatches(this.#topic.name)) this.#sendArray(entries);
    else for (const [key, value] of entries) this.send(key, value);
  }

  tombstone(key: K, options: SendOptions = {}): void {
    this.#write(this.#bytes(this.#topic.key, key, 'key', options), null, options, options.partition);
  }

  sendBytes(key: Uint8Array | null, value: Uint8Array | null, options: SendOptions = {}): void {
    this.#write(key, value, options, options.partition);
  }

  /** All of them are known, and lie in one partition: they go as batches. */
  #sendArray(entries: readonly (readonly [K, V])[]): void {
    const { name, key: keySerde, value: valueSerde } = this.#topic;
    const direct = valueSerde['~direct'];
    const toText = direct?.kind === 'text' ? direct.toText : undefined;
    const nullable = valueSerde['~null'] === true;
    this.#driver.sendBatches(name, 0, entries.length, (builder, at) => {
      const [key, value] = entries[at] as readonly [K, V];
      const keyBytes = asBuffer(this.#bytes(keySerde, key, 'key', NO_OPTIONS));
      const timestamp = this.#time();
      if (toText !== undefined && !(nullable && value === null)) {
        builder.appendText(timestamp, keyBytes, 0, keyBytes?.length ?? 0, toText(value, 'value'), noHeaders);
        return;
      }
      const valueBytes = asBuffer(this.#bytes(valueSerde, value, 'value', NO_OPTIONS));
      builder.append(timestamp, keyBytes, 0, keyBytes?.length ?? 0, valueBytes, 0, valueBytes?.length ?? 0, noHeaders);
    });
  }

  #write(key: Uint8Array | null, value: Uint8Array | null, options: SendOptions, partition: number | undefined): void {
    const keyBytes = asBuffer(key);
    const timestamp = options.at ?? this.#time();
    this.#driver.send(this.#topic.name, partition ?? this.#partitionOf(keyBytes), {
      timestamp,
      key: keyBytes,
      value: asBuffer(value),
      headers: options.headers ?? noHeaders,
    });
  }

  #time(): number {
    const at = this.#nextMs;
    if (at === undefined) return this.#driver.turnMs;
    this.#nextMs = at + this.#stepMs;
    return at;
  }

  #partitionOf(key: Buffer | null): number {
    if (this.#partitions === 1) return 0;
    if (key === null) return this.#keyless++ % this.#partitions;
    return (murmur2(key, 0, key.length - windowBytes(this.#topic.key.format)) & 0x7fffffff) % this.#partitions;
  }

  #bytes(serde: ErasedSerde, value: unknown, role: 'key' | 'value', { headers = noHeaders }: SendOptions): Uint8Array | null {
    return encodeWith(serde, value, { topic: this.#topic.name, role, headers });
  }
}

const NO_OPTIONS: SendOptions = {};

/** Of a windowed key only the key inside decides the partition. */
function windowBytes(format: string): number {
  if (format.startsWith('windowed(')) return 8;
  return format.startsWith('sessionWindowed(') ? 16 : 0;
}

function asBuffer(bytes: Uint8Array | null): Buffer | null {
  if (bytes === null || Buffer.isBuffer(bytes)) return bytes as Buffer | null;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
