// The user's side of the asynchronous operators: mappers and processors with their types erased, tied to a task.
import type { NodeContext, StoreHandle } from '@millrace/topology';
import { ForwardingContext } from '../process.ts';
import { DataRecord } from '../stream-record.ts';
import type { AsyncWork, CallContext } from './async-operator.ts';

export type ErasedAsyncMapper = (value: never, key: never, context: CallContext) => unknown;

/** The answer is the new value. */
export function mapValuesWork(mapper: ErasedAsyncMapper): (context: NodeContext) => AsyncWork {
  return (node) => ({
    attempt: ({ value, key }, context) => mapper(value as never, key as never, context),
    apply: ({ key }, answer) => node.forward(key, answer),
  });
}

/** The answer is `{ key, value }`. */
export function mapWork(mapper: ErasedAsyncMapper): (context: NodeContext) => AsyncWork {
  return (node) => ({
    attempt: ({ value, key }, context) => mapper(value as never, key as never, context),
    apply(_record, answer) {
      const { key, value } = answer as { readonly key: unknown; readonly value: unknown };
      node.forward(key, value);
    },
  });
}

export interface ErasedAsyncProcessorSpec {
  read(record: never, stores: never): unknown;
  call(record: never, question: never, context: CallContext): unknown;
  apply(record: never, answer: never, context: never): void;
}

/** Stores are touched in `read`, at the beginning of an attempt, and in `apply`; never between. */
export function processWork(spec: ErasedAsyncProcessorSpec): (context: NodeContext) => AsyncWork {
  return (node) => {
    const context = new ForwardingContext(node);
    const stores = { store: (handle: StoreHandle) => context.store(handle) };
    const recordOf = ({
      key,
      value,
      timestamp,
      headers,
    }: {
      key: unknown;
      value: unknown;
      timestamp: number;
      headers: DataRecord<unknown, unknown>['headers'];
    }) => new DataRecord(key, value, timestamp, headers);
    return {
      attempt(pending, call) {
        const record = recordOf(pending);
        const question = spec.read(record as never, stores as never);
        return spec.call(record as never, question as never, call);
      },
      apply(pending, answer) {
        context.active = true;
        try {
          spec.apply(recordOf(pending) as never, answer as never, context as never);
        } finally {
          context.active = false;
        }
      },
    };
  };
}
