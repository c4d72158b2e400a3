// flatMapValues of streams: one value to any number under the same key, with the time and headers of the record they came from.
import { MillraceError } from '@millrace/core';
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedMapper } from '../erased.ts';

export function flatMapValuesOperator(mapper: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      const values = mapper(value, key, context.record) as Iterable<unknown> | null | undefined;
      if (typeof values !== 'object' || values === null)
        throw new MillraceError(
          'ERR_PROCESS',
          `flatMapValues() returned ${values === null || values === undefined ? 'nothing' : `a ${typeof values}`} where a list belongs. Return [] to leave the record out.`,
          {
            node: context.node,
          },
        );
      for (const each of values) context.forward(key, each);
    },
  });
}
