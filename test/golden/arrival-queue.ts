// Which queued record comes next: the oldest head of the topics' queues, ties as the recording driver broke them.
// The recorded order of equal timestamps is that of a binary heap of queues, so the heap is rebuilt here step by step.

export interface Arrival {
  readonly topic: string;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [string, Uint8Array | null])[];
}

interface Queue {
  readonly waiting: Arrival[];
}
const headTime = (queue: Queue): number => (queue.waiting[0] as Arrival).timestamp;

export class ArrivalQueue {
  readonly #queues = new Map<string, Queue>();
  readonly #heap: Queue[] = [];

  add(arrival: Arrival): void {
    const queue = this.#queues.get(arrival.topic) ?? { waiting: [] };
    this.#queues.set(arrival.topic, queue);
    if (queue.waiting.push(arrival) === 1) this.#offer(queue);
  }

  take(): Arrival | undefined {
    const queue = this.#heap[0];
    if (queue === undefined) return undefined;
    this.#removeRoot();
    const arrival = queue.waiting.shift();
    if (queue.waiting.length > 0) this.#offer(queue);
    return arrival;
  }

  /** A new entry moves up only past strictly later ones. */
  #offer(queue: Queue): void {
    const heap = this.#heap;
    let at = heap.push(queue) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Queue;
      if (headTime(queue) >= headTime(parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = queue;
  }

  /** The last entry takes the root's place and sinks while a child is strictly earlier, the left one first. */
  #removeRoot(): void {
    const heap = this.#heap;
    const last = heap.pop() as Queue;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && headTime(heap[child] as Queue) > headTime(heap[child + 1] as Queue)) child++;
      if (headTime(last) <= headTime(heap[child] as Queue)) break;
      heap[at] = heap[child] as Queue;
      at = child;
    }
    heap[at] = last;
  }
}
