// Step 6: freezes what the tasks did since the last close, in one synchronous turn. What it returns never changes.
// Drains emit buffers (all tasks first: what they forward belongs to this span), then stores into the changelog, then positions.
import type { OffsetToCommit } from '@millrace/client';
import { type Offset, partitionKey } from '@millrace/core';
import type { LogPosition, Outbox, SpanOutput } from '../outbox.ts';
import type { Task } from '../task/task.ts';
import { encodeOffsetMetadata } from './offset-metadata.ts';

/** What one task did in a span, frozen. */
export interface SpanTask {
  readonly task: Task;
  readonly offsets: readonly OffsetToCommit[];
  /** Input position by topic: the checkpoint of stores whose changelog is a source topic. */
  readonly inputs: ReadonlyMap<string, LogPosition>;
  /** The same as JSON text by partition: kept with the checkpoint. */
  readonly inputPositions: string;
}

export interface Span {
  readonly id: number;
  readonly tasks: readonly SpanTask[];
  readonly output: SpanOutput;
  readonly records: number;
  /** Monotonic ms. */
  readonly closedAtMs: number;
}

/** Throws what a callback throws while emit buffers drain: then the span is dropped. */
export function closeSpan(id: number, tasks: Iterable<Task>, outbox: Outbox, monotonicMs: number): Span {
  const alive = [...tasks].filter((task) => task.alive);
  for (const task of alive) task.drain();
  const frozen: SpanTask[] = [];
  let records = 0;
  for (const task of alive) {
    if (!task.touched) continue;
    task.stores.close();
    records += task.records;
    frozen.push(freeze(task));
    task.spanClosed();
  }
  return { id, tasks: frozen, output: outbox.close(), records, closedAtMs: monotonicMs };
}

function freeze(task: Task): SpanTask {
  const offsets: OffsetToCommit[] = [];
  const inputs = new Map<string, LogPosition>();
  const { progress: processors, pendingOutside } = task;
  for (const queue of task.group.queues) {
    const { topic, partition, position, partitionTime, leaderEpoch } = queue;
    offsets.push({ topic, partition, offset: position as Offset, leaderEpoch, metadata: encodeOffsetMetadata({ partitionTime, processors, pendingOutside }) });
    inputs.set(topic, { offset: position, leaderEpoch });
  }
  return { task, offsets, inputs, inputPositions: inputPositionsOf(task) };
}

/** Where the task stands in each input partition, as JSON text. */
export function inputPositionsOf(task: Task): string {
  return JSON.stringify(Object.fromEntries(task.group.queues.map(({ topic, partition, position }) => [partitionKey(topic, partition), position])));
}
