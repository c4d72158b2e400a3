// InitProducerId 0-5: a producer id, and for a transactional id its next epoch, which shuts out whoever held the one before.
// Observable: [51] while the transaction of the former producer is being aborted; below version 4 fenced is [47].
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { fencedCode } from './fenced-code.ts';

type Api = typeof APIS.initProducerId;

const FENCED_FROM = 4;

export function initProducerIdHandler(transactions: TransactionCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.initProducerId.key, async (request, { version }) => {
    const reply = await transactions.initProducerId({
      transactionalId: request.transactionalId,
      timeoutMs: request.transactionTimeoutMs,
      expected: { producerId: request.producerId, producerEpoch: request.producerEpoch },
    });
    return { errorCode: fencedCode(reply.errorCode, version, FENCED_FROM), producerId: reply.producerId, producerEpoch: reply.producerEpoch };
  });
}
