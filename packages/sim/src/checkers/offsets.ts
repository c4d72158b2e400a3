// K7: committed offsets never go back, never pass the last stable offset, and stand at the end of every input once all is drained.
import { partitionKey, sleep, type TopicPartition } from '@millrace/core';
import { hasPatterns, topicName } from '@millrace/topology';
import type { Cluster } from '../cluster.ts';
import type { RawTopic } from '../log-reader.ts';

const LOOK_EVERY_MS = 700;
const STABLE_CHECK_MS = 100;
const OFFSET_COMMIT = 8;

/** Looks at the group's offsets from time to time while the cluster runs. */
export class OffsetWatch {
  readonly #cluster: Cluster;
  readonly #seen = new Map<string, number>();
  /**
   * An OffsetCommit that comes after its client has sent a newer one sets the position back, here as in Apache Kafka: member and generation are
   * the same. At-least-once allows that; exactly-once never sends one.
   */
  #lateCommits = 0;
  #stopped = false;
  #wrong: Error | undefined;
  /** Once all are there, and no more can come. */
  #inputs: readonly TopicPartition[] | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }
  start(): void {
    this.#later();
  }
  /** Throws what it saw. */
  stop(): void {
    this.#stopped = true;
    if (this.#wrong !== undefined) throw this.#wrong;
  }

  #later(): void {
    this.#cluster.timers.after(LOOK_EVERY_MS, () => {
      if (this.#stopped) return;
      this.#look()
        .catch(() => undefined) // the broker is away: there is nothing to see
        .finally(() => this.#later());
    });
  }
  async #look(): Promise<void> {
    const cluster = this.#cluster;
    const inputs = this.#inputs ?? (await this.#findInputs());
    const lateCommits = cluster.network.lateArrivals(OFFSET_COMMIT); // one that comes while we ask counts again at the next look
    const committed = await cluster.admin.committedOffsets(cluster.topology.name, inputs, 'asOfNow');
    if (cluster.network.lateArrivals(OFFSET_COMMIT) > this.#lateCommits) this.#seen.clear();
    this.#lateCommits = lateCommits;
    for (const [key, { offset }] of committed) {
      const before = this.#seen.get(key) ?? 0;
      if (offset < before) this.#wrong ??= new Error(`the committed offset of ${key} went back from ${before} to ${offset} (K7)`);
      this.#seen.set(key, offset);
    }
  }
  async #findInputs(): Promise<readonly TopicPartition[]> {
    const cluster = this.#cluster;
    const topics = await cluster.admin.describeTopics(undefined);
    const counts = new Map([...topics].map(([name, { partitions }]) => [name, partitions]));
    const found = inputsOf(cluster, counts);
    if (!hasPatterns(cluster.topology) && inputTopics(cluster, counts.keys()).every((name) => counts.has(name))) this.#inputs = found;
    return found;
  }
}

/** After the drain. */
export async function auditOffsets(cluster: Cluster, topics: ReadonlyMap<string, RawTopic>): Promise<void> {
  const counts = new Map([...topics].map(([name, { partitions }]) => [name, partitions]));
  const inputs = inputsOf(cluster, counts);
  const committed = await cluster.eventually(() => cluster.admin.committedOffsets(cluster.topology.name, inputs, 'asOfNow'));
  for (const { topic, partition } of inputs) {
    const end = topics.get(topic)?.ends[partition]?.lastStable ?? 0;
    const offset = committed.get(partitionKey(topic, partition))?.offset ?? 0;
    if (offset !== end) throw new Error(`${topic}-${partition} is committed at ${offset}, and its end is ${end} (K7)`);
  }
}

/** Inputs that are not processed to their end, for people. */
export async function describeLag(cluster: Cluster): Promise<string> {
  const counts = await cluster.topics();
  const inputs = inputsOf(cluster, counts);
  const { admin, topology } = cluster;
  const [ends, stable, committed] = [
    await admin.listOffsets(inputs, 'latest'),
    await admin.listOffsets(inputs, 'latestStable'),
    await admin.committedOffsets(topology.name, inputs, 'asOfNow'),
  ];
  return inputs
    .flatMap(({ topic, partition }) => {
      const key = partitionKey(topic, partition);
      const [end, at, sure] = [ends.get(key) ?? 0, committed.get(key)?.offset ?? 0, stable.get(key) ?? 0];
      return at === end ? [] : [`${key} at ${at} of ${end}${sure === end ? '' : ` (stable to ${sure})`}`];
    })
    .join(', ');
}

/** Some topic has records that no read_committed reader may see yet. */
export async function hasOpenTransactions(cluster: Cluster): Promise<boolean> {
  const partitions = [...(await cluster.topics())].flatMap(([topic, count]) => Array.from({ length: count }, (_, partition) => ({ topic, partition })));
  const ends = await cluster.eventually(() => cluster.admin.listOffsets(partitions, 'latest'));
  const stable = await cluster.eventually(() => cluster.admin.listOffsets(partitions, 'latestStable'));
  return [...ends].some(([key, end]) => stable.get(key) !== end);
}

/** Resolves when a reader of committed records gets all that is in the inputs now: no transaction that was open before it is open. */
export async function untilReadable(cluster: Cluster): Promise<void> {
  const partitions = inputsOf(cluster, await cluster.topics());
  const ends = await cluster.eventually(() => cluster.admin.listOffsets(partitions, 'latest'));
  for (;;) {
    const stable = await cluster.eventually(() => cluster.admin.listOffsets(partitions, 'latestStable'));
    if ([...ends].every(([key, end]) => (stable.get(key) ?? 0) >= end)) return;
    await sleep(cluster.timers, STABLE_CHECK_MS);
  }
}

function inputTopics(cluster: Cluster, existing: Iterable<string>): readonly string[] {
  const { subtopologies } = cluster.topologyOver(existing);
  return [...new Set(subtopologies.flatMap((sub) => sub.sources.map((ref) => topicName(cluster.topology.name, ref))))];
}
function inputsOf(cluster: Cluster, counts: ReadonlyMap<string, number>): readonly TopicPartition[] {
  return inputTopics(cluster, counts.keys()).flatMap((topic) => Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ topic, partition })));
}
