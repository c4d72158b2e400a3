// Sets of partitions by topic id, and the few set operations that assignment needs. Never changed in place.
// Owns: the representation: no topic without partitions, partitions ascending and once.  Never: knows members or names.

/** Topic id → partitions, ascending. */
export type TopicPartitions = ReadonlyMap<string, readonly number[]>;

export const NO_PARTITIONS: TopicPartitions = new Map();

/** What a wire list says, whatever its order; doubles and empty topics fall out. */
export function topicPartitions(entries: Iterable<readonly [topicId: string, partitions: Iterable<number>]>): TopicPartitions {
  const sets = new Map<string, Set<number>>();
  for (const [topicId, partitions] of entries) {
    let set = sets.get(topicId);
    if (set === undefined) sets.set(topicId, (set = new Set()));
    for (const partition of partitions) set.add(partition);
  }
  const found = new Map<string, readonly number[]>();
  for (const [topicId, set] of sets)
    if (set.size > 0)
      found.set(
        topicId,
        [...set].sort((left, right) => left - right),
      );
  return found;
}

/** Those of `from` for which `keep` holds. */
export function filterPartitions(from: TopicPartitions, keep: (topicId: string, partition: number) => boolean): TopicPartitions {
  const kept = new Map<string, readonly number[]>();
  for (const [topicId, partitions] of from) {
    const some = partitions.filter((partition) => keep(topicId, partition));
    if (some.length > 0) kept.set(topicId, some);
  }
  return kept;
}

/** Cost: a binary search, so that long lists from outside stay cheap. */
export function hasPartition(set: TopicPartitions, topicId: string, partition: number): boolean {
  const partitions = set.get(topicId);
  if (partitions === undefined) return false;
  let from = 0;
  for (let to = partitions.length; from < to; ) {
    const middle = (from + to) >> 1;
    if ((partitions[middle] as number) < partition) from = middle + 1;
    else to = middle;
  }
  return partitions[from] === partition;
}

export function intersect(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  return filterPartitions(left, (topicId, partition) => hasPartition(right, topicId, partition));
}

export function subtract(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  return filterPartitions(left, (topicId, partition) => !hasPartition(right, topicId, partition));
}

export function union(left: TopicPartitions, right: TopicPartitions): TopicPartitions {
  if (right.size === 0) return left;
  return topicPartitions([...left, ...right]);
}

export function isSubset(left: TopicPartitions, right: TopicPartitions): boolean {
  for (const [topicId, partitions] of left) for (const partition of partitions) if (!hasPartition(right, topicId, partition)) return false;
  return true;
}

export function overlaps(left: TopicPartitions, right: TopicPartitions): boolean {
  for (const [topicId, partitions] of left) for (const partition of partitions) if (hasPartition(right, topicId, partition)) return true;
  return false;
}

export function sameTopicPartitions(left: TopicPartitions, right: TopicPartitions): boolean {
  return left.size === right.size && isSubset(left, right) && isSubset(right, left);
}
