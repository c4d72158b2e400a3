// Which waiting record comes next: the oldest head over all partitions that are read.
// Ties are broken as Apache Kafka's own test driver breaks them: partitions form a binary heap ordered by the time of their head. A partition
// enters when something begins to wait there, moves up only past strictly later ones, and enters anew after each record taken.
// Owns: what waits.  Never: decodes, runs anything. Bounded by what one record can make: the driver empties it before the next input.
import { assert } from '@millrace/core';
import type { RecordBatchView } from '@millrace/protocol';

/** One record on its way to a task, as a batch of its own. */
export interface Arrival {
  readonly view: RecordBatchView;
  readonly timestamp: number;
}

/** A partition that is read, and what waits there. */
export interface Waiting {
  readonly waiting: Arrival[];
}

export class ArrivalQueue<Partition extends Waiting> {
  readonly #heap: Partition[] = [];

  get empty(): boolean {
    return this.#heap.length === 0;
  }

  add(partition: Partition, arrival: Arrival): void {
    if (partition.waiting.push(arrival) === 1) this.#offer(partition);
  }

  /** The partition whose head is next; the caller shifts it, then calls `taken`. */
  take(): Partition | undefined {
    const partition = this.#heap[0];
    if (partition !== undefined) this.#removeRoot();
    return partition;
  }

  /** The head of `partition` is gone. */
  taken(partition: Partition): void {
    if (partition.waiting.length > 0) this.#offer(partition);
  }

  #offer(partition: Partition): void {
    const heap = this.#heap;
    let at = heap.push(partition) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Partition;
      if (headTime(partition) >= headTime(parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = partition;
  }

  /** The last entry takes the root's place and sinks while a child is strictly earlier, the left one first. */
  #removeRoot(): void {
    const heap = this.#heap;
    const last = heap.pop() as Partition;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && headTime(heap[child] as Partition) > headTime(heap[child + 1] as Partition)) child++;
      if (headTime(last) <= headTime(heap[child] as Partition)) break;
      heap[at] = heap[child] as Partition;
      at = child;
    }
    heap[at] = last;
  }
}

function headTime({ waiting }: Waiting): number {
  const head = waiting[0];
  assert(head !== undefined, 'a partition in the heap has a head');
  return head.timestamp;
}
