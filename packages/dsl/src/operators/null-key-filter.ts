// The filter in front of a repartition topic: a record without a key belongs to no partition, so it ends here, silently as in Kafka Streams.
import type { ProcessorFactory } from '@millrace/topology';

export const nullKeyFilterOperator: ProcessorFactory = (context) => ({
  process(key, value) {
    if (key !== null && key !== undefined) context.forward(key, value);
  },
});
