// Which topics an application needs, with how many partitions each, and which of them must be made: pure, from the
// topology and what exists on the broker. Source: semantics 3 and 4.
// Never: asks the broker. The leader executes the plan before it assigns.

import type { NewTopic } from '@millrace/client';
import { MillraceError } from '@millrace/core';
import { type InternalTopic, resolvePatterns, type Subtopology, type TopicRef, type Topology, topicName } from '@millrace/topology';
import type { TaskFacts } from './assignment/assign.ts';

export interface TopicPlanInput {
  readonly topology: Topology;
  readonly applicationId: string;
  /** Partition counts of the topics that exist, by their names on the broker. */
  readonly existing: ReadonlyMap<string, number>;
  /** Those of them that the topology's patterns stand for; none unless given. */
  readonly matched?: readonly string[];
  /** Topics the application writes that the topology does not name: dead letters of the application's own policies. */
  readonly alsoWritten?: readonly string[];
  /** Create the user's topics that are missing (embedded broker, dev). */
  readonly createUserTopics: boolean;
  /** Partitions of a user topic whose declaration does not say. */
  readonly defaultPartitions: number;
  readonly replication: number;
  readonly overrides: Readonly<Record<string, string>>;
}

export interface TopicPlan {
  /** The topology with topics in place of its patterns. */
  readonly topology: Topology;
  /** Partition counts after the plan has been carried out, by name on the broker. */
  readonly counts: ReadonlyMap<string, number>;
  readonly create: readonly NewTopic[];
  readonly tasks: readonly TaskFacts[];
}

interface Input extends TopicPlanInput {
  /** Sub-topologies that read by pattern: their inputs come and go, and the widest of them decides how many tasks there are. */
  readonly varying: ReadonlySet<number>;
}

/** Throws ERR_TOPIC_MISSING or ERR_PARTITION_COUNT with the topic, the numbers and what to do. */
export function planTopics(asked: TopicPlanInput): TopicPlan {
  const varying = new Set(asked.topology.subtopologies.filter(({ sources }) => sources.some(({ pattern }) => pattern !== undefined)).map(({ id }) => id));
  const topology = resolvePatterns(asked.topology, asked.matched ?? []);
  const input: Input = { ...asked, topology, varying };
  const counts = new Map(input.existing);
  const create: NewTopic[] = [];
  planUserTopics(input, counts, create);
  planRepartitionTopics(input, counts, create);
  checkCopartitions(input, counts);
  const tasks = tasksOf(input, counts);
  planChangelogs(input, counts, create, tasks);
  return { topology, counts, create, tasks };
}

function planUserTopics(input: Input, counts: Map<string, number>, create: NewTopic[]): void {
  const read = input.topology.subtopologies.flatMap((sub) => sub.sources.filter((topic) => !topic.internal).map((topic) => topic.name));
  const sources = new Set([...read, ...input.topology.globals.map((global) => global.topic)]);
  const changelogTopics = new Set([...sourceChangelogs(input.topology), ...input.topology.globals].map((one) => one.topic));
  const missing: string[] = [];
  const named = new Set(input.topology.userTopics.map((topic) => topic.name));
  const also = (input.alsoWritten ?? []).filter((name) => !named.has(name)).map((name) => ({ name, partitions: undefined, config: {} }));
  for (const topic of [...input.topology.userTopics, ...also]) {
    if (counts.has(topic.name)) continue;
    if (input.createUserTopics) {
      const partitions = topic.partitions ?? input.defaultPartitions;
      counts.set(topic.name, partitions);
      create.push({
        name: topic.name,
        partitions,
        replication: input.replication,
        config: changelogTopics.has(topic.name) ? { 'cleanup.policy': 'compact', ...topic.config } : topic.config,
      });
    } else missing.push(topic.name);
  }
  if (missing.length > 0) {
    const listed = (verb: string, names: readonly string[]): string[] => (names.length === 0 ? [] : [`${verb} ${names.map((name) => `'${name}'`).join(', ')}`]);
    const uses = [
      listed(
        'reads',
        missing.filter((name) => sources.has(name)),
      ),
      listed(
        'writes',
        missing.filter((name) => !sources.has(name)),
      ),
    ].flat();
    throw new MillraceError(
      'ERR_TOPIC_MISSING',
      `topology '${input.topology.name}' ${uses.join(' and ')}, which the broker does not have. Create ${missing.length === 1 ? 'it' : 'them'} with the partition count you want, or run against the embedded broker, which creates topics by itself.`,
      { topic: missing[0] as string },
    );
  }
}

