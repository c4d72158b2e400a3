// What makes a physical graph wrong, each as a typed error with code, place and a fix.
// Never: repairs anything. Checks that need one name run while adding; checks of the whole graph run in `checkTopology`.

import type { ErrorPlace } from '@millrace/core';
import { assert, isLegalName, MillraceError } from '@millrace/core';
import type { StoreSpec } from './store-spec.ts';
import { topicText } from './topic-text.ts';
import type { SourceNode, TopicRef, Topology, TopologyNode } from './topology.ts';

export function topologyError(message: string, where: ErrorPlace = {}): MillraceError {
  return new MillraceError('ERR_TOPOLOGY', message, where);
}

/** Throws unless `name` may name a node, store or topic (semantics 2.7). */
export function checkName(name: string, what: 'node' | 'store' | 'topic'): void {
  if (!isLegalName(name))
    throw new MillraceError(
      'ERR_NAME',
      `The ${what} name ${JSON.stringify(name)} is not legal. Use 1 to 249 letters, digits, ".", "_" and "-", but not "." or "..".`,
      { [what]: name },
    );
}

export function checkNewName(name: string, nodes: ReadonlyMap<string, unknown>): void {
  checkName(name, 'node');
  if (nodes.has(name)) throw topologyError(`Two operators are called "${name}". Names given with { as } must be unique in a topology.`, { node: name });
}

export function checkParent(node: string, parent: string, found: TopologyNode | undefined): void {
  if (found === undefined)
    throw topologyError(`"${node}" is to be connected to "${parent}", which the topology does not have. Add the parent first.`, { node });
  if (found.kind === 'sink') throw topologyError(`"${node}" is to be connected to "${parent}", which is a sink: nothing comes out of it.`, { node });
}

export function checkHasParents(node: string, parents: readonly string[]): void {
  if (parents.length === 0) throw topologyError(`"${node}" is connected to nothing above it, so no record reaches it. Name its parents.`, { node });
}

export function unknownStore(node: string, store: string): MillraceError {
  return topologyError(`Processor "${node}" uses store "${store}", which the topology does not have. Add the store first.`, { node, store });
}

export function cannotConnect(node: string, store: string, found: TopologyNode['kind'] | undefined): MillraceError {
  const what = found === undefined ? 'which the topology does not have. Add the processor first.' : `which is a ${found}: only processors have stores.`;
  return topologyError(`Store "${store}" is to be connected to "${node}", ${what}`, { node, store });
}

/** What is read so far, by name or pattern: the reference and its source. */
export type TopicsRead = ReadonlyMap<string, { readonly ref: TopicRef; readonly source: string }>;

/** Throws unless `spec` reads topics that no other source reads: equal names, equal patterns, and a name that a pattern matches, are one topic. */
export function checkSourceTopics(spec: Pick<SourceNode, 'name' | 'topics'>, read: TopicsRead): void {
  if (spec.topics.length === 0) throw topologyError(`Source "${spec.name}" reads no topic. Name at least one.`, { node: spec.name });
  for (const topic of spec.topics) {
    if (topic.pattern === undefined) checkName(topic.name, 'topic');
    const other = read.get(topicText(topic));
    if (other !== undefined) {
      throw topologyError(
        `Topic "${topic.name}" is read by two sources, "${other.source}" and "${spec.name}", which are declared differently. Read it once and use the result twice.`,
        { topic: topic.name, node: spec.name },
      );
    }
    const own = spec.topics.map((ref) => ({ ref, source: spec.name }));
    for (const { ref, source } of [...read.values(), ...own]) {
      const [pattern, named] = topic.pattern === undefined ? [ref, topic] : [topic, ref];
      // Internal topics match no pattern, whatever they are called.
      if (named.pattern !== undefined || named.internal || pattern.pattern?.test(named.name) !== true) continue;
      throw topologyError(
        `Pattern ${topicText(pattern)} matches topic "${named.name}", and both are read: by "${source}" and "${spec.name}". Make the pattern narrower, or read the topic by the pattern alone.`,
        { topic: named.name, node: spec.name },
      );
    }
  }
}

export function checkNewStore(spec: StoreSpec, stores: ReadonlyMap<string, StoreSpec>): void {
  checkName(spec.name, 'store');
  const other = stores.get(spec.name);
  if (other !== undefined && other !== spec) throw topologyError(`Two stores are called "${spec.name}". Give one of them another name.`, { store: spec.name });
  if (spec.kind === 'window') {
    // The buffer of a join of equal times has a window of 0.
    if (!(spec.windowSizeMs > 0 || (spec.duplicates && spec.windowSizeMs === 0)))
      throw topologyError(`Window store "${spec.name}" has a window of ${spec.windowSizeMs} ms; it must be longer than 0.`, { store: spec.name });
    if (spec.retentionMs < spec.windowSizeMs)
      throw topologyError(
        `Window store "${spec.name}" keeps rows for ${spec.retentionMs} ms, less than its windows of ${spec.windowSizeMs} ms. Raise { retention }.`,
        { store: spec.name },
      );
  }
}

/** Repartition topics that were given counts of their own, and must agree. What has none follows; user topics are counted at start. */
function checkCopartitions({ copartitionGroups, internalTopics }: Topology): void {
  for (const group of copartitionGroups) {
    const given = internalTopics.filter(({ name, partitions }) => partitions !== undefined && group.some((topic) => topic.internal && topic.name === name));
    const [first] = given;
    const other = given.find(({ partitions }) => partitions !== first?.partitions);
    if (first === undefined || other === undefined) continue;
    throw topologyError(
      `Repartition topics "${first.name}" (${first.partitions} partitions) and "${other.name}" (${other.partitions}) meet in a join or a cogroup, which needs equal counts: equal keys must lie in equal partitions. Give both the same { partitions }, or one of them none.`,
      { topic: first.name },
    );
  }
}

export function checkTopology(topology: Topology): void {
  checkCopartitions(topology);
  const used = new Set<string>();
  let sources = 0;
  for (const node of topology.nodes.values()) {
    if (node.kind === 'source') sources++;
    if (node.kind === 'processor') for (const store of node.stores) used.add(store);
  }
  if (sources === 0)
    throw topologyError(`Topology "${topology.name}" reads nothing. Begin with t.stream(topic) or t.table(topic).`, { topology: topology.name });
  for (const store of topology.stores.keys()) {
    if (!used.has(store)) throw topologyError(`Store "${store}" is used by no operator. Connect it or leave it out.`, { store });
  }
  for (const subtopology of topology.subtopologies) {
    assert(subtopology.sources.length > 0, `subtopology ${subtopology.id} has a source, since every node hangs below one`);
  }
}
