// Which record made a task fail, and how often: over restarts of workers, and of the instance by a file in its folder.
// One record per task is remembered, the last that failed: it comes again until it passes or the instance stops.
import { MillraceError } from '@millrace/core';
import type { StateDirectory } from './state-directory.ts';

/** A record that a task has failed at. */
export interface FailedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly times: number;
}

export class Deliveries {
  readonly #directory: Pick<StateDirectory, 'readDeliveries' | 'keepDeliveries'>;
  readonly #byTask: Map<string, FailedRecord>;

  constructor(directory: Pick<StateDirectory, 'readDeliveries' | 'keepDeliveries'>) {
    this.#directory = directory;
    this.#byTask = parse(directory.readDeliveries());
  }

  of(taskId: string): FailedRecord | undefined {
    return this.#byTask.get(taskId);
  }

  /** Takes note of a worker's failure; returns how often its record has failed by now, 0 when it was about no record. */
  failed(error: Error): number {
    if (!MillraceError.is(error) || error.code !== 'ERR_TASK_FAILED') return 0;
    const { task, topic, partition, offset } = error.where;
    if (typeof task !== 'string' || typeof topic !== 'string' || typeof partition !== 'number' || typeof offset !== 'number') return 0;
    const before = this.#byTask.get(task);
    const same = before !== undefined && before.topic === topic && before.partition === partition && before.offset === offset;
    const times = same ? before.times + 1 : 1;
    this.#byTask.set(task, { topic, partition, offset, times });
    this.#directory.keepDeliveries(JSON.stringify([...this.#byTask]));
    return times;
  }
}

/** A file that cannot be read counts as none: it only shortens the wait for a decision. */
function parse(text: string | undefined): Map<string, FailedRecord> {
  if (text === undefined) return new Map();
  try {
    return new Map(JSON.parse(text) as [string, FailedRecord][]);
  } catch {
    return new Map();
  }
}
