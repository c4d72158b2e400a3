// Lets stream time move while input is silent (`idleAfter`), once it is sure that nothing from before is still to come.
// A silence up to a moment is believed when, in this order: everything that lay in the inputs of the sub-topologies above at that moment has been
// processed and committed, calls to the outside included; then everything that lies in the task's own partitions has been taken. So a task above
// that lags, restores or has gone, and a broker that does not answer, hold time back.
// Owns: who is being looked after, and what was found.  Never: moves time in the middle of a turn (`apply` does, when the loop says so).
// One look per sub-topology at a time, for all tasks of it that are due; it costs a few small requests, once per `idleAfter`.
import type { LogAdmin } from '@millrace/client';
import { type Clock, explainError, type Logger, partitionKey, sleep, type Timers, type TopicPartition } from '@millrace/core';
import { feedingInOrder, type Subtopology, type Topology, topicName } from '@millrace/topology';
import { decodeOffsetMetadata } from './commit/offset-metadata.ts';
import type { Task } from './task/task.ts';

/** All the watch may ask of its worker. */
export interface IdleWatchHost {
  readonly tasks: ReadonlyMap<string, Task>;
  /** The group whose offsets count. */
  groupId(): string;
  /** Throws ERR_TOPIC_MISSING. */
  partitionsOf(topic: string): number;
}

export interface IdleWatchPorts {
  readonly admin: Pick<LogAdmin, 'listOffsets' | 'committedOffsets'>;
  readonly consumer: { wake(): void };
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Logger;
}

/** A silence of one task in one life. */
interface Silence {
  readonly task: Task;
  readonly life: number;
  readonly sinceMs: number;
}

/** What is not there yet is asked for again. */
const ASK_AGAIN_MS = 200;
/** After an error. */
const LOOK_AGAIN_MS = 1000;

export class IdleWatch {
  #topology: Topology;
  readonly #applicationId: string;
  readonly #ports: IdleWatchPorts;
  readonly #host: IdleWatchHost;
  /** Ids of sub-topologies. */
  readonly #looking = new Set<number>();
  readonly #found = new Map<Task, { readonly silence: Silence; readonly seenMs: number }>();
  readonly #end = new AbortController();
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(topology: Topology, applicationId: string, ports: IdleWatchPorts, host: IdleWatchHost) {
    this.#topology = topology;
    this.#applicationId = applicationId;
    this.#ports = ports;
    this.#host = host;
  }

  /** Patterns stand for other topics from now on. */
  readAs(topology: Topology): void {
    this.#topology = topology;
  }

  /** Wall clock, ms, of the next look that is due by itself; Infinity if none. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { idle, running, subtopology } of this.#host.tasks.values())
      if (idle !== undefined && running && !this.#looking.has(subtopology.id)) next = Math.min(next, idle.dueMs);
    return Math.max(next, this.#notBeforeMs);
  }

  /** Each turn, after records were processed: notes who is silent, and begins to look where that has lasted long enough. */
  watch(nowMs: number): void {
    let due: Map<Subtopology, Silence[]> | undefined;
    for (const task of this.#host.tasks.values()) {
      const { idle, subtopology, life } = task;
      if (idle === undefined) continue;
      task.noteSilence(nowMs);
      const { sinceMs } = idle;
      if (sinceMs === undefined || idle.dueMs > nowMs || nowMs < this.#notBeforeMs || this.#looking.has(subtopology.id)) continue;
      due ??= new Map();
      const others = due.get(subtopology);
      if (others === undefined) due.set(subtopology, [{ task, life, sinceMs }]);
      else others.push({ task, life, sinceMs });
    }
    if (due === undefined) return;
    for (const [subtopology, silences] of due) void this.#look(subtopology, silences, nowMs);
  }

  /** In a turn, before timers: moves the time of a task whose silence was found to be one. Throws what its nodes throw. */
  apply(task: Task): void {
    const found = this.#found.get(task);
    if (found === undefined) return;
    this.#found.delete(task);
    if (goesOn(found.silence)) task.silentUpTo(found.seenMs);
  }

  close(): void {
    this.#end.abort();
  }

  async #look(subtopology: Subtopology, silences: readonly Silence[], seenMs: number): Promise<void> {
    this.#looking.add(subtopology.id);
    const wanted = (): boolean => !this.#end.signal.aborted && silences.some(goesOn);
    try {
      for (const above of feedingInOrder(this.#topology, subtopology)) await this.#processedBy(above, wanted);
      const ends = await this.#endsOf(silences.flatMap(({ task }) => task.group.queues));
      for (const silence of silences) {
        await this.#until(wanted, async () => !goesOn(silence) || takenUpTo(silence.task, ends));
        if (goesOn(silence)) this.#found.set(silence.task, { silence, seenMs });
      }
      this.#ports.consumer.wake();
    } catch (error) {
      this.#notBeforeMs = this.#ports.clock.nowMs() + LOOK_AGAIN_MS;
      this.#ports.log.debug({ subtopology: subtopology.id, error: explainError(error) }, 'whether input is silent could not be found out; asked again');
    } finally {
      this.#looking.delete(subtopology.id);
    }
  }

  /** Resolves when what lies in the inputs of a sub-topology now has been processed and committed, or nobody wants to know any more. */
  async #processedBy(above: Subtopology, wanted: () => boolean): Promise<void> {
    const inputs = above.sources.flatMap((source) => {
      const topic = topicName(this.#applicationId, source);
      return Array.from({ length: this.#host.partitionsOf(topic) }, (_, partition) => ({ topic, partition }));
    });
    const ends = await this.#endsOf(inputs);
    const starts = await this.#ports.admin.listOffsets(inputs, 'earliest');
    await this.#until(wanted, async () => {
      const committed = await this.#ports.admin.committedOffsets(this.#host.groupId(), inputs, 'asOfNow');
      return inputs.every(({ topic, partition }) => {
        const key = partitionKey(topic, partition);
        const one = committed.get(key);
        const end = ends.get(key) ?? 0;
        if (one === undefined) return end === (starts.get(key) ?? 0);
        return one.offset >= end && (decodeOffsetMetadata(one.metadata ?? '').pendingOutside ?? 0) === 0;
      });
    });
  }

  #endsOf(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>> {
    return this.#ports.admin.listOffsets(
      partitions.map(({ topic, partition }) => ({ topic, partition })),
      'latest',
    );
  }

  async #until(wanted: () => boolean, holds: () => Promise<boolean>): Promise<void> {
    while (wanted() && !(await holds())) await sleep(this.#ports.timers, ASK_AGAIN_MS, this.#end.signal);
  }
}

function goesOn({ task, life, sinceMs }: Silence): boolean {
  return task.running && task.life === life && task.idle?.sinceMs === sinceMs;
}

function takenUpTo(task: Task, ends: ReadonlyMap<string, number>): boolean {
  return task.group.queues.every((queue) => !queue.hasMore && queue.fetchedTo >= (ends.get(partitionKey(queue.topic, queue.partition)) ?? 0));
}
