// DeleteRecords: raises the log start. Serves versions 0-2. -1 stands for the high watermark.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { SyncGroup } from '../log/sync-group.ts';
import type { Topics } from '../topics/topics.ts';

type Request = RequestBody<typeof APIS.deleteRecords>;
type Response = ResponseInput<typeof APIS.deleteRecords>;

export function deleteRecordsHandler(topics: Topics, syncs: SyncGroup) {
  const handler: Handler<Request, Response> = (request) => {
    const response = {
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, offset }) => deleteOne(topics, name, partitionIndex, offset)),
      })),
    };
    const durable = syncs.durable();
    return durable === undefined
      ? response
      : durable.then(
          () => response,
          () => storageFailure(response),
        );
  };
  return handlerEntry(APIS.deleteRecords.key, handler);
}

function deleteOne(topics: Topics, name: string, partitionIndex: number, offset: number) {
  const topic = topics.get(name);
  const log = topic?.logs[partitionIndex];
  const refused = (errorCode: number) => ({ partitionIndex, lowWatermark: -1, errorCode });
  if (topic === undefined || log === undefined) return refused(ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION);
  if (topic.internal) return refused(ERROR_CODES.INVALID_TOPIC_EXCEPTION);
  if (!topic.config.delete) return refused(ERROR_CODES.POLICY_VIOLATION);
  const upTo = offset === -1 ? log.highWatermark : offset;
  if (upTo < 0 || upTo > log.highWatermark) return refused(ERROR_CODES.OFFSET_OUT_OF_RANGE);
  try {
    log.raiseLogStart(upTo);
  } catch {
    return refused(ERROR_CODES.KAFKA_STORAGE_ERROR);
  }
  return { partitionIndex, lowWatermark: log.logStart, errorCode: ERROR_CODES.NONE };
}

/** The device refused: no log start of this request is promised. */
function storageFailure({ topics }: Response): Response {
  return {
    topics: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map((answer) =>
        answer.errorCode === ERROR_CODES.NONE ? { ...answer, lowWatermark: -1, errorCode: ERROR_CODES.KAFKA_STORAGE_ERROR } : answer,
      ),
    })),
  };
}
