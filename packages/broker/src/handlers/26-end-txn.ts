// EndTxn 0-5: commits or aborts. The answer comes when the outcome is durable and its markers are written.
// Observable: asked again with the same outcome it is fine, with the other [48]; below version 2 fenced is [47].
// From version 5 (KIP-890) the producer goes on under the epoch, or the id, that the answer gives it.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { fencedCode } from './fenced-code.ts';

type Api = typeof APIS.endTxn;

const FENCED_FROM = 2;
const BUMPS_FROM = 5;

export function endTxnHandler(transactions: TransactionCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.endTxn.key, async (request, { version }) => {
    if (version >= BUMPS_FROM) return transactions.endAndBump(request, request.committed);
    return { errorCode: fencedCode(await transactions.endTransaction(request, request.committed), version, FENCED_FROM) };
  });
}
