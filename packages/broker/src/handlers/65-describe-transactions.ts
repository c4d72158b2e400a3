// DescribeTransactions 0: what transactional ids are doing. [105] for one nobody uses.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';

type Api = typeof APIS.describeTransactions;

export function describeTransactionsHandler(transactions: TransactionCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.describeTransactions.key, (request) => ({
    transactionStates: request.transactionalIds.map((transactionalId) => {
      const state = transactions.describe(transactionalId);
      return {
        errorCode: state !== undefined ? ERROR_CODES.NONE : transactionalId === '' ? ERROR_CODES.INVALID_REQUEST : ERROR_CODES.TRANSACTIONAL_ID_NOT_FOUND,
        transactionalId,
        transactionState: state?.status ?? '',
        transactionTimeoutMs: state?.timeoutMs ?? 0,
        transactionStartTimeMs: state?.startedAtMs ?? -1,
        producerId: state?.producerId ?? -1,
        producerEpoch: state?.producerEpoch ?? -1,
        topics: [...(state?.partitions ?? [])].map(([topic, partitions]) => ({ topic, partitions: [...partitions] })),
      };
    }),
  }));
}