/** Source topics that serve as changelog of a table's store: they must be compacted, or rows would be lost with old segments. */
export function sourceChangelogs(topology: Topology): readonly { readonly topic: string; readonly store: string }[] {
  return [...topology.stores.values()].flatMap((spec) => (spec.sourceTopic === undefined ? [] : [{ topic: spec.sourceTopic, store: spec.name }]));
}

function planRepartitionTopics(input: Input, counts: Map<string, number>, create: NewTopic[]): void {
  const { topology, applicationId } = input;
  const open = new Map(topology.internalTopics.filter((topic) => topic.kind === 'repartition').map((topic) => [`${applicationId}-${topic.name}`, topic]));
  const wanted = new Map<string, number>();
  const countOf = (name: string): number | undefined => (open.has(name) ? wanted.get(name) : counts.get(name));
  for (const [name, topic] of open) if (topic.partitions !== undefined) wanted.set(name, topic.partitions);
  const derive = (): void => {
    for (let changed = true; changed; ) {
      changed = false;
      for (const [name] of open) {
        if (wanted.has(name)) continue;
        const writers = topology.subtopologies.filter((sub) => sub.sinks.some((sink) => topicName(applicationId, sink) === name));
        const feeding = writers.flatMap((sub) => sub.sources.map((source) => countOf(topicName(applicationId, source))));
        const varies = writers.some(({ id }) => input.varying.has(id));
        if ((feeding.length === 0 && !varies) || feeding.includes(undefined)) continue;
        // Once made it keeps its count, whatever topics come and go: a key must stay in its partition. 0: no topic matches so far, and it is not made yet.
        wanted.set(name, (varies ? input.existing.get(name) : undefined) ?? Math.max(0, ...(feeding as number[])));
        changed = true;
      }
    }
  };
  derive();
  // Two that feed each other, as the topics of a foreign-key join do, know their counts from what they are joined with.
  for (let known = -1; wanted.size < open.size && wanted.size > known; ) {
    known = wanted.size;
    enforceCopartitions(input, counts, open, wanted);
    derive();
  }
  enforceCopartitions(input, counts, open, wanted);
  for (const [name, topic] of open) {
    const partitions = wanted.get(name);
    if (partitions === undefined)
      throw new MillraceError(
        'ERR_PARTITION_COUNT',
        `the partition count of repartition topic '${name}' cannot be derived: it feeds itself. Give it a number: repartition({ partitions: … }).`,
        { topic: name },
      );
    if (partitions > 0) settleInternal(input, name, topic, partitions, counts, create);
  }
}

/** Repartition topics of a group take the count of its other topics; among themselves explicit counts win, else the largest. */
function enforceCopartitions(input: Input, counts: ReadonlyMap<string, number>, open: ReadonlyMap<string, InternalTopic>, wanted: Map<string, number>): void {
  for (const group of input.topology.copartitionGroups) {
    const names = group.map((topic) => topicName(input.applicationId, topic));
    const fixed = names
      .filter((name) => !open.has(name))
      .map((name) => counts.get(name))
      .filter((count) => count !== undefined);
    const ours = names.filter((name) => open.has(name));
    const explicit = ours.map((name) => open.get(name)?.partitions).filter((count) => count !== undefined);
    const target = fixed[0] ?? (explicit.length > 0 ? explicit[0] : Math.max(0, ...ours.map((name) => wanted.get(name) ?? 0)));
    if (target === undefined || target === 0) continue;
    for (const name of ours) {
      const asked = open.get(name)?.partitions;
      if (asked !== undefined && asked !== target)
        throw new MillraceError(
          'ERR_PARTITION_COUNT',
          `'${name}' is given ${asked} partitions but is joined with topics of ${target}. Use the same number on both sides.`,
          { topic: name },
        );
      wanted.set(name, target);
    }
  }
}

