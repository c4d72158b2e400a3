// A fetch on the wire: the request for a set of partitions, and which part of the answer belongs to which of them.
// Owns: the shape.  Never: sends, judges errors, moves a position.
// X1 sessionless: every request names all it wants, so that any broker and any reconnect will do.  Source: KIP-227, KIP-516.
import { type APIS, NO_UUID, type RequestInput, type ResponseBody } from '@millrace/protocol';
import type { FilledConsumerOptions } from '../options.ts';
import { groupByTopic } from './by-topic.ts';
import type { KafkaCluster } from './cluster.ts';
import type { PartitionCursor } from './partition-cursor.ts';

/** The last version that names topics instead of giving their ids. */
const FETCH_BY_NAME = 12;

export type FetchBody = ResponseBody<typeof APIS.fetch>;
export type PartitionPart = FetchBody['responses'][number]['partitions'][number];

/** The id by which the cluster knows a topic now; NO_UUID when it gives none. */
export function topicIdOf(cluster: KafkaCluster, topic: string): string {
  return cluster.topic(topic)?.topicId ?? NO_UUID;
}

/** Ids are used where every topic has one; undefined: any version will do. */
export function fetchVersionMax(cluster: KafkaCluster, cursors: readonly PartitionCursor[]): number | undefined {
  return cursors.every(({ topic }) => topicIdOf(cluster, topic) !== NO_UUID) ? undefined : FETCH_BY_NAME;
}

/** Notes in each cursor the leader epoch under which it is asked for. */
export function fetchRequest(
  cluster: KafkaCluster,
  options: FilledConsumerOptions,
  cursors: readonly PartitionCursor[],
  maxWaitMs: number,
  bytesMax: number,
): RequestInput<typeof APIS.fetch> {
  const topics = groupByTopic(cursors).map(({ topic, items }) => ({
    topic,
    topicId: topicIdOf(cluster, topic),
    partitions: items.map((cursor) => {
      cursor.leaderEpoch = cluster.topic(topic)?.leaders[cursor.partition]?.epoch ?? -1;
      return {
        partition: cursor.partition,
        currentLeaderEpoch: cursor.leaderEpoch,
        fetchOffset: cursor.fetchOffset,
        partitionMaxBytes: options.fetchBytesMax,
      };
    }),
  }));
  return {
    maxWaitMs,
    minBytes: 1,
    maxBytes: Math.max(options.fetchBytesMax, bytesMax),
    isolationLevel: options.isolation === 'read_committed' ? 1 : 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics,
    forgottenTopicsData: [],
  };
}

/** Calls `take` with each part of the answer and the living cursor that asked for it. */
export function eachPart(
  cluster: KafkaCluster,
  body: FetchBody,
  asked: readonly PartitionCursor[],
  take: (cursor: PartitionCursor, part: PartitionPart) => void,
): void {
  let index = 0;
  for (const topic of body.responses) {
    for (const part of topic.partitions) {
      const matches = (cursor: PartitionCursor | undefined): boolean =>
        cursor !== undefined &&
        cursor.partition === part.partitionIndex &&
        (topic.topic === '' ? topicIdOf(cluster, cursor.topic) === topic.topicId : cursor.topic === topic.topic);
      // Brokers answer in the order asked: the search is for those that do not.
      const next = asked[index++];
      const cursor = matches(next) ? next : asked.find(matches);
      if (cursor?.live && !cursor.stopped) take(cursor, part);
    }
  }
}
