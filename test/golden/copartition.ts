// Where a cogroup differs on purpose: its inputs' repartition topics must have equal partition counts, and that is what we check. Kafka Streams
// lists the topics above the repartitions instead: it refuses inputs of different width that would work, and does not look at the ones that matter.
import { type Topology, topicName } from '@millrace/topology';
import type { Case } from './case-format.ts';
import type { Likenesses } from './likeness.ts';

/** Our groups as Kafka Streams lists them, each sorted and joined. */
export function copartitionGroups(given: Case, built: Topology, likenesses: Likenesses): string[] {
  const listed = new Set(given.expect.copartitionGroups?.flat());
  const asListed = (topic: string): readonly string[] => {
    if (listed.has(topic)) return [topic];
    return likenesses.has('listsAboveCogroups') ? sourcesAbove(built, topic) : [topic];
  };
  // Which topics a pattern stands for was not known when this was recorded, so Kafka Streams lists none.
  const named = built.copartitionGroups.map((group) => group.filter(({ pattern }) => pattern === undefined));
  const groups = named.map((group) => [...new Set(group.flatMap((topic) => asListed(topicName('parity', topic))))]);
  return united(groups);
}

/** Sets that share a topic are one: equal partition counts are. Kafka Streams lists some apart. Each sorted and joined. */
export function united(groups: readonly (readonly string[])[]): string[] {
  const all: Set<string>[] = [];
  for (const group of groups.filter(({ length }) => length > 0)) {
    const whole = new Set(group);
    for (let at = all.length - 1; at >= 0; at--) {
      const other = all[at] as Set<string>;
      if (![...other].some((topic) => whole.has(topic))) continue;
      for (const topic of other) whole.add(topic);
      all.splice(at, 1);
    }
    all.push(whole);
  }
  return all.map((group) => [...group].sort().join()).sort();
}

/** The topics that the records of an internal topic come from, one step up. */
function sourcesAbove(built: Topology, topic: string): readonly string[] {
  const sink = [...built.nodes.values()].find((node) => node.kind === 'sink' && topicName('parity', node.topic) === topic);
  const above = new Set<string>(sink === undefined ? [] : [sink.name]);
  // Parents come before their children, so one walk from the end finds all.
  const nodes = [...built.nodes.values()].reverse();
  for (const node of nodes) if (node.kind !== 'sink' && node.children.some((child) => above.has(child))) above.add(node.name);
  return nodes.flatMap((node) => (node.kind === 'source' && above.has(node.name) ? node.topics.map((each) => topicName('parity', each)) : []));
}
