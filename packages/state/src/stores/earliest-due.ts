// Which key is due first: a binary heap of keys by time, one place a key.
// Owns: the heap and which of its places counts.  Never: looks at rows.
// D1 a key whose time grows keeps its place until that is reached, and is then put in again by whoever took it: a row that is written all the time
// costs nothing. D2 one whose time shrinks gets a second place, and the first no longer counts; those are bounded by as many as there are keys.

interface Place<K> {
  readonly text: string;
  readonly key: K;
  readonly dueAt: number;
}

export class EarliestDue<K> {
  #heap: Place<K>[] = [];
  readonly #places = new Map<string, Place<K>>();

  /** Keys that have a place. */
  get size(): number {
    return this.#places.size;
  }

  /** `text` tells keys apart. */
  put(text: string, key: K, dueAt: number): void {
    const known = this.#places.get(text);
    if (known !== undefined && known.dueAt <= dueAt) return;
    const place = { text, key, dueAt };
    this.#places.set(text, place);
    this.#rise(place);
    if (this.#heap.length > 2 * this.#places.size + 64) this.#sweep();
  }

  /** Takes the first place that is due at `now`, both included; undefined when none is. */
  takeDue(now: number): { readonly text: string; readonly key: K } | undefined {
    for (let first = this.#heap[0]; first !== undefined && first.dueAt <= now; first = this.#heap[0]) {
      this.#takeFirst();
      if (this.#places.get(first.text) !== first) continue;
      this.#places.delete(first.text);
      return first;
    }
    return undefined;
  }

  #sweep(): void {
    this.#heap = [];
    for (const place of this.#places.values()) this.#rise(place);
  }

  #rise(place: Place<K>): void {
    const heap = this.#heap;
    let at = heap.push(place) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Place<K>;
      if (parent.dueAt <= place.dueAt) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = place;
  }

  #takeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Place<K>).dueAt < (heap[child] as Place<K>).dueAt) child += 1;
      if (last.dueAt <= (heap[child] as Place<K>).dueAt) break;
      heap[at] = heap[child] as Place<K>;
      at = child;
    }
    heap[at] = last;
  }
}
