// The coordinators' log as lists in memory, for their tests: it can refuse writes, hold back durability, and be read again.
// Owns: what the contract promises, without a disk.  Never: used by the broker.
import { assert, MillraceError } from '@millrace/core';
import {
  type InternalLog,
  type InternalRecord,
  type InternalTopic,
  type InternalTransaction,
  type MarkerFacts,
  OFFSETS_TOPIC,
  type PartitionProducer,
  type ReplaySink,
  TRANSACTIONS_TOPIC,
} from '../internal-log.ts';

type Entry =
  | { readonly kind: 'record'; readonly record: InternalRecord; readonly transaction: InternalTransaction | undefined }
  | { readonly kind: 'marker'; readonly marker: MarkerFacts };

export interface WrittenMarker extends MarkerFacts {
  readonly topic: string;
  readonly partition: number;
}

export class MemoryInternalLog implements InternalLog {
  readonly #topics = new Map<string, Entry[][]>();
  /** In the order in which they were written. */
  readonly markers: WrittenMarker[] = [];
  /** 'too-large' and 'disk' make every append throw. */
  failure: 'too-large' | 'disk' | undefined;
  /** Given: `durable` waits for it. */
  durability: (() => Promise<void>) | undefined;

  constructor(userTopics: Readonly<Record<string, number>> = {}) {
    for (const [topic, partitions] of Object.entries({ [OFFSETS_TOPIC]: 3, [TRANSACTIONS_TOPIC]: 2, ...userTopics })) this.createTopic(topic, partitions);
  }

  createTopic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }
  deleteTopic(topic: string): void {
    this.#topics.delete(topic);
  }
  /** Entries so far, all internal partitions together. */
  get size(): number {
    return [OFFSETS_TOPIC, TRANSACTIONS_TOPIC].reduce((sum, topic) => sum + (this.#topics.get(topic) ?? []).reduce((all, log) => all + log.length, 0), 0);
  }

  partitionCount(topic: InternalTopic): number {
    return this.partitionsOf(topic);
  }
  appendRecords(topic: InternalTopic, partition: number, records: readonly InternalRecord[], transaction?: InternalTransaction): number {
    this.#throwIfBroken();
    const log = this.#log(topic, partition);
    assert(log !== undefined, `${topic}-${partition} does not exist`);
    const first = log.length;
    for (const { key, value } of records) {
      log.push({ kind: 'record', record: { key: Buffer.from(key), value: value === null ? null : Buffer.from(value) }, transaction });
    }
    return first;
  }
  replay(topic: InternalTopic, partition: number, sink: ReplaySink): void {
    this.#log(topic, partition)?.forEach((entry, offset) => {
      if (entry.kind === 'marker') sink.marker?.(entry.marker, offset);
      else sink.record(entry.record, offset, 0, entry.transaction);
    });
  }
  appendMarker(topic: string, partition: number, marker: MarkerFacts): number | undefined {
    this.#throwIfBroken();
    const log = this.#log(topic, partition);
    if (log === undefined) return undefined;
    this.markers.push({ topic, partition, ...marker });
    return log.push({ kind: 'marker', marker }) - 1;
  }
  partitionExists(topic: string, partition: number): boolean {
    return this.#log(topic, partition) !== undefined;
  }
  partitionsOf(topic: string): number {
    return this.#topics.get(topic)?.length ?? 0;
  }
  producersOf(): readonly PartitionProducer[] {
    return [];
  }
  durable(): Promise<void> | undefined {
    return this.durability?.();
  }

  #log(topic: string, partition: number): Entry[] | undefined {
    return this.#topics.get(topic)?.[partition];
  }
  #throwIfBroken(): void {
    if (this.failure === 'too-large') throw new MillraceError('ERR_RECORD_TOO_LARGE', 'too large');
    if (this.failure === 'disk') throw new Error('no space left');
  }
}
