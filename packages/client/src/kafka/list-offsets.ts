// Asks leaders for offsets by time, for the consumer (out of range) and the admin port.
// Owns: the request.  Never: caches an answer.
import { type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { askLeaders } from './ask-leaders.ts';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import { kafkaFailure } from './error-response.ts';

/** Kafka's special times. */
export const LATEST = -1;
export const EARLIEST = -2;

export type Isolation = 'read_committed' | 'read_uncommitted';

/** Offset of the first record at or after `timestamp`, by `partitionKey`; the log end where there is none. Retries within the request timeout. */
export async function listOffsets(
  cluster: KafkaCluster,
  partitions: readonly TopicPartition[],
  timestamp: number,
  isolation: Isolation,
): Promise<ReadonlyMap<string, Offset>> {
  const found = new Map<string, Offset>();
  const beyond: TopicPartition[] = [];
  await askLeaders(cluster, 'Listing offsets', partitions, async (connection, led, answered) => {
    const topics = groupByTopic(led).map(({ topic, items }) => ({
      name: topic,
      partitions: items.map(({ partition }) => ({ partitionIndex: partition, timestamp, currentLeaderEpoch: -1 })),
    }));
    const body = await connection.request(APIS.listOffsets, { replicaId: -1, isolationLevel: isolation === 'read_committed' ? 1 : 0, topics });
    let failure: Error | undefined;
    for (const topic of body.topics) {
      for (const each of topic.partitions) {
        const where = { topic: topic.name, partition: each.partitionIndex };
        const key = partitionKey(where.topic, where.partition);
        if (each.errorCode !== 0) {
          failure ??= kafkaFailure(each.errorCode, `Listing offsets of ${key}`, where);
          continue;
        }
        if (each.offset < 0) beyond.push(where);
        found.set(key, Math.max(0, each.offset) as Offset);
        answered(where.topic, where.partition);
      }
    }
    return failure;
  });
  if (beyond.length > 0 && timestamp >= 0) {
    // No record is that young: reading from there means reading from the end.
    for (const [key, end] of await listOffsets(cluster, beyond, LATEST, isolation)) found.set(key, end);
  }
  return found;
}
