// Every committed record of a topic, from its start to its end as of the call: for reports, tools and tests.
// Never: joins a group, commits, or waits for more.
import type { LogAdmin, LogConsumer } from '@millrace/client';
import { decodeWith, type ErasedSerde, MillraceError, type Offset, partitionKey, type RecordHeaders, type TopicPartition } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';

export interface HistoryRecord {
  readonly key: unknown;
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers: RecordHeaders;
  readonly partition: number;
  readonly offset: number;
}

export interface HistoryOptions {
  readonly topic: string;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  readonly admin: LogAdmin;
  readonly openConsumer: () => LogConsumer;
}

/** Partition by partition in offset order where the log delivers so; records of one partition are always in order. Throws ERR_TOPIC_MISSING. */
export async function* readHistory(options: HistoryOptions): AsyncGenerator<HistoryRecord> {
  const description = (await options.admin.describeTopics([options.topic])).get(options.topic);
  if (description === undefined) throw new MillraceError('ERR_TOPIC_MISSING', `topic '${options.topic}' does not exist`, { topic: options.topic });
  const partitions: TopicPartition[] = Array.from({ length: description.partitions }, (_, partition) => ({ topic: options.topic, partition }));
  const starts = await options.admin.listOffsets(partitions, 'earliest');
  const ends = await options.admin.listOffsets(partitions, 'latestStable');
  const open = new Map<number, number>();
  for (const { topic, partition } of partitions) {
    const key = partitionKey(topic, partition);
    if ((starts.get(key) ?? 0) < (ends.get(key) ?? 0)) open.set(partition, ends.get(key) as number);
  }
  const consumer = options.openConsumer();
  const reader = new RecordReader();
  try {
    const assign = (): void =>
      void consumer.assign(
        [...open.keys()].map((partition) => ({ topic: options.topic, partition, offset: (starts.get(partitionKey(options.topic, partition)) ?? 0) as Offset })),
      );
    if (open.size > 0) assign();
    while (open.size > 0) {
      for (const event of await consumer.poll(1000)) {
        if (event.kind === 'failed') throw event.error;
        if (event.kind !== 'data')
          throw new MillraceError('ERR_OFFSET_OUT_OF_RANGE', `topic '${options.topic}' changed while it was read (${event.kind})`, { topic: options.topic });
        const { partition, batches, firstOffset } = event.data;
        const end = open.get(partition) ?? 0;
        for (const batch of batches) {
          reader.reset(batch);
          while (reader.next()) if (reader.offset >= firstOffset && reader.offset < end) yield recordOf(options, partition, reader);
        }
        event.data.release();
      }
      // By position, not by last record: a tail of markers or of aborted records brings none.
      for (const [partition, end] of [...open]) {
        const tp = { topic: options.topic, partition };
        if ((consumer.position(tp) ?? 0) >= end && open.delete(partition)) consumer.pause(tp);
      }
    }
  } finally {
    await consumer.close();
  }
}

function recordOf(options: HistoryOptions, partition: number, reader: RecordReader): HistoryRecord {
  const headers = reader.headers();
  const slice = (start: number, length: number): Buffer | null => (length < 0 ? null : Buffer.from(reader.buffer.subarray(start, start + length)));
  return {
    key: decodeWith(options.key, slice(reader.keyStart, reader.keyLength), { topic: options.topic, role: 'key', headers }),
    value: decodeWith(options.value, slice(reader.valueStart, reader.valueLength), { topic: options.topic, role: 'value', headers }),
    timestamp: reader.timestamp,
    headers,
    partition,
    offset: reader.offset,
  };
}
