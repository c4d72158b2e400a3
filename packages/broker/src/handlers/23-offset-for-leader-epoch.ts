// OffsetForLeaderEpoch: where an epoch ended, so that a client notices a tail that an unclean stop took away. Serves versions 2-4.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';
import { epochError } from './01-fetch.ts';

type Request = RequestBody<typeof APIS.offsetForLeaderEpoch>;
type Response = ResponseInput<typeof APIS.offsetForLeaderEpoch>;

export function offsetForLeaderEpochHandler(topics: Topics) {
  const handler: Handler<Request, Response> = (request) => ({
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, currentLeaderEpoch, leaderEpoch }) => {
        const log = topics.log(topic, partition);
        const errorCode = log === undefined ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : epochError(log, currentLeaderEpoch);
        if (log === undefined || errorCode !== ERROR_CODES.NONE) return { partition, errorCode };
        if (leaderEpoch < 0) return { partition, errorCode }; // nobody led then
        const end = log.endOfEpoch(leaderEpoch);
        return { partition, errorCode, leaderEpoch: end.epoch, endOffset: end.startOffset };
      }),
    })),
  });
  return handlerEntry(APIS.offsetForLeaderEpoch.key, handler);
}
