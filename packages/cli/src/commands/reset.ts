// millrace reset: an application begins anew. Its positions go back, its internal topics and what it keeps on this disk go.
// R1 nothing is changed without --execute.  R2 nothing is changed while a member of the application is alive.
// R3 done again after it broke off, it does the rest: each step asks what is still there.
// Never: touches a topic of the user.
import { createAdmin, type LogAdmin, type OffsetSpec } from '@millrace/client';
import { durationMs, MillraceError, type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import { removeState, stateFolders } from '@millrace/runtime';
import { matchTopics, resolvePatterns, type Topology, topicName } from '@millrace/topology';
import { type CliDeps, type Command, DONE, FAILED, readOptions, UsageError } from '../command.ts';
import { topologiesOf } from '../topology-module.ts';

const INTERNAL = /-(changelog|repartition)$/;

export const resetCommand: Command = {
  name: 'reset',
  summary: 'let an application begin anew',
  help: `Example: millrace reset dist/orders.js --brokers 127.0.0.1:9092 --state-dir ./.millrace --execute

Sets the positions in the input topics back, deletes the repartition and changelog topics, and what lies in the state folder.
Stop every instance first. Output topics stay as they are: what is computed again is written again.

  --brokers HOST:PORT,…   where the brokers are (required)
  --topology NAME         which one, if the module exports several
  --application-id ID     if it is not the topology's name
  --to WHERE              earliest (default), latest, a time such as 2026-11-01T00:00:00Z, or so long ago: 12h
  --state-dir DIR         state of this machine to be removed; that of other machines is rebuilt by itself
  --execute               without it, it only says what it would do`,
  async run(args, deps) {
    const execute = args.includes('--execute');
    const [path, ...rest] = args.filter((arg) => arg !== '--execute');
    if (path === undefined || path.startsWith('--')) throw new UsageError('Say which module: millrace reset MODULE.');
    const flags = readOptions(rest, ['brokers', 'topology', 'application-id', 'to', 'state-dir']);
    if (flags.brokers === undefined) throw new UsageError('--brokers is needed.');
    const to = readPlace(flags.to ?? 'earliest', deps);
    const topology = chosen(await topologiesOf(path, deps), flags.topology);
    const connection = { brokers: flags.brokers.split(','), clientId: 'millrace-reset', connectionTimeoutMs: 5_000, requestTimeoutMs: 30_000 };
    const admin = createAdmin(connection, {}, deps.ports);
    try {
      const plan = await planReset(topology, { admin, applicationId: flags['application-id'] ?? topology.name, to, stateDir: flags['state-dir'], deps });
      for (const line of describePlan(plan, flags.to ?? 'earliest')) deps.printLine(line);
      if (plan.members.length > 0) {
        deps.printError(
          `${plan.members.length} members are alive: ${plan.members.join(', ')}. Stop the application first; one that was killed is gone after its session timeout.`,
        );
        return FAILED;
      }
      if (execute) await carryOut(plan, admin, deps);
      deps.printLine(execute ? 'Done: the application begins anew at its next start.' : 'Nothing was changed; --execute does it.');
      return DONE;
    } finally {
      await admin.close();
    }
  },
};

interface ResetPlan {
  readonly applicationId: string;
  readonly members: readonly string[];
  readonly inputs: readonly (TopicPartition & { readonly offset: Offset })[];
  /** Internal topics of the topology that exist. */
  readonly topics: readonly string[];
  /** Topics that look as if they were the application's, of another version perhaps: only told. */
  readonly strange: readonly string[];
  readonly stateDir: string | undefined;
  readonly folders: readonly string[];
}

interface ResetOptions {
  readonly admin: LogAdmin;
  readonly applicationId: string;
  readonly to: OffsetSpec;
  readonly stateDir: string | undefined;
  readonly deps: CliDeps;
}

async function planReset(given: Topology, { admin, applicationId, to, stateDir, deps }: ResetOptions): Promise<ResetPlan> {
  const existing = await admin.describeTopics(undefined);
  const internal = new Set(given.internalTopics.map(({ name }) => `${applicationId}-${name}`));
  const own = (name: string): boolean => internal.has(name);
  const topology = resolvePatterns(
    given,
    matchTopics(
      given,
      [...existing.keys()].filter((name) => !own(name)),
    ),
  );
  const read = new Set(topology.subtopologies.flatMap(({ sources }) => sources.map((ref) => topicName(applicationId, ref))));
  const places = [...read].flatMap((topic) => Array.from({ length: existing.get(topic)?.partitions ?? 0 }, (_, partition) => ({ topic, partition })));
  const starts = await admin.listOffsets(places, 'earliest');
  const wanted = to === 'earliest' ? starts : await admin.listOffsets(places, to);
  const ends = typeof to === 'object' ? await admin.listOffsets(places, 'latest') : wanted;
  const offsetOf = ({ topic, partition }: TopicPartition): Offset => {
    const key = partitionKey(topic, partition);
    const found = wanted.get(key) ?? (-1 as Offset);
    return found >= 0 ? found : (ends.get(key) ?? (0 as Offset)); // nothing is as young as that
  };
  const [inputs, repartitioned] = [places.filter(({ topic }) => !own(topic)), places.filter(({ topic }) => own(topic))];
  return {
    applicationId,
    members: (await admin.groupMembers(applicationId)).map(({ instanceId, clientId, host }) => `${instanceId ?? clientId} at ${host}`),
    // A repartition topic that is made again begins at 0, whatever the broker remembers of the old one.
    inputs: [...inputs.map((place) => ({ ...place, offset: offsetOf(place) })), ...repartitioned.map((place) => ({ ...place, offset: 0 as Offset }))],
    topics: [...existing.keys()].filter(own).sort(),
    strange: [...existing.keys()].filter((name) => name.startsWith(`${applicationId}-`) && INTERNAL.test(name) && !own(name) && !read.has(name)).sort(),
    stateDir,
    folders: stateDir === undefined ? [] : stateFolders(stateDir, applicationId, deps.ports.disk),
  };
}

function describePlan({ applicationId, inputs, topics, strange, folders }: ResetPlan, to: string): readonly string[] {
  const byTopic = new Map<string, string[]>();
  for (const { topic, partition, offset } of inputs) byTopic.set(topic, [...(byTopic.get(topic) ?? []), `${partition}: ${offset}`]);
  return [
    `application ${applicationId}, to ${to}`,
    ...[...byTopic].map(([topic, offsets]) => `position in ${topic}: ${offsets.join(', ')}`),
    ...topics.map((topic) => `delete topic ${topic}`),
    ...folders.map((folder) => `delete folder ${folder}`),
    ...strange.map((topic) => `left alone: ${topic}, which this topology does not name`),
  ];
}

async function carryOut({ applicationId, inputs, topics, stateDir }: ResetPlan, admin: LogAdmin, { ports }: CliDeps): Promise<void> {
  if (stateDir !== undefined) removeState(stateDir, applicationId, ports.disk);
  // Refused by the broker while the group has members, so nobody can have come since.
  await admin.commitOffsets(
    { groupId: applicationId, memberId: '', generation: -1, instanceId: undefined },
    inputs.map((place) => ({ ...place, leaderEpoch: -1, metadata: '' })),
  );
  await admin.deleteTopics(topics);
}

function chosen(topologies: readonly Topology[], name: string | undefined): Topology {
  const names = topologies.map((one) => one.name).join(', ');
  const found = name === undefined && topologies.length === 1 ? topologies[0] : topologies.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new UsageError(
    name === undefined ? `The module exports ${names}: name one with --topology.` : `The module exports no topology "${name}", only ${names}.`,
  );
}

function readPlace(text: string, { ports }: CliDeps): OffsetSpec {
  if (text === 'earliest' || text === 'latest') return text;
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return { atMs: time };
  try {
    return { atMs: ports.clock.nowMs() - durationMs(text as never, '--to') };
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    throw new UsageError(`--to is "${text}"; it must be earliest, latest, a time such as 2026-11-01T00:00:00Z, or a duration such as 12h.`);
  }
}
