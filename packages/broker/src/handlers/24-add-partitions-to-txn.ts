// AddPartitionsToTxn 0-3 (the client's shape; 4 and later are between brokers and not offered): partitions join the open transaction.
// Observable: one partition that does not exist gets [3], and then all others [55]; below version 2 fenced is [47].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { fencedCode } from './fenced-code.ts';

type Api = typeof APIS.addPartitionsToTxn;

const FENCED_FROM = 2;

export function addPartitionsToTxnHandler(transactions: TransactionCoordinator, internalLog: Pick<InternalLog, 'partitionExists'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.addPartitionsToTxn.key, async (request, { version }) => {
    const asked = request.topics.flatMap(({ name, partitions }) => partitions.map((partition) => ({ topic: name, partition })));
    const exists = (topic: string, partition: number): boolean => internalLog.partitionExists(topic, partition);
    const allExist = asked.every(({ topic, partition }) => exists(topic, partition));
    const code = allExist ? fencedCode(await transactions.addPartitions(request, asked), version, FENCED_FROM) : ERROR_CODES.OPERATION_NOT_ATTEMPTED;
    return {
      resultsByTopic: request.topics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partition) => ({
          partitionIndex: partition,
          partitionErrorCode: allExist || exists(name, partition) ? code : ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION,
        })),
      })),
    };
  });
}
