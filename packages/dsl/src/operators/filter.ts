// filter and filterNot of streams: passes records that the predicate accepts (or refuses). Nulls are passed to it as they are.
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedPredicate } from '../erased.ts';

export function filterOperator(predicate: ErasedPredicate, keep: boolean): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      if (predicate(value, key, context.record) === keep) context.forward(key, value);
    },
  });
}
