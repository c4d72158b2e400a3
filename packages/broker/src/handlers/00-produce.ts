// Produce: one batch per partition, appended in the order of arrival.
// Serves versions 3-11. acks 1 and -1 are the same on one node: the answer waits for the fsync setting, nothing else.
// Ignores the timeout (an append does not wait) and the client's transactional id (the batch's producer id is what counts).
import type { Clock } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry, NO_RESPONSE, type RequestContext } from '../handler.ts';
import type { TransactionGate } from '../internal-log.ts';
import type { SyncGroup } from '../log/sync-group.ts';
import { validateBatch } from '../log/validate.ts';
import type { Topic, Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.produce>;
type Response = ResponseInput<typeof APIS.produce>;
type PartitionAnswer = Response['responses'][number]['partitionResponses'][number];

const ZSTD_FROM = 7;

export interface ProduceParts {
  readonly topics: Topics;
  readonly syncs: SyncGroup;
  readonly clock: Clock;
  readonly gate: TransactionGate;
}

export function produceHandler(parts: ProduceParts) {
  const handler: Handler<Request, Response> = (request, context) => {
    const answers = appendAll(parts, request, context);
    if (request.acks === 0) {
      if (answers.failed) context.connection.close(); // the only way to tell a client that wants no answer
      return NO_RESPONSE;
    }
    const response: Response = { responses: answers.responses };
    const durable = parts.syncs.durable();
    return durable === undefined
      ? response
      : durable.then(
          () => response,
          () => storageFailure(response),
        );
  };
  return handlerEntry(APIS.produce.key, handler);
}

function appendAll(parts: ProduceParts, request: Request, context: RequestContext): { readonly responses: Response['responses']; readonly failed: boolean } {
  const nowMs = parts.clock.nowMs();
  const acksKnown = request.acks === -1 || request.acks === 0 || request.acks === 1;
  let failed = false;
  const responses = request.topicData.map(({ name, partitionData }) => {
    const topic = parts.topics.get(name);
    return {
      name,
      partitionResponses: partitionData.map(({ index, records }) => {
        const answer = acksKnown
          ? appendOne(parts, topic, index, records, nowMs, context.version >= ZSTD_FROM)
          : refusal(index, ERROR_CODES.INVALID_REQUIRED_ACKS, `acks must be -1, 0 or 1, not ${request.acks}`);
        if (answer.errorCode !== ERROR_CODES.NONE) failed = true;
        return answer;
      }),
    };
  });
  return { responses, failed };
}

function appendOne(parts: ProduceParts, topic: Topic | undefined, index: number, records: Buffer | null, nowMs: number, zstdAllowed: boolean): PartitionAnswer {
  const log = topic?.logs[index];
  if (topic === undefined || log === undefined) return refusal(index, ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, null);
  if (topic.internal) return refusal(index, ERROR_CODES.INVALID_TOPIC_EXCEPTION, `${topic.name} is written by the broker alone`);
  const validation = validateBatch(records, topic.config, nowMs, zstdAllowed);
  if (validation.kind === 'refused') return refusal(index, validation.refusal.code, validation.refusal.message, validation.refusal.record);
  const { batch } = validation;
  const mayTransact =
    !batch.transactional || log.hasOpenTransaction(batch.producerId) || parts.gate.holdsPartition(batch.producerId, batch.producerEpoch, topic.name, index);
  const outcome = log.append(batch, nowMs, mayTransact);
  if (outcome.kind === 'refused') return refusal(index, outcome.code, outcome.message);
  const stampedMs = outcome.kind === 'duplicate' ? outcome.timestampMs : nowMs;
  return {
    index,
    errorCode: ERROR_CODES.NONE,
    baseOffset: outcome.baseOffset,
    logAppendTimeMs: topic.config.logAppendTime ? stampedMs : -1,
    logStartOffset: log.logStart,
    recordErrors: [],
  };
}

function refusal(index: number, errorCode: number, errorMessage: string | null, record?: number): PartitionAnswer {
  const recordErrors = record === undefined ? [] : [{ batchIndex: record, batchIndexErrorMessage: errorMessage }];
  return { index, errorCode, baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1, recordErrors, errorMessage };
}

/** The device refused: nothing of this request may count as written. */
function storageFailure(response: Response): Response {
  return {
    responses: response.responses.map(({ name, partitionResponses }) => ({
      name,
      partitionResponses: partitionResponses.map((answer) =>
        answer.errorCode === ERROR_CODES.NONE ? refusal(answer.index, ERROR_CODES.KAFKA_STORAGE_ERROR, 'the data could not be synced to the device') : answer,
      ),
    })),
  };
}
