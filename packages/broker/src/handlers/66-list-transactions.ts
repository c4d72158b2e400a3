// ListTransactions 0-2: transactional ids, filtered by state, producer id, (1) how long the transaction has been open and (2) a pattern of the id.
// Observable: what is no pattern gets [128]; patterns match whole ids, in linear time.
import type { Clock } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput, TRANSACTION_STATUS } from '@millrace/protocol';
import { compilePattern } from '../group/consumer/topic-pattern.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';

type Api = typeof APIS.listTransactions;

export function listTransactionsHandler(transactions: TransactionCoordinator, clock: Pick<Clock, 'nowMs'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.listTransactions.key, (request) => {
    const { stateFilters, producerIdFilters, durationFilter, transactionalIdPattern } = request;
    const matches = transactionalIdPattern === null || transactionalIdPattern === '' ? () => true : compilePattern(transactionalIdPattern);
    if (matches === undefined) return { errorCode: ERROR_CODES.INVALID_REGULAR_EXPRESSION, unknownStateFilters: [], transactionStates: [] };
    const unknownStateFilters = [...new Set(stateFilters)].filter((name) => !Object.hasOwn(TRANSACTION_STATUS, name));
    const openBefore = clock.nowMs() - durationFilter;
    const listed = transactions
      .list()
      .filter(({ transactionalId }) => matches(transactionalId))
      .filter(({ status }) => stateFilters.length === 0 || stateFilters.includes(status))
      .filter(({ producerId }) => producerIdFilters.length === 0 || producerIdFilters.includes(producerId))
      .filter(({ startedAtMs }) => durationFilter < 0 || (startedAtMs >= 0 && startedAtMs < openBefore));
    return {
      errorCode: ERROR_CODES.NONE,
      unknownStateFilters,
      transactionStates: listed.map(({ transactionalId, producerId, status }) => ({ transactionalId, producerId, transactionState: status })),
    };
  });
}
