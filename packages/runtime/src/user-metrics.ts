// The metrics of user code in a worker (`context.metrics`): counted in the task's thread, told to the instance about once a second.
// Owns: a registry per task, gone with the task, so that a task that moved is not told of by two threads.
// Invariant: at most SERIES_PER_TASK_MAX series a task are listed; what goes beyond is counted for nothing and said once.
import { type Logger, type MetricFactory, type MetricLabels, MetricRegistry, type MetricSnapshot, MillraceError } from '@millrace/core';

const SERIES_PER_TASK_MAX = 200;
const LEGAL_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,199}$/;

export class UserMetrics {
  readonly #log: Logger;
  readonly #byTask = new Map<string, MetricRegistry>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** For the user code of one node: what it counts carries the task and the node beside its own labels. */
  of(taskId: string, node: string): MetricFactory {
    const registry = this.#byTask.get(taskId) ?? this.#open(taskId);
    const labelled = (name: string, labels: MetricLabels | undefined): MetricLabels => {
      checkName(name, labels, node);
      return { ...labels, task_id: taskId, processor_node_id: node };
    };
    return {
      counter: (name, labels) => registry.counter(name, labelled(name, labels)),
      gauge: (name, read, labels) => registry.gauge(name, read, labelled(name, labels)),
      histogram: (name, labels) => registry.histogram(name, labelled(name, labels)),
    };
  }

  forget(taskId: string): void {
    this.#byTask.delete(taskId);
  }

  snapshot(): MetricSnapshot {
    return [...this.#byTask.values()].flatMap((registry) => registry.snapshot());
  }

  #open(taskId: string): MetricRegistry {
    const onFull = (): void =>
      this.#log.warn({ task: taskId }, `user code has more than ${SERIES_PER_TASK_MAX} series of metrics in one task; further ones are not listed`);
    const registry = new MetricRegistry({ seriesMax: SERIES_PER_TASK_MAX, onFull });
    this.#byTask.set(taskId, registry);
    return registry;
  }
}

function checkName(name: string, labels: MetricLabels | undefined, node: string): void {
  const wrong = [name, ...Object.keys(labels ?? {})].find((one) => !LEGAL_NAME.test(one));
  if (wrong !== undefined)
    throw new MillraceError(
      'ERR_NAME',
      `${node}: ${JSON.stringify(wrong)} cannot name a metric or a label. Use letters, digits, "_" and "-", and begin with a letter or "_".`,
      {
        node,
      },
    );
  if (name.startsWith('millrace_'))
    throw new MillraceError('ERR_NAME', `${node}: metric "${name}" begins with millrace_, as our own do. Choose another name.`, { node });
}
