// Deletes what repartition topics hold below the committed positions: nobody will read it again. Never touches topics of the user.
// Owns: what may go, one outstanding request.  A failure is only logged: the next purge covers it. Source: semantics 3.6.
import type { LogAdmin } from '@millrace/client';
import { type Logger, type Offset, partitionKey, type TopicPartition } from '@millrace/core';
import type { Span } from './commit/close.ts';

export class Purge {
  readonly #admin: LogAdmin;
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #below = new Map<string, TopicPartition & { readonly offset: Offset }>();
  #ranAtMs = 0;
  #running = false;

  constructor(admin: LogAdmin, intervalMs: number, log: Logger) {
    this.#admin = admin;
    this.#intervalMs = intervalMs;
    this.#log = log;
  }

  committed(span: Span): void {
    for (const { task, offsets } of span.tasks) {
      task.group.queues.forEach((queue, index) => {
        const offset = offsets[index];
        const repartition = queue.source.topics.some((ref) => ref.internal && ref.name.endsWith('-repartition'));
        if (repartition && offset !== undefined) this.#below.set(partitionKey(offset.topic, offset.partition), offset);
      });
    }
  }

  run(nowMs: number): void {
    if (this.#running || this.#below.size === 0 || Math.abs(nowMs - this.#ranAtMs) < this.#intervalMs) return; // also when the clock was set back
    this.#ranAtMs = nowMs;
    this.#running = true;
    const before = [...this.#below.values()].map(({ topic, partition, offset }) => ({ topic, partition, offset }));
    this.#below.clear();
    this.#admin
      .deleteRecords(before)
      .catch((error: unknown) => this.#log.debug({ error: String(error) }, 'repartition topics could not be purged this time'))
      .finally(() => {
        this.#running = false;
      });
  }
}
