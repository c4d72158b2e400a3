// Every buffer of a worker, with what it holds and what it may hold: memory that is bounded can be watched.
// Never: bounds anything itself; the owners do.
import type { WorkerTiming } from './options.ts';
import { OUTPUT_BYTES_MAX, type Outbox } from './outbox.ts';
import type { Restorer } from './restore/restorer.ts';
import type { Task } from './task/task.ts';
import type { BufferFact, WorkerPorts } from './worker-ports.ts';

/** Who holds something. */
export interface BufferOwners {
  readonly ports: Pick<WorkerPorts, 'consumer' | 'batches'>;
  readonly options: { readonly timing: WorkerTiming };
  readonly outbox: Outbox;
  readonly restorer: Restorer;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly stagedBytes: number;
}

export function buffersOf(owners: BufferOwners): readonly BufferFact[] {
  const { ports, options, tasks } = owners;
  const { bufferedBytesMax, stagedBytesMax, cacheBytesMax } = options.timing;
  let cachedBytes = 0;
  for (const { stores } of tasks.values()) cachedBytes += stores.cachedBytes;
  return [
    bytes('fetched', ports.consumer.bufferedBytes, bufferedBytesMax),
    bytes('output', owners.outbox.heldBytes, OUTPUT_BYTES_MAX),
    bytes('staged', owners.stagedBytes, stagedBytesMax),
    bytes('cached', cachedBytes, cacheBytesMax),
    bytes('restore', owners.restorer.bufferedBytes, bufferedBytesMax),
    bytes('idle-frames', ports.consumer.idleBytes + owners.restorer.idleBytes, 2 * bufferedBytesMax),
    bytes('idle-batches', ports.batches.idleBytes, ports.batches.idleBytesMax),
    ...[...tasks.values()].flatMap(ofTask),
  ];
}

function bytes(buffer: string, held: number, max: number): BufferFact {
  return { buffer, unit: 'bytes', held, max };
}

function ofTask(task: Task): BufferFact[] {
  const facts: BufferFact[] = [];
  const { id: taskId } = task;
  for (const { pending, calling, straying, callsMax, pendingMax, node } of task.outsideWorks) {
    facts.push(
      { buffer: 'async-pending', unit: 'items', held: pending, max: pendingMax, taskId, node },
      { buffer: 'async-calls', unit: 'items', held: calling, max: callsMax, taskId, node },
      { buffer: 'async-stray', unit: 'items', held: straying, max: callsMax, taskId, node },
    );
  }
  for (const { node, holding } of task.holdings) {
    facts.push({ buffer: 'suppress', unit: 'items', held: holding.rows, max: holding.rowsMax, taskId, node });
    if (!Number.isNaN(holding.bytes)) facts.push({ buffer: 'suppress', unit: 'bytes', held: holding.bytes, max: holding.bytesMax, taskId, node });
  }
  return facts;
}
