// Answers per partition come in one flat list and leave grouped by topic, as requests arrive.
// Owns: that regrouping, for the handlers of offsets and transactions.

/** Neighbours of the same topic share an entry; order is kept. */
export function byTopic<Entry extends { readonly topic: string }, Out>(
  entries: readonly Entry[],
  toPartition: (entry: Entry) => Out,
): { readonly name: string; readonly partitions: Out[] }[] {
  const topics: { readonly name: string; readonly partitions: Out[] }[] = [];
  for (const entry of entries) {
    let topic = topics.at(-1);
    if (topic?.name !== entry.topic) topics.push((topic = { name: entry.topic, partitions: [] }));
    topic.partitions.push(toPartition(entry));
  }
  return topics;
}
