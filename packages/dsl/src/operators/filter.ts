// filter and filterNot of streams: passes records that the predicate accepts (or refuses). Nulls are passed to it as they are.
import { MillraceError } from '@millrace/core';
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedPredicate } from '../erased.ts';

export function filterOperator(predicate: ErasedPredicate, keep: boolean): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      const accepted = predicate(value, key, context.record);
      if (accepted === keep) context.forward(key, value);
      else if (accepted !== !keep) throw notBoolean(accepted, context.node);
    },
  });
}

/** A promise is no answer, and would be one way for filter and the other for filterNot. */
export function notBoolean(accepted: unknown, node: string): MillraceError {
  const what = typeof accepted === 'object' && accepted !== null && 'then' in accepted ? 'a promise' : String(accepted);
  return new MillraceError('ERR_PROCESS', `The predicate of "${node}" returned ${what}; it must return true or false, and at once.`, { node });
}
