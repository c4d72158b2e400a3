// Asks leaders where a leader epoch ended (KIP-320): whoever has read or written up to an offset under that epoch learns whether the log
// still holds it.
// Owns: the request.  Never: judges the answer.
import { type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import { askLeaders } from './ask-leaders.ts';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import { kafkaFailure } from './error-response.ts';

export interface EpochQuestion extends TopicPartition {
  readonly leaderEpoch: number;
}

/** See `LogAdmin.epochEnds`. */
export async function epochEnds(cluster: KafkaCluster, questions: readonly EpochQuestion[]): Promise<ReadonlyMap<string, Offset>> {
  const found = new Map<string, Offset>();
  await askLeaders(cluster, 'Asking for the ends of leader epochs', questions, async (connection, led, answered) => {
    const topics = groupByTopic(led).map(({ topic, items }) => ({
      topic,
      partitions: items.map(({ partition, leaderEpoch }) => ({ partition, currentLeaderEpoch: -1, leaderEpoch })),
    }));
    const body = await connection.request(APIS.offsetForLeaderEpoch, { replicaId: -1, topics });
    let failure: Error | undefined;
    for (const topic of body.topics) {
      for (const each of topic.partitions) {
        const where = { topic: topic.topic, partition: each.partition };
        const key = partitionKey(where.topic, where.partition);
        if (each.errorCode !== 0) failure ??= kafkaFailure(each.errorCode, `Asking for the end of a leader epoch of ${key}`, where);
        else {
          found.set(key, each.endOffset as Offset);
          answered(where.topic, where.partition);
        }
      }
    }
    return failure;
  });
  return found;
}
