// Reads whole topics as any consumer would, committed records only: what the checkers look at.
// Never: trusts an offset it has not reached; a tail of markers is passed by position.
import type { LogAdmin, LogConsumer } from '@millrace/client';
import { assert, MillraceError, type Offset, partitionKey, type RecordHeaders, type TopicPartition } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';

export interface RawRecord {
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: RecordHeaders;
  readonly producerId: bigint | number;
  readonly producerEpoch: number;
}

export interface RawTopic {
  readonly name: string;
  readonly partitions: number;
  /** Committed records, partition by partition in offset order. */
  readonly records: readonly RawRecord[];
  /** Per partition. */
  readonly ends: readonly { readonly logEnd: number; readonly lastStable: number; readonly logStart: number }[];
}

/** Every topic of `counts` (partitions by name), with one consumer. */
export async function readTopics(
  counts: ReadonlyMap<string, number>,
  admin: LogAdmin,
  openConsumer: () => LogConsumer,
): Promise<ReadonlyMap<string, RawTopic>> {
  const all: TopicPartition[] = [...counts].flatMap(([topic, partitions]) => Array.from({ length: partitions }, (_, partition) => ({ topic, partition })));
  const [starts, stable, ends] = [
    await admin.listOffsets(all, 'earliest'),
    await admin.listOffsets(all, 'latestStable'),
    await admin.listOffsets(all, 'latest'),
  ];
  const offsetIn = (of: ReadonlyMap<string, number>, { topic, partition }: TopicPartition): number => of.get(partitionKey(topic, partition)) ?? 0;
  const asked = all.filter((tp) => offsetIn(starts, tp) < offsetIn(stable, tp));
  const records = await readPartitions(
    asked,
    (tp) => offsetIn(starts, tp),
    (tp) => offsetIn(stable, tp),
    openConsumer,
  );
  return new Map(
    [...counts].map(([name, partitions]) => {
      const own = Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition }));
      return [
        name,
        {
          name,
          partitions,
          records: own.flatMap((tp) => records.get(partitionKey(name, tp.partition)) ?? []),
          ends: own.map((tp) => ({ logStart: offsetIn(starts, tp), lastStable: offsetIn(stable, tp), logEnd: offsetIn(ends, tp) })),
        },
      ];
    }),
  );
}

async function readPartitions(
  asked: readonly TopicPartition[],
  startOf: (tp: TopicPartition) => number,
  endOf: (tp: TopicPartition) => number,
  openConsumer: () => LogConsumer,
): Promise<ReadonlyMap<string, readonly RawRecord[]>> {
  const records = new Map<string, RawRecord[]>(asked.map(({ topic, partition }) => [partitionKey(topic, partition), []]));
  const open = new Set(asked);
  const reader = new RecordReader();
  const consumer = openConsumer();
  try {
    if (open.size > 0) consumer.assign(asked.map((tp) => ({ ...tp, offset: startOf(tp) as Offset })));
    while (open.size > 0) {
      for (const event of await consumer.poll(500)) {
        if (event.kind === 'failed') throw event.error;
        if (event.kind !== 'data') throw new MillraceError('ERR_OFFSET_OUT_OF_RANGE', `a topic changed while it was read (${event.kind})`);
        const { topic, partition, batches, firstOffset } = event.data;
        const rows = records.get(partitionKey(topic, partition));
        assert(rows !== undefined, `partition ${partition} of ${topic} was not asked for`);
        for (const batch of batches) {
          reader.reset(batch);
          while (reader.next()) if (reader.offset >= firstOffset) rows.push(copyOf(reader, partition, batch));
        }
        event.data.release();
      }
      for (const tp of [...open]) if ((consumer.position(tp) ?? 0) >= endOf(tp) && open.delete(tp)) consumer.pause(tp);
    }
  } finally {
    await consumer.close();
  }
  return records;
}

function copyOf(reader: RecordReader, partition: number, batch: { readonly producerId: bigint | number; readonly producerEpoch: number }): RawRecord {
  const slice = (start: number, length: number): Buffer | null => (length < 0 ? null : Buffer.from(reader.buffer.subarray(start, start + length)));
  return {
    partition,
    offset: reader.offset,
    timestamp: reader.timestamp,
    key: slice(reader.keyStart, reader.keyLength),
    value: slice(reader.valueStart, reader.valueLength),
    headers: reader.headers(),
    producerId: batch.producerId,
    producerEpoch: batch.producerEpoch,
  };
}
