// Kafka's requests list partitions under their topics; the client thinks in single partitions. This is the turn from one to the other.
import type { TopicPartition } from '@millrace/core';

export interface TopicGroup<T> {
  readonly topic: string;
  readonly items: readonly T[];
}

/** Items by topic, topics in order of first appearance. */
export function groupByTopic<T extends TopicPartition>(items: Iterable<T>): readonly TopicGroup<T>[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(item.topic);
    if (group === undefined) groups.set(item.topic, [item]);
    else group.push(item);
  }
  return [...groups].map(([topic, group]) => ({ topic, items: group }));
}
