// What comes in: poll events to queues, and what the consumer is told to read, pause and resume.
// Owns: which queue stands for which partition, events not yet taken.  Never: processes, decides who owns a task.
// A partition the client gives up for a moment is asked for again; one it cannot read ends the worker.
import type { FetchedPartition, PollEvent } from '@millrace/client';
import { MillraceError, type Offset, type Timer, type TopicPartition } from '@millrace/core';
import type { WorkerTiming } from './options.ts';
import { firstOffsetOf } from './restore/start-tasks.ts';
import type { RecordQueue } from './task/record-queue.ts';
import type { Task } from './task/task.ts';
import type { WorkerPorts } from './worker-ports.ts';

/** All the intake may ask of its worker. */
export interface IntakeHost {
  readonly tasks: ReadonlyMap<string, Task>;
  /** The worker cannot go on. */
  failed(error: unknown): void;
  /** A topic that a pattern brought is gone; the next assignment will say so. */
  hasLost(error: unknown): boolean;
}

const FETCH_AGAIN_MS = 200;

export class Intake {
  readonly #ports: Pick<WorkerPorts, 'consumer' | 'clock' | 'timers' | 'log'>;
  readonly #timing: Pick<WorkerTiming, 'taskTimeoutMs' | 'bufferedBytesMax'>;
  readonly #host: IntakeHost;
  readonly #failingSinceMs = new Map<string, number>();
  /** One for each partition that is to be asked for again. */
  readonly #waits = new Set<Timer>();
  #queues = new Map<string, { readonly task: Task; readonly queue: RecordQueue }>();
  #held: readonly PollEvent[] = [];
  #closed = false;

  constructor(
    ports: Pick<WorkerPorts, 'consumer' | 'clock' | 'timers' | 'log'>,
    timing: Pick<WorkerTiming, 'taskTimeoutMs' | 'bufferedBytesMax'>,
    host: IntakeHost,
  ) {
    this.#ports = ports;
    this.#timing = timing;
    this.#host = host;
  }

  /** What a poll brought waits here while step 2 decides who still wants it. */
  hold(events: readonly PollEvent[]): void {
    this.#held = events;
  }
  held(): readonly PollEvent[] {
    const events = this.#held;
    this.#held = [];
    return events;
  }

  take(event: PollEvent): void {
    switch (event.kind) {
      case 'data':
        this.#takeData(event.data);
        return;
      case 'outOfRange':
        this.#startOver(event);
        return;
      case 'recreated':
        this.#host.failed(
          new MillraceError(
            'ERR_TOPIC_RECREATED',
            `topic ${event.topic} was deleted and made again while it was read: its old offsets mean nothing now. Reset the application for it, then start again.`,
            { topic: event.topic },
          ),
        );
        return;
      case 'failed':
        this.#fetchAgain(event);
    }
  }

  /** The client has given a partition up. What may pass is asked for again until `taskTimeout`; the rest ends the worker. */
  #fetchAgain(event: PollEvent & { readonly kind: 'failed' }): void {
    const key = queueKey(event);
    const nowMs = this.#ports.clock.monotonicMs();
    const sinceMs = this.#failingSinceMs.get(key) ?? nowMs;
    const passes = MillraceError.is(event.error) && (event.error.retriable || this.#host.hasLost(event.error));
    if (!passes || nowMs - sinceMs >= this.#timing.taskTimeoutMs) {
      this.#host.failed(event.error);
      return;
    }
    if (!this.#failingSinceMs.has(key))
      this.#ports.log.warn({ topic: event.topic, partition: event.partition, error: event.error.message }, 'fetching failed; trying again');
    this.#failingSinceMs.set(key, sinceMs);
    const queue = this.#queues.get(key)?.queue;
    if (queue === undefined || this.#closed) return;
    queue.paused = false; // what the client begins anew is not paused
    this.#tellConsumer(queue); // left out, then named again: only so does the client begin anew
    const wait = this.#ports.timers.after(FETCH_AGAIN_MS, () => {
      this.#waits.delete(wait);
      this.assign(new Set());
    });
    this.#waits.add(wait);
  }

  #takeData(data: FetchedPartition): void {
    const seat = this.#queues.get(queueKey(data));
    if (seat === undefined || !seat.task.running) {
      data.release();
      return;
    }
    const { queue } = seat;
    if (!queue.append(data)) return;
    if (this.#failingSinceMs.size > 0) this.#failingSinceMs.delete(queueKey(data));
    if (!queue.paused && queue.bytes > this.#queueBytesMax) {
      queue.paused = true;
      this.#ports.consumer.pause(queue);
    }
  }

  /**
   * The committed position is outside the log. Before its start: the source's own wish applies, as Kafka Streams does it. Past its end, the log has
   * lost records that were processed; all that it still holds was processed before them, so it goes on at the end (decision 0066).
   */
  #startOver(event: PollEvent & { readonly kind: 'outOfRange' }): void {
    const queue = this.#queues.get(queueKey(event))?.queue;
    if (queue === undefined) return;
    if (event.position !== queue.fetchedTo) {
      this.assign(new Set([queue])); // it tells of a life that has ended, or of what was not taken yet: asked again from where this one stands
      return;
    }
    try {
      const at = firstOffsetOf(queue, this.#ports.clock.nowMs());
      const offset = at === 'latest' || event.position > event.logEnd ? event.logEnd : event.logStart;
      this.#ports.log.warn(
        { topic: event.topic, partition: event.partition, position: event.position, from: offset },
        event.position > event.logEnd
          ? 'the log has lost records that were processed; going on at its end'
          : 'the log no longer holds the position to read next; going on where the source says',
      );
      queue.goOnAt(offset);
      this.assign(new Set([queue]));
    } catch (error) {
      this.#host.failed(error);
    }
  }

  resumeDrained(): void {
    for (const { queue } of this.#queues.values()) {
      if (!queue.paused || queue.bytes > this.#queueBytesMax / 2) continue;
      queue.paused = false;
      this.#ports.consumer.resume(queue);
    }
  }

  get #queueBytesMax(): number {
    return Math.max(64 * 1024, this.#timing.bufferedBytesMax / 2 / Math.max(1, this.#queues.size));
  }

  /** Tells the consumer the whole set to read; queues in `moved` begin where they stand, the rest goes on undisturbed. */
  assign(moved: ReadonlySet<RecordQueue>): void {
    this.#queues = new Map();
    for (const task of this.#host.tasks.values()) {
      if (task.running) for (const queue of task.group.queues) this.#queues.set(queueKey(queue), { task, queue });
    }
    for (const queue of moved) queue.paused = false;
    const number = this.#tellConsumer(undefined, moved);
    for (const queue of moved) queue.assignment = number;
  }

  #tellConsumer(without: RecordQueue | undefined, moved: ReadonlySet<RecordQueue> = new Set()): number {
    const { consumer } = this.#ports;
    const queues = [...this.#queues.values()].flatMap(({ queue }) => (queue === without ? [] : [queue]));
    return consumer.assign(
      queues.map((queue) => {
        const position = moved.has(queue) ? undefined : consumer.position(queue);
        return { topic: queue.topic, partition: queue.partition, offset: position ?? (queue.fetchedTo as Offset) };
      }),
    );
  }

  /** Gives back what was not taken; nothing is asked for any more. */
  close(): void {
    this.#closed = true;
    for (const wait of this.#waits) wait.cancel();
    for (const event of this.held()) if (event.kind === 'data') event.data.release();
  }
}

function queueKey({ topic, partition }: TopicPartition): string {
  return `${topic}\n${partition}`;
}
