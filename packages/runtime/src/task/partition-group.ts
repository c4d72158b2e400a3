// Picks the next record across one task's partitions, so that joins see time in order as far as data is at hand.
// Owns: this task's stream time.  Never: decodes, calls the client, reads the wall clock.
// P1 stream time never goes back.  P2 an empty partition is waited for while data is known to exist, or for idleWaitMs (its source's idleAfter, if
// that is shorter).
// Source: semantics 5.5-5.7 (KIP-353, KIP-695).
import type { RecordQueue } from './record-queue.ts';

/** What the group must know of the log to decide whether an empty queue is worth waiting for. */
export interface LogEnds {
  /** Log end as last heard; undefined before the first answer. */
  endOffset(topic: string, partition: number): number | undefined;
}

export class PartitionGroup {
  readonly queues: readonly RecordQueue[];
  readonly #ends: LogEnds;
  /** -1: never wait. */
  readonly #idleWaitMs: number;
  /** Largest event time taken; -1 before any. */
  streamTime = -1;

  constructor(queues: readonly RecordQueue[], ends: LogEnds, idleWaitMs: number) {
    this.queues = queues;
    this.#ends = ends;
    this.#idleWaitMs = idleWaitMs;
  }

  /** The queue whose head is next; undefined when there is none, or one should be waited for. Throws what decoding throws. */
  choose(nowMs: number): RecordQueue | undefined {
    const { queues } = this;
    if (queues.length === 1) {
      const only = queues[0] as RecordQueue;
      return only.readHead() ? only : undefined;
    }
    let least: RecordQueue | undefined;
    let empty = false;
    for (const queue of queues) {
      if (!queue.readHead()) empty = true;
      else if (least === undefined || queue.timestamp < least.timestamp) least = queue;
    }
    return empty && least !== undefined && !this.#mayGoOn(nowMs) ? undefined : least;
  }

  /** The head of `queue` is taken: time moves. */
  take(queue: RecordQueue): void {
    queue.take();
    if (queue.timestamp > this.streamTime) this.streamTime = queue.timestamp;
  }

  /** True unless some empty partition should be waited for. */
  #mayGoOn(nowMs: number): boolean {
    if (this.#idleWaitMs < 0) return true;
    let goOn = true;
    for (const queue of this.queues) {
      if (queue.hasHead) continue;
      const end = this.#ends.endOffset(queue.topic, queue.partition);
      if (end === undefined || end > queue.fetchedTo) {
        queue.emptySinceMs = -1;
        goOn = false;
        continue;
      }
      if (queue.emptySinceMs < 0 || queue.emptySinceMs > nowMs) queue.emptySinceMs = nowMs; // also when the clock was set back
      if (nowMs - queue.emptySinceMs < Math.min(this.#idleWaitMs, queue.source.idleAfterMs ?? Number.POSITIVE_INFINITY)) goOn = false;
    }
    return goOn;
  }
}
