// The coordinators' view of the log, over this broker's own topics.
// Owns: the internal topics' creation.  Never: knows what the coordinators' records mean.
import { assert, type Clock, MillraceError, noHeaders } from '@millrace/core';
import { BatchPool, RecordBatchView, RecordReader, readControlMarker } from '@millrace/protocol';
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
import type { PartitionLog } from '../log/partition-log.ts';
import type { SyncGroup } from '../log/sync-group.ts';
import type { Topics } from './topics.ts';

/** One node needs no spread over brokers: a few partitions keep the files few. Fixed once created. */
const INTERNAL_PARTITIONS = 4;
const INTERNAL_CONFIG = {
  'cleanup.policy': 'compact',
  'segment.bytes': '16777216',
  'max.message.bytes': '10485760',
  'min.cleanable.dirty.ratio': '0.5',
} as const;

export class LocalInternalLog implements InternalLog {
  readonly #topics: Topics;
  readonly #syncs: SyncGroup;
  readonly #clock: Clock;
  readonly #pool = new BatchPool();
  readonly #reader = new RecordReader();

  constructor(topics: Topics, syncs: SyncGroup, clock: Clock) {
    this.#topics = topics;
    this.#syncs = syncs;
    this.#clock = clock;
    for (const name of [OFFSETS_TOPIC, TRANSACTIONS_TOPIC]) if (topics.get(name) === undefined) topics.create(name, INTERNAL_PARTITIONS, INTERNAL_CONFIG);
  }

  partitionCount(topic: InternalTopic): number {
    return this.partitionsOf(topic);
  }

  appendRecords(topic: InternalTopic, partition: number, records: readonly InternalRecord[], transaction?: InternalTransaction): number {
    const log = this.#internal(topic, partition);
    if (records.length === 0) return log.logEnd;
    const nowMs = this.#clock.nowMs();
    const builder = this.#pool.take();
    try {
      for (const { key, value } of records) builder.append(nowMs, key, 0, key.length, value, 0, value?.length ?? 0, noHeaders);
      const sealed = builder.seal({
        producerId: transaction?.producerId ?? -1,
        producerEpoch: transaction?.producerEpoch ?? -1,
        baseSequence: -1,
        transactional: transaction !== undefined,
      });
      if (sealed.length > log.config.maxMessageBytes)
        throw new MillraceError(
          'ERR_RECORD_TOO_LARGE',
          `A record of ${topic} would take ${sealed.length} bytes; at most ${log.config.maxMessageBytes} fit. Use smaller group metadata or fewer partitions per request.`,
          { topic, partition },
        );
      return log.appendOwn(new RecordBatchView(sealed, 0, sealed.length), nowMs);
    } finally {
      builder.release();
    }
  }

  replay(topic: InternalTopic, partition: number, sink: ReplaySink): void {
    this.#internal(topic, partition).scan((batch) => {
      if (batch.count === 0) return true;
      if (batch.control) {
        const marker = readControlMarker(batch);
        if (marker !== undefined)
          sink.marker?.(
            { producerId: batch.producerId, producerEpoch: batch.producerEpoch, commit: marker.type === 'commit', coordinatorEpoch: marker.coordinatorEpoch },
            batch.baseOffset,
          );
        return true;
      }
      const transaction = batch.transactional ? { producerId: batch.producerId, producerEpoch: batch.producerEpoch } : undefined;
      const reader = this.#reader.reset(batch);
      while (reader.next()) {
        if (reader.keyLength < 0) continue;
        const key = reader.buffer.subarray(reader.keyStart, reader.keyStart + reader.keyLength);
        const value = reader.valueLength < 0 ? null : reader.buffer.subarray(reader.valueStart, reader.valueStart + reader.valueLength);
        sink.record({ key, value }, reader.offset, reader.timestamp, transaction);
      }
      return true;
    });
  }

  appendMarker(topic: string, partition: number, marker: MarkerFacts): number | undefined {
    return this.#topics.log(topic, partition)?.appendMarker(marker, this.#clock.nowMs());
  }

  partitionExists(topic: string, partition: number): boolean {
    return this.#topics.log(topic, partition) !== undefined;
  }
  partitionsOf(topic: string): number {
    return this.#topics.get(topic)?.logs.length ?? 0;
  }
  producersOf(topic: string, partition: number): readonly PartitionProducer[] {
    return this.#topics.log(topic, partition)?.producers ?? [];
  }
  durable(): Promise<void> | undefined {
    return this.#syncs.durable();
  }

  #internal(topic: InternalTopic, partition: number): PartitionLog {
    const log = this.#topics.log(topic, partition);
    assert(log !== undefined, `${topic}-${partition} does not exist`);
    return log;
  }
}
