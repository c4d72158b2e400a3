// toStream of tables: a change becomes a record, a delete one with value null.
import type { ProcessorFactory } from '@millrace/topology';
import type { Change } from '../change.ts';

export const toStreamOperator: ProcessorFactory = (context) => ({
  process(key, change) {
    context.forward(key, (change as Change).value);
  },
});
