// What workers tell of their buffers, as metrics of the instance: `millrace_buffer_bytes`, `millrace_buffer_items`, and the bound of each
// under the same name with `_max`.
// Owns: the last figure of each.  Invariant: what a worker no longer tells of counts as empty.
import type { MetricRegistry } from '@millrace/core';
import type { BufferFact } from './worker-ports.ts';

interface Cell {
  held: number;
  max: number;
}

export class BufferGauges {
  readonly #metrics: MetricRegistry;
  readonly #byThread = new Map<string, Map<string, Cell>>();

  constructor(metrics: MetricRegistry) {
    this.#metrics = metrics;
  }

  /** Everything that thread `thread` holds just now. */
  told(thread: string, facts: readonly BufferFact[]): void {
    const cells = this.#byThread.get(thread) ?? new Map<string, Cell>();
    this.#byThread.set(thread, cells);
    for (const cell of cells.values()) cell.held = 0;
    for (const fact of facts) {
      const key = `${fact.unit}\n${fact.buffer}\n${fact.taskId ?? ''}\n${fact.node ?? ''}`;
      const cell = cells.get(key) ?? this.#list(thread, cells, key, fact);
      cell.held = fact.held;
      cell.max = fact.max;
    }
  }

  #list(thread: string, cells: Map<string, Cell>, key: string, { buffer, unit, held, max, taskId, node }: BufferFact): Cell {
    const cell: Cell = { held, max };
    cells.set(key, cell);
    const labels = {
      thread_id: thread,
      buffer,
      ...(taskId === undefined ? {} : { task_id: taskId }),
      ...(node === undefined ? {} : { processor_node_id: node }),
    };
    this.#metrics.gauge(`millrace_buffer_${unit}`, () => cell.held, labels);
    this.#metrics.gauge(`millrace_buffer_${unit}_max`, () => cell.max, labels);
    return cell;
  }
}
