// AddOffsetsToTxn 0-4: the group's partition of the offsets topic joins the open transaction. Below version 2 fenced is [47].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { fencedCode } from './fenced-code.ts';

type Api = typeof APIS.addOffsetsToTxn;

const FENCED_FROM = 2;

export function addOffsetsToTxnHandler(transactions: TransactionCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.addOffsetsToTxn.key, async (request, { version }) => {
    if (request.groupId === '') return { errorCode: ERROR_CODES.INVALID_GROUP_ID };
    return { errorCode: fencedCode(await transactions.addOffsets(request, request.groupId), version, FENCED_FROM) };
  });
}
