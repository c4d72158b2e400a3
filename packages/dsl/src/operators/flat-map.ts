// flatMap of streams: one record to any number, keys included. All carry the time and headers of the record they came from.
import { MillraceError } from '@millrace/core';
import type { ProcessorFactory } from '@millrace/topology';
import type { KeyValue } from '../callbacks.ts';
import type { ErasedMapper } from '../erased.ts';

export function flatMapOperator(mapper: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      const pairs = mapper(value, key, context.record) as Iterable<KeyValue<unknown, unknown>> | null | undefined;
      if (typeof pairs !== 'object' || pairs === null)
        throw new MillraceError(
          'ERR_PROCESS',
          `flatMap() returned ${pairs === null || pairs === undefined ? 'nothing' : `a ${typeof pairs}`} where a list of { key, value } belongs. Return [] to leave the record out.`,
          {
            node: context.node,
          },
        );
      for (const pair of pairs) context.forward(pair.key, pair.value);
    },
  });
}
