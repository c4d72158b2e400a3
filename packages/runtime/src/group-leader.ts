// What the group leader does in a rebalance: look at the topics, make those that are missing, deal out the tasks.
// Never: keeps anything between two rebalances; every fact is asked anew.
import type { LogAdmin, MemberAssignment, MemberSubscription } from '@millrace/client';
import { MillraceError, type TopicPartition } from '@millrace/core';
import { type Topology, topicName } from '@millrace/topology';
import { assignTasks, type Member } from './assignment/assign.ts';
import { decodeMemberNews, encodeAssignmentNews, type InstanceNews, type RefusalCode } from './assignment/wire.ts';
import { type AppSettings, deadLetterTopics } from './options.ts';
import { planTopics, sourceChangelogs, type TopicPlan } from './topic-plan.ts';
import { topicsMatched } from './topics-matched.ts';

export interface GroupLeader {
  assign(members: readonly MemberSubscription[]): Promise<ReadonlyMap<string, MemberAssignment>>;
}

/** `instanceId`: who leads, if it comes to that; the members are told. */
export function createGroupLeader(topology: Topology, topologyHash: string, settings: AppSettings, admin: LogAdmin, instanceId: string): GroupLeader {
  return {
    async assign(subscriptions) {
      const members: Member[] = subscriptions.map((one) => ({ memberId: one.memberId, ...decodeMemberNews(one.userData, one.memberId) }));
      const stopper = members.find((member) => member.stop !== undefined);
      if (stopper !== undefined)
        return refuse(subscriptions, 'ERR_APPLICATION_STOPPED', `instance '${stopper.instanceId}' asked the whole application to stop: ${stopper.stop}`);
      // Who differs from the leader is sent away; those who agree go on: a wrong deployment must not stop what runs.
      const agreeing = members.filter((member) => member.topologyHash === topologyHash);
      const others = members.filter((member) => member.topologyHash !== topologyHash);
      let plan: PreparedTopics;
      try {
        plan = await prepareTopics(topology, settings, admin);
      } catch (error) {
        if (MillraceError.is(error) && isRefusal(error.code)) return refuse(subscriptions, error.code, error.message);
        throw error;
      }
      const assignments = toAssignments({ applicationId: settings.applicationId, instanceId }, agreeing, others, plan);
      return new Map([...assignments, ...refuse(others, 'ERR_TOPOLOGY_MODULE_MISMATCH', otherVersion(topology.name, agreeing))]);
    },
  };
}

/** Mistakes in the topics that are everybody's: nobody may go on before they are mended. */
const isRefusal = (code: string): code is RefusalCode => code === 'ERR_TOPIC_MISSING' || code === 'ERR_PARTITION_COUNT' || code === 'ERR_TOPOLOGY';

/** Topics as they are after `prepareTopics`. */
export interface PreparedTopics extends TopicPlan {
  /** What patterns stand for: partitions by topic. */
  readonly matched: ReadonlyMap<string, number>;
}

/** Plans against what exists, creates what is missing. Throws ERR_TOPIC_MISSING, ERR_PARTITION_COUNT, or ERR_TOPOLOGY where patterns of two sources match one topic. */
export async function prepareTopics(topology: Topology, settings: AppSettings, admin: LogAdmin): Promise<PreparedTopics> {
  const existing = await admin.describeTopics(undefined);
  const matched = topicsMatched(topology, settings, existing);
  const plan = planTopics({
    topology,
    applicationId: settings.applicationId,
    existing: new Map([...existing].map(([name, topic]) => [name, topic.partitions])),
    matched: [...matched.keys()],
    alsoWritten: deadLetterTopics(settings.errors),
    createUserTopics: settings.createTopics,
    defaultPartitions: settings.defaultPartitions,
    replication: settings.replication,
    overrides: settings.topicOverrides,
  });
  for (const { topic, store } of sourceChangelogs(topology)) if (existing.has(topic)) await checkCompacted(topic, store, admin);
  const created = plan.create.map((topic) => ({ ...topic, config: { ...settings.topicDefaults, ...topic.config } }));
  if (created.length > 0) await admin.createTopics(created);
  return { ...plan, matched };
}

/** A topic that is also a changelog keeps the last record of every key, whatever its age. Throws ERR_TOPIC_INVALID. */
async function checkCompacted(topic: string, store: string, admin: LogAdmin): Promise<void> {
  const policy = (await admin.topicConfig(topic))['cleanup.policy'] ?? 'delete';
  if (policy === 'compact') return;
  throw new MillraceError(
    'ERR_TOPIC_INVALID',
    `table store '${store}' is restored from its source topic '${topic}', whose cleanup.policy is ${policy}: old rows would be missing after a restore. Set cleanup.policy=compact on the topic, or build the topology with optimize: false, which gives the table a changelog of its own.`,
    { topic, store },
  );
}

function otherVersion(name: string, agreeing: readonly Member[]): string {
  const running = agreeing.map(({ instanceId }) => `'${instanceId}'`).join(', ');
  return `this instance runs another version of topology '${name}' than the group: ${running}. Stop those first, or give the new version its own applicationId.`;
}

function refuse(members: readonly { readonly memberId: string }[], code: RefusalCode, message: string): ReadonlyMap<string, MemberAssignment> {
  const userData = encodeAssignmentNews({ tasks: [], vanished: [], known: [], instances: [], refusal: { code, message } });
  return new Map(members.map((member) => [member.memberId, { partitions: [], userData }]));
}

function toAssignments(
  { applicationId, instanceId }: { readonly applicationId: string; readonly instanceId: string },
  members: readonly Member[],
  refused: readonly Member[],
  plan: PreparedTopics,
): ReadonlyMap<string, MemberAssignment> {
  const dealt = assignTasks(members, plan.tasks, refused);
  const instances: InstanceNews[] = members.map((member) => ({
    instanceId: member.instanceId,
    address: member.address,
    tasks: dealt.tasks.get(member.memberId) ?? [],
  }));
  const matched = plan.matched.size === 0 ? undefined : Object.fromEntries(plan.matched);
  const result = new Map<string, MemberAssignment>();
  for (const member of members) {
    const tasks = dealt.tasks.get(member.memberId) ?? [];
    result.set(member.memberId, {
      partitions: tasks.flatMap((task) => inputsOf(plan.topology, applicationId, task, plan.counts)),
      userData: encodeAssignmentNews({ tasks, vanished: dealt.vanished, known: dealt.known, instances, matched, leader: instanceId, refusal: undefined }),
    });
  }
  return result;
}

/** The input partitions of a task: partition p of every source topic that has one. */
export function inputsOf(topology: Topology, applicationId: string, taskId: string, counts: ReadonlyMap<string, number>): readonly TopicPartition[] {
  const [sub, partition] = taskId.split('_').map(Number) as [number, number];
  const sources = topology.subtopologies.find((one) => one.id === sub)?.sources ?? [];
  return sources
    .map((topic) => topicName(applicationId, topic))
    .filter((name) => partition < (counts.get(name) ?? 0))
    .map((topic) => ({ topic, partition }));
}
