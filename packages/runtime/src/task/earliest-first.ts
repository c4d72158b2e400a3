// What comes next among things that each have a time: a binary heap. Ties are broken as Java's PriorityQueue breaks them, because Kafka Streams'
// order among equal times hangs on it: what enters moves up only past what is strictly later; when the first is taken the last takes its place and
// sinks while a child is strictly earlier, the left one first.
// Owns: the order.  Never: reads a clock. Whoever changes the time of something inside takes it out first.

export class EarliestFirst<T> {
  readonly #timeOf: (one: T) => number;
  readonly #heap: T[] = [];

  constructor(timeOf: (one: T) => number) {
    this.#timeOf = timeOf;
  }

  get first(): T | undefined {
    return this.#heap[0];
  }
  /** In no order. */
  get all(): readonly T[] {
    return this.#heap;
  }

  add(one: T): void {
    const heap = this.#heap;
    const time = this.#timeOf(one);
    let at = heap.push(one) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as T;
      if (time >= this.#timeOf(parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = one;
  }

  take(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    const time = this.#timeOf(last);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#timeOf(heap[child] as T) > this.#timeOf(heap[child + 1] as T)) child++;
      if (time <= this.#timeOf(heap[child] as T)) break;
      heap[at] = heap[child] as T;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  /** Everything out; `keep` says what enters again, in the order in which it lay. */
  refill(keep: (one: T) => boolean): void {
    for (const one of this.#heap.splice(0)) if (keep(one)) this.add(one);
  }
}
