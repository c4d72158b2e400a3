// Reads topics and offsets as anybody may: under read_committed, straight from the brokers, with nothing of the application in between.
import { createAdmin, createConsumer } from '@millrace/client';
import { nodeDisk, nodeNetwork, partitionKey, silentLogger, systemChance, systemClock, systemTimers } from '@millrace/core';
import { RecordReader } from '@millrace/protocol';
import { PARTITIONS } from './parts/expect.mjs';

const ports = { clock: systemClock, timers: systemTimers, chance: systemChance, network: nodeNetwork, disk: nodeDisk, log: silentLogger };
const APPLICATION = 'torture';

/** `inputs`: the topics the application commits offsets of. */
export function openReader(brokers, inputs) {
  const connection = { brokers, clientId: 'torture-audit', connectionTimeoutMs: 1000, requestTimeoutMs: 10_000 };
  const admin = createAdmin(connection, {}, ports);
  const partitionsOf = (topic) => Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }));
  const wanted = inputs.flatMap(partitionsOf);
  return {
    committed: () => admin.committedOffsets(APPLICATION, wanted),
    /** Input partitions whose committed offset is not the log end: `topic-partition` → records behind. Missing commits count from the log start. */
    async lag() {
      const [starts, ends, committed] = await Promise.all([
        admin.listOffsets(wanted, 'earliest'),
        admin.listOffsets(wanted, 'latest'),
        admin.committedOffsets(APPLICATION, wanted),
      ]);
      const behind = new Map();
      for (const one of wanted) {
        const key = partitionKey(one.topic, one.partition);
        const missing = (ends.get(key) ?? 0) - (committed.get(key)?.offset ?? starts.get(key) ?? 0);
        if (missing !== 0) behind.set(key, missing);
      }
      return behind;
    },
    /** Every committed record: key bytes as latin1, value as JSON, timestamp in ms, and where it was found. In order within a partition. */
    async read(topic) {
      const consumer = createConsumer(connection, { isolation: 'read_committed' }, ports);
      try {
        const partitions = partitionsOf(topic);
        const [starts, ends] = await Promise.all([admin.listOffsets(partitions, 'earliest'), admin.listOffsets(partitions, 'latestStable')]);
        consumer.assign(partitions.map((one) => ({ ...one, offset: starts.get(partitionKey(topic, one.partition)) ?? 0 })));
        const records = [];
        while (partitions.some((one) => (consumer.position(one) ?? 0) < (ends.get(partitionKey(topic, one.partition)) ?? 0))) {
          for (const event of await consumer.poll(1000)) {
            if (event.kind !== 'data') throw new Error(`reading ${topic}: ${event.kind}`, { cause: event.error });
            takeRecords(event.data, records);
            event.data.release();
          }
        }
        return records;
      } finally {
        await consumer.close();
      }
    },
    close: () => admin.close(),
  };
}

function takeRecords(data, records) {
  const reader = new RecordReader();
  for (const batch of data.batches) {
    reader.reset(batch);
    while (reader.next()) {
      const value = reader.valueLength < 0 ? null : reader.buffer.toString('utf8', reader.valueStart, reader.valueStart + reader.valueLength);
      records.push({
        key: reader.buffer.toString('latin1', reader.keyStart, reader.keyStart + reader.keyLength),
        value: value === null ? null : JSON.parse(value),
        timestamp: Number(reader.timestamp),
        at: `${data.partition}@${reader.offset} by ${batch.producerId}/${batch.producerEpoch}`,
      });
    }
  }
}
