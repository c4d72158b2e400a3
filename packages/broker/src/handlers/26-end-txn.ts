// EndTxn 0-4: commits or aborts. The answer comes when the outcome is durable and its markers are written.
// Observable: asked again with the same outcome it is fine, with the other [48]; below version 2 fenced is [47].
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { fencedCode } from './fenced-code.ts';

type Api = typeof APIS.endTxn;

const FENCED_FROM = 2;

export function endTxnHandler(transactions: TransactionCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.endTxn.key, async (request, { version }) => ({
    errorCode: fencedCode(await transactions.endTransaction(request, request.committed), version, FENCED_FROM),
  }));
}
