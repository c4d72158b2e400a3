// Which waiting record comes next: the oldest head over all partitions that are read.
// A partition enters when something begins to wait there, and anew after each record taken: so ties are broken as by Apache Kafka's own test driver.
// Owns: what waits.  Never: decodes, runs anything. Bounded by what one record can make: the driver empties it before the next input.
import { assert } from '@millrace/core';
import type { RecordBatchView } from '@millrace/protocol';
import { EarliestFirst } from '@millrace/runtime';

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
  readonly #heads = new EarliestFirst<Partition>(headTime);

  get empty(): boolean {
    return this.#heads.first === undefined;
  }

  add(partition: Partition, arrival: Arrival): void {
    if (partition.waiting.push(arrival) === 1) this.#heads.add(partition);
  }

  /** The partition whose head is next; the caller shifts it, then calls `taken`. */
  take(): Partition | undefined {
    return this.#heads.take();
  }

  /** The head of `partition` is gone. */
  taken(partition: Partition): void {
    if (partition.waiting.length > 0) this.#heads.add(partition);
  }
}

function headTime({ waiting }: Waiting): number {
  const head = waiting[0];
  assert(head !== undefined, 'a partition in the heap has a head');
  return head.timestamp;
}
