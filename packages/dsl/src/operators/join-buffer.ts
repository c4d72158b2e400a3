// The way into one side of a stream-stream join: a record first meets what the other side has kept, then is kept itself.
// So a join of a stream with itself meets each pair once from either side (semantics 10.1).
import type { ProcessorFactory } from '@millrace/topology';
import { windowStore } from './row-readers.ts';

export function joinBufferOperator(storeName: string): ProcessorFactory {
  return (context) => {
    const store = windowStore(context, storeName);
    const { record } = context;
    return {
      process(key, value) {
        const { timestamp } = record;
        context.forward(key, value);
        if (key !== null && key !== undefined) store.write(key, timestamp, value, timestamp);
      },
    };
  };
}
