// mapValues of streams: a new value under the same key. Nulls are passed to the mapper as they are.
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedMapper } from '../erased.ts';

export function mapValuesOperator(mapper: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      context.forward(key, mapper(value, key, context.record));
    },
  });
}
