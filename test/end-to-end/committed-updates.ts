// What a read_committed reader finds in a topic, with nothing of the application in between: on a running broker of either
// kind, or in a data directory.
import { join } from 'node:path';
import { startBroker } from '@millrace/broker';
import { createAdmin, createConsumer } from '@millrace/client';
import { nodeDisk, nodeNetwork, type Offset, type Ports, partitionKey, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';

const ports: Ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };

export interface CommittedUpdate {
  /** Hex of the key bytes. */
  readonly key: string;
  readonly value: string;
  readonly partition: number;
  readonly offset: number;
}

/** Every committed record of a topic, in offset order within each partition. Nothing else may use the directory meanwhile. */
export async function committedUpdates(dataDir: string, topic: string): Promise<readonly CommittedUpdate[]> {
  const broker = await startBroker({ dataDir: join(dataDir, '$broker'), host: '127.0.0.1', port: 0 }, ports);
  try {
    return await committedUpdatesOn(`127.0.0.1:${broker.port}`, topic);
  } finally {
    await broker.close();
  }
}

/** The same from the broker at `address`, up to the last stable offsets at the call. */
export async function committedUpdatesOn(address: string, topic: string): Promise<readonly CommittedUpdate[]> {
  const connection = { brokers: [address], clientId: 'audit', connectionTimeoutMs: 3000, requestTimeoutMs: 10_000 };
  const admin = createAdmin(connection, {}, ports);
  const consumer = createConsumer(connection, { isolation: 'read_committed' }, ports);
  try {
    const count = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0;
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }));
    const ends = await admin.listOffsets(partitions, 'latestStable');
    consumer.assign(partitions.map((one) => ({ ...one, offset: 0 as Offset })));
    const updates: CommittedUpdate[] = [];
    const reader = new RecordReader();
    const behind = (): boolean => partitions.some((one) => (consumer.position(one) ?? 0) < (ends.get(partitionKey(one.topic, one.partition)) ?? 0));
    while (behind()) {
      for (const event of await consumer.poll(1000)) {
        if (event.kind !== 'data') throw new Error(`unexpected ${event.kind}`);
        for (const batch of event.data.batches) {
          reader.reset(batch);
          while (reader.next()) {
            updates.push({
              key: reader.buffer.toString('hex', reader.keyStart, reader.keyStart + reader.keyLength),
              value: reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength),
              partition: event.data.partition,
              offset: reader.offset,
            });
          }
        }
        event.data.release();
      }
    }
    return updates;
  } finally {
    await consumer.close();
    await admin.close();
  }
}
