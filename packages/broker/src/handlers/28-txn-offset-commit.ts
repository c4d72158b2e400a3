// TxnOffsetCommit 0-5: offsets that count when the transaction commits (KIP-447). From version 5 the group joins the transaction by this (KIP-890).
// Observable: without AddOffsetsToTxn before it version 3 says [48], 4 says [120]; fenced is [47]; generation, member and instance id
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
const JOINS_FROM = 5;

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
    const joined = version >= JOINS_FROM ? await transactions.joinOffsets(request, request.groupId) : ERROR_CODES.NONE;
    // Looked at again after the wait: the transaction may have ended meanwhile, and an offset that comes late would wait for ever.
    const refused = codeFor(joined === ERROR_CODES.NONE ? transactions.checkOffsets(request, request.groupId) : joined, version);
    const reply = refused === ERROR_CODES.NONE ? await groups.ask(commit) : commitError(commit, refused);
    return { topics: byTopic(reply.partitions, ({ partition, errorCode }) => ({ partitionIndex: partition, errorCode })) };
  });
}

/** This request has its own names for what the transaction refuses. */
function codeFor(errorCode: number, version: number): number {
  if (errorCode === ERROR_CODES.PRODUCER_FENCED) return ERROR_CODES.INVALID_PRODUCER_EPOCH;
  return errorCode === ERROR_CODES.INVALID_TXN_STATE && version >= ABORTABLE_FROM ? ERROR_CODES.TRANSACTION_ABORTABLE : errorCode;
}
