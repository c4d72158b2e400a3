// Nodes that pass records on as they are: merge, and the filter in front of a repartition topic that keeps null keys.
import type { ProcessorFactory } from '@millrace/topology';

export const passThroughOperator: ProcessorFactory = (context) => ({
  process(key, value) {
    context.forward(key, value);
  },
});
