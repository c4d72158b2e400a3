// Which topics of the broker the patterns of a topology stand for just now, with their partitions.
// Never: topics of the broker itself, internal topics of this application (of former versions of it too), and its own dead letters: a record that
// failed would fail again, for ever. What the user may not describe is not among the topics that exist.
import type { TopicDescription } from '@millrace/client';
import { hasPatterns, isDeadLetter, matchTopics, type Topology } from '@millrace/topology';
import { type AppSettings, deadLetterTopics } from './options.ts';

/** By name, in order of names. Throws ERR_TOPOLOGY for a topic that patterns of two sources match. */
export function topicsMatched(
  topology: Topology,
  settings: Pick<AppSettings, 'applicationId' | 'errors'>,
  existing: ReadonlyMap<string, TopicDescription>,
): ReadonlyMap<string, number> {
  if (!hasPatterns(topology)) return new Map();
  const { applicationId, errors } = settings;
  const own = new Set(topology.internalTopics.map(({ name }) => `${applicationId}-${name}`));
  for (const topic of deadLetterTopics(errors)) own.add(topic);
  for (const node of topology.nodes.values()) if (isDeadLetter(node.onError)) own.add(node.onError.topic);
  const wasOurs = (name: string): boolean => name.startsWith(`${applicationId}-`) && /-(changelog|repartition)$/.test(name);
  const users = [...existing.values()].filter(({ name, internal }) => !internal && !own.has(name) && !wasOurs(name));
  const matched = matchTopics(
    topology,
    users.map(({ name }) => name),
  );
  return new Map(matched.map((name) => [name, existing.get(name)?.partitions ?? 0]));
}
