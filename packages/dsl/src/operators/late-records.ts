// windowedBy(…, { late: topic }): a record that some of its windows have closed upon is counted as ever, and also sent to a topic, once.
// Wraps an aggregate: its results go to one child, its late records to the other. Costs nothing where nobody asked for it.
import type { NodeContext, NodeProcessor, ProcessorFactory } from '@millrace/topology';

export function withLateRecords(create: ProcessorFactory, children: { readonly results: string; readonly late: string }): ProcessorFactory {
  return (context): NodeProcessor => {
    let isLate = false;
    const inner = create(
      divided(context, children.results, () => {
        isLate = true;
      }),
    );
    const { drain, close, timeMoved } = inner;
    return {
      process(key, value) {
        isLate = false;
        inner.process(key, value);
        if (isLate) context.forwardTo(children.late, key, value);
      },
      ...(timeMoved === undefined ? {} : { timeMoved: (streamTime: number) => timeMoved(streamTime) }),
      ...(drain === undefined ? {} : { drain: () => drain() }),
      ...(close === undefined ? {} : { close: () => close() }),
    };
  };
}

/** The aggregate's context: what it forwards goes to one child, and its late drops are seen. */
function divided(context: NodeContext, results: string, onLate: () => void): NodeContext {
  const { record } = context;
  return {
    node: context.node,
    applicationId: context.applicationId,
    taskId: context.taskId,
    partition: context.partition,
    record,
    log: context.log,
    metrics: context.metrics,
    stateDir: context.stateDir,
    emitIntervalMs: context.emitIntervalMs,
    wallClockMs: () => context.wallClockMs(),
    forward: (key, value) => context.forwardTo(results, key, value),
    forwardAt(key, value, timestamp) {
      const before = record.timestamp;
      record.timestamp = timestamp;
      context.forwardTo(results, key, value);
      record.timestamp = before;
    },
    forwardTo: (child, key, value) => context.forwardTo(child, key, value),
    store: (name) => context.store(name),
    schedule: (everyMs, by, punctuate, startAtMs) => context.schedule(everyMs, by, punctuate, startAtMs),
    requestCommit: () => context.requestCommit(),
    workOutside: (work) => context.workOutside(work),
    progress: (name) => context.progress(name),
    setProgress: (name, value) => context.setProgress(name, value),
    drop(reason, detail) {
      if (reason === 'late') onLate();
      context.drop(reason, detail);
    },
  };
}
