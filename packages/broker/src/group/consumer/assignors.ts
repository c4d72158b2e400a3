// Who gets which partition: the two assignors a broker has for groups of the consumer group protocol.
// Owns: the two pure functions and their names.  Never: looks at epochs, or at what members hold now (reconcile.ts does).
// AS1 every partition of a topic that somebody subscribes to has exactly one owner, which subscribes to it.  AS2 same facts, same answer.
import { hasPartition, type TopicPartitions, topicPartitions } from './topic-partitions.ts';

export interface AssignorMember {
  readonly memberId: string;
  readonly instanceId: string | null;
  /** Ids of topics that exist. */
  readonly topicIds: readonly string[];
  /** What it was to have until now. */
  readonly previous: TopicPartitions;
}

export type Assignor = (members: readonly AssignorMember[], partitionCount: (topicId: string) => number) => ReadonlyMap<string, TopicPartitions>;

interface Load {
  readonly member: AssignorMember;
  readonly subscribed: ReadonlySet<string>;
  readonly partitions: Map<string, Set<number>>;
  count: number;
}

/** Members keep what they have as far as numbers allow: no two members that subscribe to the same differ by more than one partition. */
const uniform: Assignor = (members, partitionCount) => {
  const loads = openLoads(members);
  const subscribers = subscribersOf(loads);
  for (const [topicId, some] of scarceFirst(subscribers)) {
    for (let partition = 0; partition < partitionCount(topicId); partition++) {
      const keeper = some.find(({ member }) => hasPartition(member.previous, topicId, partition));
      if (keeper !== undefined) give(keeper, topicId, partition);
    }
  }
  for (const [topicId, some] of scarceFirst(subscribers)) {
    for (let partition = 0; partition < partitionCount(topicId); partition++) {
      if (some.some(({ partitions }) => partitions.get(topicId)?.has(partition) === true)) continue;
      give(leastLoaded(some), topicId, partition);
    }
  }
  while (balanceOnce(loads, subscribers)); // each move makes the loads more even, so this ends
  return result(loads);
};

/** Every topic is cut into equal runs of neighbours, handed out in the order of instance ids (member ids): co-partitioned topics line up. */
const range: Assignor = (members, partitionCount) => {
  const loads = openLoads(members);
  for (const [topicId, some] of subscribersOf(loads)) {
    const count = partitionCount(topicId);
    const least = Math.floor(count / some.length);
    const longer = count % some.length;
    let partition = 0;
    for (const [at, load] of some.entries())
      for (const end = partition + least + (at < longer ? 1 : 0); partition < end; partition++) give(load, topicId, partition);
  }
  return result(loads);
};

/** The first is the default. */
export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  ['uniform', uniform],
  ['range', range],
]);
export const DEFAULT_ASSIGNOR = 'uniform';

function openLoads(members: readonly AssignorMember[]): Load[] {
  const order = ({ instanceId, memberId }: AssignorMember): string => instanceId ?? memberId;
  return [...members]
    .sort((left, right) => (order(left) < order(right) ? -1 : 1))
    .map((member) => ({ member, subscribed: new Set(member.topicIds), partitions: new Map(), count: 0 }));
}

function subscribersOf(loads: readonly Load[]): ReadonlyMap<string, readonly Load[]> {
  const subscribers = new Map<string, Load[]>();
  for (const load of loads) {
    for (const topicId of load.subscribed) {
      const some = subscribers.get(topicId);
      if (some === undefined) subscribers.set(topicId, [load]);
      else some.push(load);
    }
  }
  return subscribers;
}

/** Topics that few subscribe to are given away first: their subscribers have no choice. */
function scarceFirst(subscribers: ReadonlyMap<string, readonly Load[]>): (readonly [string, readonly Load[]])[] {
  return [...subscribers].sort(([leftId, left], [rightId, right]) => left.length - right.length || (leftId < rightId ? -1 : 1));
}

function leastLoaded(some: readonly Load[]): Load {
  return some.reduce((least, load) => (load.count < least.count ? load : least));
}

/** The most loaded give one partition each; all at once from one would hand some to members that have to give themselves. True when something moved. */
function balanceOnce(loads: readonly Load[], subscribers: ReadonlyMap<string, readonly Load[]>): boolean {
  let moved = false;
  for (const from of [...loads].sort((left, right) => right.count - left.count)) {
    for (const [topicId, partitions] of from.partitions) {
      const to = leastLoaded(subscribers.get(topicId) as readonly Load[]);
      const last = [...partitions].at(-1);
      if (last === undefined || to.count + 1 >= from.count) continue;
      partitions.delete(last);
      from.count--;
      give(to, topicId, last);
      moved = true;
      break;
    }
  }
  return moved;
}

function give(load: Load, topicId: string, partition: number): void {
  let partitions = load.partitions.get(topicId);
  if (partitions === undefined) load.partitions.set(topicId, (partitions = new Set()));
  partitions.add(partition);
  load.count++;
}

function result(loads: readonly Load[]): ReadonlyMap<string, TopicPartitions> {
  return new Map(loads.map(({ member, partitions }) => [member.memberId, topicPartitions(partitions)]));
}
