// Asks leaders for offsets by time, for the consumer (out of range) and the admin port.
// Owns: the round of requests, one per leader.  Never: caches an answer.
import { type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import { kafkaFailure } from './error-response.ts';
import { withRetries } from './retry.ts';

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
  let missing = [...partitions];
  await withRetries(cluster, { what: 'Listing offsets' }, async () => {
    const byLeader = new Map<number, TopicPartition[]>();
    for (const each of missing) {
      const { nodeId } = await cluster.leader(each.topic, each.partition);
      const group = byLeader.get(nodeId);
      if (group === undefined) byLeader.set(nodeId, [each]);
      else group.push(each);
    }
    let failure: Error | undefined;
    for (const [nodeId, group] of byLeader) {
      const connection = await cluster.connectionTo(nodeId, 'admin');
      const topics = groupByTopic(group).map(({ topic, items }) => ({
        name: topic,
        partitions: items.map(({ partition }) => ({ partitionIndex: partition, timestamp, currentLeaderEpoch: -1 })),
      }));
      const body = await connection.request(APIS.listOffsets, { replicaId: -1, isolationLevel: isolation === 'read_committed' ? 1 : 0, topics });
      for (const topic of body.topics) {
        for (const each of topic.partitions) {
          const where = { topic: topic.name, partition: each.partitionIndex };
          if (each.errorCode !== 0) failure ??= kafkaFailure(each.errorCode, `Listing offsets of ${partitionKey(where.topic, where.partition)}`, where);
          else {
            if (each.offset < 0) beyond.push(where);
            found.set(partitionKey(where.topic, where.partition), Math.max(0, each.offset) as Offset);
          }
        }
      }
    }
    missing = missing.filter((each) => !found.has(partitionKey(each.topic, each.partition)));
    if (failure !== undefined) throw failure;
  });
  if (beyond.length > 0 && timestamp >= 0) {
    // No record is that young: reading from there means reading from the end.
    for (const [key, end] of await listOffsets(cluster, beyond, LATEST, isolation)) found.set(key, end);
  }
  return found;
}
