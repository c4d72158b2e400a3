// What a suppress node holds back: one row per key in a logged store, and in memory the order in which rows go on.
// Owns the order (a heap of keys) and the count of bytes.  Never: forwards.
// B1 a key keeps its place from its first change on; later ones replace what waits there. B2 only the first in order leaves.
// B3 the heap is made from the store when a task begins, so it holds what was restored.
import { asBuffer, type ErasedSerde, encodeWith, noHeaders } from '@millrace/core';
import type { StagedKeyValueStore } from '@millrace/state';
import { type BufferedRow, bufferedBytes } from './buffered-row.ts';

interface Place {
  readonly key: unknown;
  readonly keyBytes: Buffer;
  readonly bufferTime: number;
  /** Charged bytes; 0 where nobody bounds them. */
  bytes: number;
}

export interface SuppressBufferOptions {
  readonly store: StagedKeyValueStore<unknown, BufferedRow>;
  readonly key: ErasedSerde;
  readonly value: ErasedSerde;
  /** Count bytes: costs encoding each value once more. */
  readonly countsBytes: boolean;
}

export class SuppressBuffer {
  readonly #options: SuppressBufferOptions;
  readonly #heap: Place[] = [];
  readonly #places = new Map<string, Place>();
  #bytes = 0;

  constructor(options: SuppressBufferOptions) {
    this.#options = options;
    for (const { key, value } of options.store.range()) this.#admit(this.#keyBytes(key), key, value);
  }

  get count(): number {
    return this.#heap.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** Buffer time of what goes on next; infinity when nothing waits. */
  get nextTime(): number {
    return this.#heap[0]?.bufferTime ?? Number.POSITIVE_INFINITY;
  }

  /** `row.prior` and `row.bufferTime` count only if nothing waits under the key. */
  put(key: unknown, row: BufferedRow): void {
    const { store } = this.#options;
    const entry = store.find(key);
    if (!entry.present) {
      store.writeEntry(entry, row, row.timestamp);
      this.#admit(this.#keyBytes(key), entry.key, row); // the store's own key: the one given may be a view
      return;
    }
    const { prior, bufferTime } = entry.value as BufferedRow;
    const kept = { ...row, prior, bufferTime };
    store.writeEntry(entry, kept, row.timestamp);
    if (!this.#options.countsBytes) return;
    const place = this.#places.get(textOf(this.#keyBytes(key)));
    if (place !== undefined) this.#charge(place, this.#bytesOf(place, kept));
  }

  /** The row that goes on next is shown, and then leaves: while it is shown, it still waits for those who look it up. */
  giveFirst(give: (key: unknown, row: BufferedRow) => void): void {
    const { store } = this.#options;
    const place = this.#heap[0];
    if (place === undefined) return;
    const row = store.find(place.key).value as BufferedRow;
    give(place.key, row);
    this.#removeFirst();
    this.#places.delete(textOf(place.keyBytes));
    this.#bytes -= place.bytes;
    store.write(place.key, null, row.timestamp);
  }

  #admit(keyBytes: Buffer, key: unknown, row: BufferedRow): void {
    const place: Place = { key, keyBytes, bufferTime: row.bufferTime, bytes: 0 };
    if (this.#options.countsBytes) {
      this.#places.set(textOf(keyBytes), place);
      this.#charge(place, this.#bytesOf(place, row));
    }
    this.#add(place);
  }

  #charge(place: Place, bytes: number): void {
    this.#bytes += bytes - place.bytes;
    place.bytes = bytes;
  }

  #bytesOf(place: Place, row: BufferedRow): number {
    const { store, value } = this.#options;
    const encode = (part: unknown): Buffer | null => {
      const bytes = part === null || part === undefined ? null : encodeWith(value, part, { topic: store.name, role: 'value', headers: noHeaders });
      return bytes === null ? null : asBuffer(bytes);
    };
    return place.keyBytes.length + bufferedBytes(row, encode(row.prior), encode(row.old), encode(row.value));
  }

  #keyBytes(key: unknown): Buffer {
    const bytes = encodeWith(this.#options.key, key, { topic: this.#options.store.name, role: 'key', headers: noHeaders });
    return Buffer.from(bytes ?? []);
  }

  // A binary heap by (buffer time, key bytes).

  #add(place: Place): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above] as Place;
      if (!isBefore(place, other)) break;
      heap[at] = other;
      at = above;
    }
    heap[at] = place;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop() as Place;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Place, heap[below] as Place)) below++;
      if (!isBefore(heap[below] as Place, last)) break;
      heap[at] = heap[below] as Place;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Place, b: Place): boolean {
  return a.bufferTime === b.bufferTime ? Buffer.compare(a.keyBytes, b.keyBytes) < 0 : a.bufferTime < b.bufferTime;
}

const textOf = (bytes: Buffer): string => bytes.toString('latin1');
