// What waits for `poll`: fetched data and news, in order of arrival, and the one who waits for them.
// Owns: the queue, the sleeper.  Never: fetches, bounds (consumer.ts fetches no more than may be held).
// Q1 data of a paused partition stays in the queue.  Q2 data handed out carries the assignment number of that moment and moves the position.
import type { Timers } from '@millrace/core';
import type { PollEvent } from '../port.ts';
import { createLatch, type Latch } from './latch.ts';
import { FetchedRun, type PartitionCursor } from './partition-cursor.ts';

/** Everything a poll can tell but data. */
export type News = Exclude<PollEvent, { readonly kind: 'data' }>;

export class PollQueue {
  readonly #timers: Timers;
  #items: (FetchedRun | News)[] = [];
  #sleeper: Latch<void> | undefined;
  #woken = false;
  #failure: Error | undefined;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  offer(item: FetchedRun | News): void {
    this.#items.push(item);
    this.notify();
  }

  /** The next poll rejects with it. */
  fail(error: Error): void {
    this.#failure = error;
    this.notify();
  }

  /** Ends the wait of a poll, to look again. */
  notify(): void {
    const sleeper = this.#sleeper;
    this.#sleeper = undefined;
    sleeper?.resolve();
  }

  /** Ends the poll that waits, or the next one, with what there is. */
  wake(): void {
    this.#woken = true;
    this.notify();
  }

  /** What there is; waits for at most `maxWaitMs` when there is nothing. `assignment` is read when data is handed out. */
  async poll(maxWaitMs: number, assignment: () => number): Promise<readonly PollEvent[]> {
    let events = this.#drain(assignment());
    if (events.length === 0 && !this.#woken && maxWaitMs > 0) {
      const latch = createLatch<void>();
      this.#sleeper = latch;
      const timer = this.#timers.after(maxWaitMs, () => this.notify());
      await latch.promise;
      timer.cancel();
      events = this.#drain(assignment());
    }
    this.#woken = false;
    return events;
  }

  /** The partition is no longer wanted: its data goes back unseen. */
  drop(cursor: PartitionCursor): void {
    const items = this.#items;
    const isOfCursor = (item: FetchedRun | News): item is FetchedRun => item instanceof FetchedRun && item.cursor === cursor;
    this.#items = items.filter((item) => !isOfCursor(item));
    for (const item of items) if (isOfCursor(item)) item.release();
  }

  #drain(assignment: number): PollEvent[] {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    const events: PollEvent[] = [];
    const kept: FetchedRun[] = [];
    for (const item of this.#items) {
      if (!(item instanceof FetchedRun)) events.push(item);
      else if (item.cursor.paused) kept.push(item);
      else {
        item.assignment = assignment;
        item.cursor.position = item.nextOffset;
        events.push({ kind: 'data', data: item });
      }
    }
    this.#items = kept;
    return events;
  }
}
