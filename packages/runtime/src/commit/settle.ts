// Step 10: what is committed goes to disk, one atomic batch per task. The only writer of stores besides restore (W1).
import type { Task } from '../task/task.ts';
import type { WorkerTrace } from '../worker-ports.ts';

/** A checkpoint is written anew this often even if nothing changed, so that "level at" stays younger than any delete.retention.ms in use. */
export const IDLE_CHECKPOINT_MS = 10 * 60_000;

export function isStale(task: Task, nowMs: number): boolean {
  return task.running && task.stores.all.length > 0 && nowMs - task.stores.settledAtMs >= IDLE_CHECKPOINT_MS;
}

/** Settles the tasks that hold committed writes; returns their ids. Throws ERR_STORE_IO: committed, not on disk, to be tried again. */
export function settleTasks(tasks: Iterable<Task>, nowMs: number, inputPositions: (task: Task) => string, trace: WorkerTrace | undefined): readonly string[] {
  const settled: string[] = [];
  for (const task of tasks) {
    const { stores } = task;
    if (stores.all.length === 0) continue;
    if (!stores.unsettled && !isStale(task, nowMs)) continue;
    trace?.onPoint?.('before-settle');
    stores.settle(nowMs, inputPositions(task));
    trace?.onPoint?.('after-settle');
    settled.push(task.id);
  }
  return settled;
}