function checkCopartitions(input: Input, counts: ReadonlyMap<string, number>): void {
  for (const group of input.topology.copartitionGroups) {
    const facts = group.map((topic) => topicName(input.applicationId, topic)).map((name) => [name, counts.get(name)] as const);
    if (new Set(facts.map(([, count]) => count)).size > 1) {
      throw new MillraceError(
        'ERR_PARTITION_COUNT',
        `these topics meet in one join and need equal partition counts: ${facts.map(([name, count]) => `${name} has ${count ?? 'none'}`).join(', ')}. Repartition one side with repartition(), or recreate a topic.`,
      );
    }
  }
}

function tasksOf(input: Input, counts: ReadonlyMap<string, number>): TaskFacts[] {
  const tasks: TaskFacts[] = [];
  for (const sub of input.topology.subtopologies) {
    const partitions = Math.max(0, ...sub.sources.map((topic: TopicRef) => counts.get(topicName(input.applicationId, topic)) ?? 0));
    for (let partition = 0; partition < partitions; partition++) tasks.push({ id: `${sub.id}_${partition}`, stateful: sub.stores.length > 0 });
  }
  return tasks;
}

function planChangelogs(input: Input, counts: Map<string, number>, create: NewTopic[], tasks: readonly TaskFacts[]): void {
  for (const topic of input.topology.internalTopics) {
    if (topic.kind !== 'changelog' || topic.store === undefined) continue;
    const sub = input.topology.subtopologies.find((one) => one.stores.includes(topic.store as string));
    if (sub === undefined) continue;
    const partitions = tasks.filter((task) => task.id.startsWith(`${sub.id}_`)).length;
    if (partitions === 0) continue;
    const name = `${input.applicationId}-${topic.name}`;
    const existing = input.varying.has(sub.id) ? input.existing.get(name) : undefined;
    if (existing !== undefined && existing < partitions) throw tooWide(input, sub, name, existing, counts);
    // Tasks that are gone with their topics leave their partitions behind.
    settleInternal(input, name, topic, existing ?? partitions, counts, create);
  }
}

/** The rows of its keys would lie in partitions that the changelog does not have; Kafka Streams refuses it too. */
function tooWide({ topology }: Input, { sources }: Subtopology, name: string, existing: number, counts: ReadonlyMap<string, number>): MillraceError {
  const wide = sources.filter((ref) => !ref.internal && (counts.get(ref.name) ?? 0) > existing).map((ref) => `'${ref.name}' has ${counts.get(ref.name)}`);
  return new MillraceError(
    'ERR_PARTITION_COUNT',
    `topology '${topology.name}' reads by a pattern, and topics match that have more partitions than its changelog '${name}', which has ${existing}: ${wide.join(', ')}. Create topics of the pattern with at most ${existing} partitions, exclude these from the pattern, repartition() before the store, or reset the application.`,
    { topic: name },
  );
}

function settleInternal(input: Input, name: string, topic: InternalTopic, partitions: number, counts: Map<string, number>, create: NewTopic[]): void {
  const existing = input.existing.get(name);
  if (existing === undefined) {
    counts.set(name, partitions);
    create.push({ name, partitions, replication: input.replication, config: { ...topic.config, ...input.overrides } });
    return;
  }
  if (existing !== partitions) {
    throw new MillraceError(
      'ERR_PARTITION_COUNT',
      `internal topic '${name}' has ${existing} partitions but the application now needs ${partitions}: the partition count of an input has changed, and with it the place of every key. Go back to the old count, or reset the application (millrace reset).`,
      { topic: name },
    );
  }
}
