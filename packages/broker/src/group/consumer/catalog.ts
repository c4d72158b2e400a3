// The topics of this broker as consumer groups see them: ids, partition counts, and which names a pattern matches.
// Owns: the port, and the adapter over the broker's topics.  Never: changes a topic. Internal topics match no pattern.
import type { Topics } from '../../topics/topics.ts';
import { compilePattern } from './topic-pattern.ts';

export interface CatalogTopic {
  readonly id: string;
  readonly partitionCount: number;
}

export interface TopicCatalog {
  /** Another number after any topic came, grew or went. */
  readonly version: number;
  find(name: string): CatalogTopic | undefined;
  nameOf(id: string): string | undefined;
  /** Names that the pattern matches as a whole; undefined: it is not a pattern. */
  matching(pattern: string): readonly string[] | undefined;
}

export const NO_TOPICS: TopicCatalog = { version: 0, find: () => undefined, nameOf: () => undefined, matching: () => [] };

/** Patterns whose matches are remembered until the topics change. */
const REMEMBERED_MAX = 1_000;

export function topicCatalog(topics: Pick<Topics, 'version' | 'get' | 'byId' | 'all'>): TopicCatalog {
  let seen = -1;
  const remembered = new Map<string, readonly string[] | undefined>();
  return {
    get version() {
      return topics.version;
    },
    find(name) {
      const topic = topics.get(name);
      return topic === undefined ? undefined : { id: topic.id, partitionCount: topic.logs.length };
    },
    nameOf: (id) => topics.byId(id)?.name,
    matching(pattern) {
      if (seen !== topics.version || remembered.size >= REMEMBERED_MAX) remembered.clear();
      seen = topics.version;
      if (!remembered.has(pattern)) remembered.set(pattern, match(pattern, topics.all()));
      return remembered.get(pattern);
    },
  };
}

function match(pattern: string, topics: Iterable<{ readonly name: string; readonly internal: boolean }>): readonly string[] | undefined {
  const matches = compilePattern(pattern);
  if (matches === undefined) return undefined;
  const names: string[] = [];
  for (const { name, internal } of topics) if (!internal && matches(name)) names.push(name);
  return names;
}
