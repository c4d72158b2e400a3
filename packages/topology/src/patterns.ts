// Sources of every topic whose name matches. A topology names the pattern only; which topics that are is a fact of the broker, and so an input:
// whoever knows the topics asks `matchTopics`, and `resolvePatterns` gives the same topology with topics in place of patterns.
// Invariants: a topic is read by one source; a resolved topology has no pattern left; what describe() and toJSON() say never changes with topics.
import { uniteGroups } from './copartition.ts';
import { topicText } from './topic-text.ts';
import type { SourceNode, TopicRef, Topology } from './topology.ts';
import { topologyError } from './validate.ts';

/**
 * The expression that topic names are tested with. Without an anchor the whole name has to match, as in Kafka Streams; an expression that says by
 * `^` or `$` where it begins or ends is taken at its word. State between two tests (`g`, `y`) is left out.
 */
export function topicExpression(given: RegExp): RegExp {
  const flags = given.flags.replaceAll(/[gy]/g, '');
  return new RegExp(isAnchored(given.source) ? given.source : `^(?:${given.source})$`, flags);
}

/** True for `^` or `$` outside of character classes and escapes. */
function isAnchored(source: string): boolean {
  let classes = 0;
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    if (char === '\\') at++;
    else if (char === '[') classes++;
    else if (char === ']') classes = Math.max(0, classes - 1);
    else if (classes === 0 && (char === '^' || char === '$')) return true;
  }
  return false;
}

const sourcesOf = (topology: Topology): readonly SourceNode[] => [...topology.nodes.values()].filter((node) => node.kind === 'source');

/** True if what the topology reads depends on the topics that exist. */
export function hasPatterns(topology: Topology): boolean {
  return sourcesOf(topology).some((node) => node.topics.some(({ pattern }) => pattern !== undefined));
}

/** Which of these topics the topology reads by a pattern, sorted. Throws ERR_TOPOLOGY for one that patterns of two sources match. */
export function matchTopics(topology: Topology, names: Iterable<string>): readonly string[] {
  const sources = sourcesOf(topology).filter((node) => node.topics.some(({ pattern }) => pattern !== undefined));
  const matched: string[] = [];
  for (const topic of names) {
    const [first, second] = sources.filter((node) => node.topics.some(({ pattern }) => pattern?.test(topic) === true));
    if (first === undefined) continue;
    if (second !== undefined)
      throw topologyError(
        `Topic "${topic}" matches the patterns of two sources, ${describe(first)} and ${describe(second)}, and can be read by one only. Make one of the patterns narrower, or give the topic another name.`,
        { topic, node: second.name },
      );
    matched.push(topic);
  }
  return matched.sort();
}

const describe = ({ name, topics }: SourceNode): string => `"${name}" (${topics.map(topicText).join(', ')})`;

/** The topology with these topics in place of its patterns; the others of its parts are shared. */
export function resolvePatterns(topology: Topology, matched: readonly string[]): Topology {
  if (!hasPatterns(topology)) return topology;
  const resolve = (refs: readonly TopicRef[]): readonly TopicRef[] => {
    const known = new Map<string, TopicRef>();
    for (const ref of refs) for (const one of topicsOf(ref, matched)) if (!known.has(one.name)) known.set(one.name, one);
    return [...known.values()];
  };
  const nodes = [...topology.nodes].map(
    ([name, node]) => [name, node.kind === 'source' ? Object.freeze({ ...node, topics: resolve(node.topics) }) : node] as const,
  );
  return Object.freeze({
    ...topology,
    nodes: new Map(nodes),
    subtopologies: topology.subtopologies.map((sub) => ({ ...sub, sources: resolve(sub.sources) })),
    copartitionGroups: uniteGroups(topology.copartitionGroups.map(resolve).filter((group) => group.length > 0)),
  });
}

function topicsOf(ref: TopicRef, matched: readonly string[]): readonly TopicRef[] {
  const { pattern } = ref;
  return pattern === undefined ? [ref] : matched.filter((name) => pattern.test(name)).map((name) => ({ name, internal: false }));
}
