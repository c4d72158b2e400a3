// "Has everything that was there been processed?" Answered from the log alone: committed offsets against log ends,
// sub-topology by sub-topology in flow order, so that a repartition topic's end is read after its writers are done.
// Never: guesses from silence.
import type { LogAdmin, TopicDescription } from '@millrace/client';
import { MillraceError, partitionKey, sleep, type Timers, type TopicPartition } from '@millrace/core';
import { type Topology, topicName } from '@millrace/topology';
import { decodeOffsetMetadata } from './commit/offset-metadata.ts';

/** Pause between two looks at the offsets, ms. */
const LOOK_EVERY_MS = 50;
/** Topics that patterns match may be deleted while they are waited for. */
const GONE_EVERY_LOOKS = 20;

export interface DrainOptions {
  readonly topology: Topology;
  /** With patterns: the topology that reads what matches among these. They are all asked for then, and looked at again for those that have gone. */
  readonly resolved?: ((existing: ReadonlyMap<string, TopicDescription>) => Topology) | undefined;
  readonly applicationId: string;
  readonly admin: LogAdmin;
  readonly timers: Timers;
  readonly signal: AbortSignal;
  /** Throws when the instance has failed, so that nobody waits for ever. */
  readonly check: () => void;
}

/** Resolves when every record that was in the inputs at the call has been processed and committed, here or elsewhere. Rejects with ERR_ABORTED on the signal. */
export async function waitUntilDrained(options: DrainOptions): Promise<void> {
  const { admin, applicationId, resolved } = options;
  const names = options.topology.subtopologies.flatMap((sub) => sub.sources.map((ref) => topicName(applicationId, ref)));
  // Asked of the broker: an instance that has no task yet knows no partition.
  const topics = await admin.describeTopics(resolved === undefined ? names : undefined);
  const topology = resolved?.(topics) ?? options.topology;
  const flow = [...topology.subtopologies].sort((left, right) => left.id - right.id); // upstream sub-topologies have smaller ids
  for (const sub of flow) {
    const partitions: TopicPartition[] = sub.sources.flatMap((ref) => {
      const topic = topicName(options.applicationId, ref);
      return Array.from({ length: topics.get(topic)?.partitions ?? 0 }, (_, partition) => ({ topic, partition }));
    });
    // What others leave open in the user's topics is theirs. In our own, an open transaction of a worker that died holds back what others have
    // committed behind it: the log's end counts there.
    const own = new Set(sub.sources.filter(({ internal }) => internal).map((ref) => topicName(options.applicationId, ref)));
    const [mine, others] = [partitions.filter(({ topic }) => own.has(topic)), partitions.filter(({ topic }) => !own.has(topic))];
    const ends = new Map([...(await options.admin.listOffsets(others, 'latestStable')), ...(await options.admin.listOffsets(mine, 'latest'))]);
    await waitForCommits(options, partitions, ends);
  }
}

async function waitForCommits(options: DrainOptions, partitions: readonly TopicPartition[], ends: ReadonlyMap<string, number>): Promise<void> {
  const open = partitions.filter((one) => (ends.get(partitionKey(one.topic, one.partition)) ?? 0) > 0);
  for (let looks = 1; open.length > 0; looks++) {
    if (options.signal.aborted) throw new MillraceError('ERR_ABORTED', 'stopped before the input was drained');
    options.check();
    // A lower bound is enough. Where timers commit all the time and markers come late there is hardly a moment without an open transaction.
    const committed = await options.admin.committedOffsets(options.applicationId, open, 'asOfNow');
    for (let at = open.length - 1; at >= 0; at--) {
      const { topic, partition } = open[at] as TopicPartition;
      const key = partitionKey(topic, partition);
      const { offset, metadata } = committed.get(key) ?? { offset: 0, metadata: '' };
      // An offset may pass records whose calls are still under way; what is committed beside it says so.
      if (offset >= (ends.get(key) ?? 0) && decodeOffsetMetadata(metadata).pendingOutside === undefined) open.splice(at, 1);
    }
    if (options.resolved !== undefined && looks % GONE_EVERY_LOOKS === 0) {
      const left = await options.admin.describeTopics([...new Set(open.map(({ topic }) => topic))]);
      for (let at = open.length - 1; at >= 0; at--) if (!left.has((open[at] as TopicPartition).topic)) open.splice(at, 1);
    }
    if (open.length > 0) await sleep(options.timers, LOOK_EVERY_MS, options.signal);
  }
}
