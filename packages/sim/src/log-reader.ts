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

export async function readTopic(name: string, partitions: number, admin: LogAdmin, openConsumer: () => LogConsumer): Promise<RawTopic> {
  const all: TopicPartition[] = Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition }));
  const [starts, stable, ends] = [
    await admin.listOffsets(all, 'earliest'),
    await admin.listOffsets(all, 'latestStable'),
    await admin.listOffsets(all, 'latest'),
  ];
  const offsetIn = (of: ReadonlyMap<string, number>, partition: number): number => of.get(partitionKey(name, partition)) ?? 0;
  const open = new Set(all.filter(({ partition }) => offsetIn(starts, partition) < offsetIn(stable, partition)).map(({ partition }) => partition));
  const records: RawRecord[][] = all.map(() => []);
  const consumer = openConsumer();
  const reader = new RecordReader();
  try {
    if (open.size > 0) consumer.assign([...open].map((partition) => ({ topic: name, partition, offset: offsetIn(starts, partition) as Offset })));
    while (open.size > 0) {
      for (const event of await consumer.poll(500)) {
        if (event.kind === 'failed') throw event.error;
        if (event.kind !== 'data')
          throw new MillraceError('ERR_OFFSET_OUT_OF_RANGE', `topic '${name}' changed while it was read (${event.kind})`, { topic: name });
        const { partition, batches, firstOffset } = event.data;
        const rows = records[partition];
        assert(rows !== undefined, `partition ${partition} of ${name} was not asked for`);
        for (const batch of batches) {
          reader.reset(batch);
          while (reader.next()) if (reader.offset >= firstOffset) rows.push(copyOf(reader, partition, batch));
        }
        event.data.release();
      }
      for (const partition of [...open]) {
        const tp = { topic: name, partition };
        if ((consumer.position(tp) ?? 0) >= offsetIn(stable, partition) && open.delete(partition)) consumer.pause(tp);
      }
    }
  } finally {
    await consumer.close();
  }
  return {
    name,
    partitions,
    records: records.flat(),
    ends: all.map(({ partition }) => ({ logStart: offsetIn(starts, partition), lastStable: offsetIn(stable, partition), logEnd: offsetIn(ends, partition) })),
  };
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
