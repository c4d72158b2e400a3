// TxnOffsetCommit 0-4: offsets that count when the transaction commits (KIP-447).
// Observable: without AddOffsetsToTxn before it [48], from version 4 [120]; fenced is [47]; generation, member and instance id
// are checked where given (3+), the state of the group is not: it may be rebalancing.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type CommitRequest, commitError } from '../group/requests.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { InternalLog } from '../internal-log.ts';
import type { TransactionCoordinator } from '../transaction/coordinator.ts';
import { byTopic } from './by-topic.ts';
import { offsetsAsked } from './offsets-asked.ts';

type Api = typeof APIS.txnOffsetCommit;

const ABORTABLE_FROM = 4;

export function txnOffsetCommitHandler(
  groups: GroupCoordinator,
  transactions: TransactionCoordinator,
  internalLog: Pick<InternalLog, 'partitionExists'>,
): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.txnOffsetCommit.key, async (request, { version }) => {
    const { producerId, producerEpoch } = request;
    const commit: CommitRequest = {
      kind: 'commit',
      groupId: request.groupId,
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      retentionMs: undefined,
      transaction: { producerId, producerEpoch },
      offsets: offsetsAsked(request.topics, internalLog),
    };
    const refused = codeFor(transactions.checkOffsets(request, request.groupId), version);
    const reply = refused === ERROR_CODES.NONE ? await groups.ask(commit) : commitError(commit, refused);
    return { topics: byTopic(reply.partitions, ({ partition, errorCode }) => ({ partitionIndex: partition, errorCode })) };
  });
}

/** This request has its own names for what the transaction refuses. */
function codeFor(errorCode: number, version: number): number {
  if (errorCode === ERROR_CODES.PRODUCER_FENCED) return ERROR_CODES.INVALID_PRODUCER_EPOCH;
  return errorCode === ERROR_CODES.INVALID_TXN_STATE && version >= ABORTABLE_FROM ? ERROR_CODES.TRANSACTION_ABORTABLE : errorCode;
}
