// Topics that every instance holds whole. A record of one is in its store at once: it belongs to no task, and nothing is committed for it.
// Owns: their rows and the database under them.  Never: a task.
import type { Logger } from '@millrace/core';
import { type BatchPool, RecordReader } from '@millrace/protocol';
import { GlobalRows } from '@millrace/runtime';
import { type OpenDatabase, openMemoryDatabase, type StagedStore } from '@millrace/state';
import type { DriverOptions, Input } from './driver-options.ts';
import { batchOf } from './fetched.ts';

export interface GlobalDrop {
  readonly node: string;
  readonly reason: string;
  readonly count: number;
}

export class GlobalTopics {
  readonly drops: GlobalDrop[] = [];
  readonly #rows: GlobalRows;
  readonly #database: OpenDatabase;
  readonly #pool: BatchPool;
  #end = 0;

  constructor({ topology, applicationId, errors }: DriverOptions, pool: BatchPool, log: Logger, wallClockMs: () => number) {
    this.#pool = pool;
    this.#database = openMemoryDatabase({ directory: '', stores: GlobalRows.storesOf(topology), cacheBytes: 0 });
    const dropped = (node: string, reason: string): void => void this.drops.push({ node, reason, count: 1 });
    this.#rows = new GlobalRows({ topology, applicationId, database: this.#database, errors, log, wallClockMs, dropped });
  }

  reads(topic: string): boolean {
    return this.#rows.topics.includes(topic);
  }
  /** Rows of a store as tasks read them. */
  view(store: string): unknown {
    return this.#rows.view(store);
  }
  storeNamed(name: string): StagedStore | undefined {
    return this.#rows.storeNamed(name);
  }

  take(topic: string, partition: number, input: Input): void {
    const reader = new RecordReader().reset(batchOf(this.#pool, input, this.#end++));
    while (reader.next()) this.#rows.take(topic, partition, reader);
    this.#rows.settle();
  }

  close(): void {
    void this.#database.close();
  }
}
