// ListPartitionReassignments 0: nothing is ever on the move here. Command-line tools ask before they describe topics.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.listPartitionReassignments;

export function listPartitionReassignmentsHandler(): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.listPartitionReassignments.key, () => ({ errorCode: ERROR_CODES.NONE, topics: [] }));
}
