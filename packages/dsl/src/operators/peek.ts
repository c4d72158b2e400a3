// peek and forEach of streams: looks at the record, then passes it on (forEach has no children to pass it to).
import type { ProcessorFactory } from '@millrace/topology';
import type { ErasedMapper } from '../erased.ts';

export function peekOperator(action: ErasedMapper): ProcessorFactory {
  return (context) => ({
    process(key, value) {
      action(value, key, context.record);
      context.forward(key, value);
    },
  });
}
