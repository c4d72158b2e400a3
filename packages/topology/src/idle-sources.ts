// Which sub-topologies' time may move on while their input is silent (`idleAfter`), and what must have come through before it does.
// A repartition topic follows what feeds it: it is as patient as the sub-topologies above, and silent only once these have no more to give.
// Pure.  Never: looks at a log or a clock.
import type { SourceNode, Subtopology, Topology } from './topology.ts';

/**
 * How long, ms, all input of a task must have been silent before its stream time moves; undefined: it never does. A stream that was not given
 * `idleAfter` holds time back for ever; a table does not, since a table that stays as it is is the usual case. The longest one given counts.
 */
export function idleAfterOf(topology: Topology, subtopology: Subtopology): number | undefined {
  const longest = longestOf(topology, subtopology, new Set());
  return longest === 0 ? undefined : longest;
}

/** 0: nobody says anything, and nobody holds time back. */
function longestOf(topology: Topology, subtopology: Subtopology, seen: Set<number>): number | undefined {
  if (seen.has(subtopology.id)) return 0; // two that feed each other wait for what comes from elsewhere
  seen.add(subtopology.id);
  let longest = 0;
  for (const source of sourcesOf(topology, subtopology)) {
    const own = source.idleAfterMs ?? (isTable(topology, source) ? 0 : undefined);
    const each = source.topics.some(({ internal }) => internal) ? longestAbove(topology, source, seen) : own;
    if (each === undefined) return undefined;
    longest = Math.max(longest, each);
  }
  return longest;
}

function longestAbove(topology: Topology, source: SourceNode, seen: Set<number>): number | undefined {
  let longest = 0;
  for (const above of feeding(topology, source)) {
    const each = longestOf(topology, above, seen);
    if (each === undefined) return undefined;
    longest = Math.max(longest, each);
  }
  return longest;
}

/** A topic of rows: read as a table, or the changelog of a store. */
function isTable({ stores }: Topology, { nullValues, topics }: SourceNode): boolean {
  return nullValues === 'tombstone' || topics.some(({ name }) => [...stores.values()].some(({ sourceTopic }) => sourceTopic === name));
}

/** All sub-topologies whose output reaches this one by repartition topics, those furthest up first; not itself. */
export function feedingInOrder(topology: Topology, subtopology: Subtopology): readonly Subtopology[] {
  const seen = new Set([subtopology.id]);
  const ordered: Subtopology[] = [];
  const visit = (below: Subtopology): void => {
    for (const source of sourcesOf(topology, below)) {
      for (const above of feeding(topology, source)) {
        if (seen.has(above.id)) continue;
        seen.add(above.id);
        visit(above);
        ordered.push(above);
      }
    }
  };
  visit(subtopology);
  return ordered;
}

function feeding({ subtopologies }: Topology, source: SourceNode): readonly Subtopology[] {
  const internal = source.topics.filter((topic) => topic.internal).map(({ name }) => name);
  if (internal.length === 0) return [];
  return subtopologies.filter(({ sinks }) => sinks.some((sink) => sink.internal && internal.includes(sink.name)));
}

function sourcesOf(topology: Topology, { nodes }: Subtopology): readonly SourceNode[] {
  return nodes.flatMap((name) => {
    const node = topology.nodes.get(name);
    return node?.kind === 'source' ? [node] : [];
  });
}
