// Offsets to commit in the form that both OffsetCommit and TxnOffsetCommit carry.
import type { OffsetToCommit } from '../port.ts';
import { groupByTopic } from './by-topic.ts';

export function offsetTopics(offsets: readonly OffsetToCommit[]) {
  return groupByTopic(offsets).map(({ topic, items }) => ({
    name: topic,
    partitions: items.map((each) => ({
      partitionIndex: each.partition,
      committedOffset: each.offset,
      committedLeaderEpoch: each.leaderEpoch,
      committedMetadata: each.metadata,
    })),
  }));
}
