// ListOffsets: log end (-1), log start (-2), the newest timestamp (-3, from version 7), local and tiered offsets (-4, -5, -6), or the first record at a time.
// Serves versions 1-11. Nothing at or past the high watermark, or with read_committed the last stable offset, is told of. Ignores the replica id and the timeout: nothing is stored elsewhere, so nothing has to be waited for.
import { MillraceError } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type Handler, handlerEntry } from '../handler.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { Topics } from '../topics/topics.ts';
import { epochError } from './01-fetch.ts';

type Request = RequestBody<typeof APIS.listOffsets>;
type Response = ResponseInput<typeof APIS.listOffsets>;
type PartitionAnswer = NonNullable<Response['topics']>[number]['partitions'][number];

const LATEST = -1;
const EARLIEST = -2;
const MAX_TIMESTAMP = -3;
const EARLIEST_LOCAL = -4;
const LATEST_TIERED = -5;
const EARLIEST_PENDING_UPLOAD = -6;
/** First version that knows a special timestamp. */
const SPECIAL_SINCE: Readonly<Record<number, number>> = {
  [LATEST]: 0,
  [EARLIEST]: 0,
  [MAX_TIMESTAMP]: 7,
  [EARLIEST_LOCAL]: 8,
  [LATEST_TIERED]: 9,
  [EARLIEST_PENDING_UPLOAD]: 11,
};

export function listOffsetsHandler(topics: Topics) {
  const handler: Handler<Request, Response> = (request, { version }) => ({
    topics: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, currentLeaderEpoch, timestamp }): PartitionAnswer => {
        if (timestamp < 0 && !((SPECIAL_SINCE[timestamp] ?? Number.POSITIVE_INFINITY) <= version))
          return { partitionIndex, errorCode: ERROR_CODES.UNSUPPORTED_VERSION };
        const log = topics.log(name, partitionIndex);
        const errorCode = log === undefined ? ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION : epochError(log, currentLeaderEpoch);
        if (log === undefined || errorCode !== ERROR_CODES.NONE) return { partitionIndex, errorCode };
        const upTo = request.isolationLevel === 1 ? log.lastStableOffset : log.highWatermark;
        const found = lookUpOrDamage(log, timestamp, upTo);
        if (typeof found === 'number') return { partitionIndex, errorCode: found };
        return {
          partitionIndex,
          errorCode,
          ...found,
          leaderEpoch: found.offset < 0 ? -1 : found.offset >= log.logEnd ? log.leaderEpoch : log.epochAt(found.offset),
        };
      }),
    })),
  });
  return handlerEntry(APIS.listOffsets.key, handler);
}

/** An error code where a batch cannot be unpacked or the disk refuses: the other partitions of the request are answered all the same. */
function lookUpOrDamage(...asked: Parameters<typeof lookUp>): ReturnType<typeof lookUp> | number {
  try {
    return lookUp(...asked);
  } catch (error) {
    return MillraceError.is(error) && error.code === 'ERR_RECORD_BATCH_CORRUPT' ? ERROR_CODES.CORRUPT_MESSAGE : ERROR_CODES.KAFKA_STORAGE_ERROR;
  }
}

function lookUp(log: PartitionLog, timestamp: number, upTo: number): { readonly offset: number; readonly timestamp: number } {
  const nothing = { offset: -1, timestamp: -1 };
  switch (timestamp) {
    case LATEST:
      return { offset: upTo, timestamp: -1 };
    case EARLIEST:
    case EARLIEST_LOCAL:
      return { offset: log.logStart, timestamp: -1 };
    case LATEST_TIERED:
    case EARLIEST_PENDING_UPLOAD:
      return nothing;
    case MAX_TIMESTAMP: {
      const found = log.offsetOfMaxTimestamp();
      return found === undefined || found.offset >= upTo ? nothing : { offset: found.offset, timestamp: found.timestampMs };
    }
    default: {
      const found = log.offsetForTime(timestamp, upTo);
      return found === undefined ? nothing : { offset: found.offset, timestamp: found.timestampMs };
    }
  }
}
