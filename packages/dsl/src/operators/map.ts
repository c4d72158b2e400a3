// map of streams: one record to one, key included.
import { MillraceError } from '@millrace/core';
import type { ProcessorFactory } from '@millrace/topology';
import type { KeyValue } from '../callbacks.ts';
import type { ErasedMapper } from '../erased.ts';

export function mapOperator(mapper: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      const pair = mapper(value, key, context.record) as KeyValue<unknown, unknown> | null | undefined;
      if (typeof pair !== 'object' || pair === null)
        throw new MillraceError(
          'ERR_PROCESS',
          `map() returned ${pair === null || pair === undefined ? 'nothing' : `a ${typeof pair}`} where { key, value } belongs. Use flatMap() to leave records out.`,
          {
            node: context.node,
          },
        );
      context.forward(pair.key, pair.value);
    },
  });
}
