// process and processValues: the user's own code over one task, with stores, timers and a choice of where records go.
// Owns the switch of the task's cursor to the record that is forwarded, and back. Never lets a record out while nothing is being processed:
// then there is no input whose offset would answer for it.
import { type Duration, durationMs, type Logger, type MetricFactory, MillraceError, noHeaders } from '@millrace/core';
import {
  type NodeContext,
  type NodeProcessor,
  type ProcessorFactory,
  type Punctuation,
  type SourcePosition,
  type StoreHandle,
  topologyError,
} from '@millrace/topology';
import type { ForwardOptions, StreamRecord, TaskContext } from '../processor.ts';
import { DataRecord, eventTime, KeptKeyRecord } from './stream-record.ts';

type AnyRecord = Pick<StreamRecord<unknown, unknown>, 'key' | 'value' | 'timestamp' | 'headers'>;

/** The user's processor with its types erased. */
export interface ErasedProcessor {
  process(record: unknown): void;
  close?(): void;
}
export type ErasedProcessorSpec = { readonly stores?: readonly StoreHandle[]; readonly create: (context: never) => ErasedProcessor };

export function processOperator(spec: ErasedProcessorSpec, keys: 'free' | 'fixed'): ProcessorFactory {
  const made = new WeakSet<ErasedProcessor>();
  return (node): NodeProcessor => {
    const context = keys === 'free' ? new ForwardingContext(node) : new FixedContext(node);
    const processor = spec.create(context as never);
    checkProcessor(processor, made, node.node);
    const { record } = node;
    return {
      process(key, value) {
        const { timestamp, headers } = record;
        const input = keys === 'free' ? new DataRecord(key, value, timestamp, headers) : new KeptKeyRecord(key, value, timestamp, headers);
        context.active = true;
        try {
          processor.process(input);
        } finally {
          context.active = false;
        }
      },
      close: () => processor.close?.(),
    };
  };
}

/** Every task needs a processor of its own: two sharing one would mix their records and timers. */
function checkProcessor(processor: unknown, made: WeakSet<ErasedProcessor>, node: string): void {
  if (typeof processor !== 'object' || processor === null || typeof (processor as Partial<ErasedProcessor>).process !== 'function')
    throw topologyError(`create of "${node}" returned no processor. Return an object with process(record).`, { node });
  if (made.has(processor as ErasedProcessor))
    throw topologyError(`create of "${node}" returned the same processor for two tasks. Make a new one in each call.`, { node });
  made.add(processor as ErasedProcessor);
}

/** What user code may ask of the task its node lives in. */
export class NodeTaskContext implements TaskContext {
  /** True while a record is processed or a timer runs. */
  active = false;
  protected readonly node: NodeContext;
  readonly applicationId: string;
  readonly taskId: string;
  readonly partition: number;
  readonly log: Logger;
  #metrics: MetricFactory | undefined;

  constructor(node: NodeContext) {
    this.node = node;
    this.applicationId = node.applicationId;
    this.taskId = node.taskId;
    this.partition = node.partition;
    this.log = node.log;
  }

  get metrics(): MetricFactory {
    this.#metrics ??= this.node.metrics;
    return this.#metrics;
  }
  get stateDir(): string {
    return this.node.stateDir;
  }

  get source(): SourcePosition | undefined {
    return this.node.record.source;
  }
  get timestamp(): number {
    return this.node.record.timestamp;
  }
  get streamTime(): number {
    return this.node.record.streamTime;
  }
  get wallClock(): number {
    return this.node.wallClockMs();
  }
  /** Sound: the overloads of StoreAccess say which handle opens which store, and the runtime opens a store of the handle's kind. */
  store(handle: StoreHandle): never {
    return this.node.store(handle.name) as never;
  }
  lookup(table: object): never {
    const { node } = table as { readonly node?: { readonly store?: string } };
    if (node?.store === undefined)
      throw topologyError(`${this.node.node}: lookup() was given something that t.globalTable() has not made.`, { node: this.node.node });
    return this.node.store(node.store) as never; // sound: a global store offers exactly what ReadOnlyKeyValueStore says
  }
  schedule(every: Duration, by: 'streamTime' | 'wallClock', punctuate: (at: number) => void, options: { readonly startAt?: number } = {}): Punctuation {
    const everyMs = durationMs(every, `${this.node.node}: schedule`);
    const run = (at: number): void => {
      const before = this.active;
      this.active = true;
      try {
        punctuate(at);
      } finally {
        this.active = before;
      }
    };
    return this.node.schedule(everyMs, by, run, options.startAt);
  }
  commit(): void {
    this.node.requestCommit();
  }

  protected send(record: AnyRecord, options: ForwardOptions | undefined): void {
    const { node } = this;
    if (!this.active) {
      throw new MillraceError(
        'ERR_PROCESS',
        `${node.node} forwards a record while it processes none. Call forward inside process or a scheduled function, not later.`,
        {
          node: node.node,
        },
      );
    }
    const cursor = node.record;
    const { timestamp, headers } = cursor;
    cursor.timestamp = eventTime(record.timestamp);
    cursor.headers = record.headers;
    if (options === undefined) node.forward(record.key, record.value);
    else node.forwardTo(options.to, record.key, record.value);
    cursor.timestamp = timestamp;
    cursor.headers = headers;
  }
}

/** Of processors that may change keys: forwards any record, while active. */
export class ForwardingContext extends NodeTaskContext {
  record(key: unknown, value: unknown, timestamp: number): DataRecord<unknown, unknown> {
    return new DataRecord(key, value, eventTime(timestamp), noHeaders);
  }
  forward(record: AnyRecord, options?: ForwardOptions): void {
    this.send(record, options);
  }
}

class FixedContext extends NodeTaskContext {
  forward(record: unknown, options?: ForwardOptions): void {
    if (!(record instanceof KeptKeyRecord)) {
      throw new MillraceError(
        'ERR_PROCESS',
        `${this.node.node} forwards a record of its own making. processValues() keeps keys: forward the record you were given, or what its with… returned.`,
        {
          node: this.node.node,
        },
      );
    }
    this.send(record, options);
  }
}
