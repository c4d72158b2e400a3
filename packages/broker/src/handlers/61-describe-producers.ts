// DescribeProducers 0: which producers a partition knows, for looking into exactly-once.
import { isLegalName } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';

type Api = typeof APIS.describeProducers;

export function describeProducersHandler(internalLog: Pick<InternalLog, 'partitionExists' | 'producersOf'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.describeProducers.key, (request) => ({
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const exists = internalLog.partitionExists(name, partitionIndex);
        return {
          partitionIndex,
          errorCode: exists ? ERROR_CODES.NONE : isLegalName(name) ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : ERROR_CODES.INVALID_TOPIC_EXCEPTION,
          activeProducers: (exists ? internalLog.producersOf(name, partitionIndex) : []).map((producer) => ({
            producerId: producer.producerId,
            producerEpoch: producer.producerEpoch,
            lastSequence: producer.lastSequence,
            lastTimestamp: producer.lastTimestampMs,
            coordinatorEpoch: producer.coordinatorEpoch,
            currentTxnStartOffset: producer.transactionStartOffset,
          })),
        };
      }),
    })),
  }));
}
