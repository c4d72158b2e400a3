// A doubly linked list through the entries themselves: moving one costs no allocation. An entry is in one list at a time.
import type { StagedEntry } from './staged-entry.ts';

export class EntryList<V, K> {
  head: StagedEntry<V, K> | undefined = undefined;
  tail: StagedEntry<V, K> | undefined = undefined;
  length = 0;

  append(entry: StagedEntry<V, K>): void {
    entry.previous = this.tail;
    entry.next = undefined;
    if (this.tail === undefined) this.head = entry;
    else this.tail.next = entry;
    this.tail = entry;
    this.length++;
  }

  remove(entry: StagedEntry<V, K>): void {
    const { previous, next } = entry;
    if (previous === undefined) this.head = next;
    else previous.next = next;
    if (next === undefined) this.tail = previous;
    else next.previous = previous;
    entry.previous = undefined;
    entry.next = undefined;
    this.length--;
  }

  clear(): void {
    this.head = undefined;
    this.tail = undefined;
    this.length = 0;
  }
}
