// selectKey of streams, and the first half of groupBy: a new key over the same value.
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedMapper } from '../erased.ts';

export function selectKeyOperator(selector: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      context.forward(selector(value, key, context.record), value);
    },
  });
}
