// Answers that a broker gives without having done what was asked: coordinators and leaders that are elsewhere, replicas that are missing.
// Owns: which codes an API may be refused with, and the bytes of such an answer.  Never: refuses what a broker at work would not refuse: every code
// here passes by itself.
import { assert } from '@millrace/core';
import { type Api, api, decodeRequest, decodeRequestHeader, ERROR_CODES, encodeResponse } from '@millrace/protocol';

const {
  NOT_LEADER_OR_FOLLOWER,
  REQUEST_TIMED_OUT,
  COORDINATOR_LOAD_IN_PROGRESS,
  COORDINATOR_NOT_AVAILABLE,
  NOT_COORDINATOR,
  NOT_ENOUGH_REPLICAS,
  REBALANCE_IN_PROGRESS,
  CONCURRENT_TRANSACTIONS,
  KAFKA_STORAGE_ERROR,
  UNKNOWN_LEADER_EPOCH,
  OFFSET_NOT_AVAILABLE,
  UNSTABLE_OFFSET_COMMIT,
  UNKNOWN_TOPIC_OR_PARTITION,
} = ERROR_CODES;

const elsewhere = [NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE] as const;

/** By API key. */
export const REFUSALS: Readonly<Record<number, readonly number[]>> = {
  0: [NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS, KAFKA_STORAGE_ERROR, UNKNOWN_TOPIC_OR_PARTITION],
  1: [NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR, UNKNOWN_LEADER_EPOCH, OFFSET_NOT_AVAILABLE],
  2: [NOT_LEADER_OR_FOLLOWER, OFFSET_NOT_AVAILABLE],
  8: [...elsewhere, REQUEST_TIMED_OUT],
  9: [NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, UNSTABLE_OFFSET_COMMIT],
  10: [COORDINATOR_NOT_AVAILABLE],
  11: [...elsewhere],
  12: [...elsewhere, REBALANCE_IN_PROGRESS],
  14: [...elsewhere, REBALANCE_IN_PROGRESS],
  22: [NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, CONCURRENT_TRANSACTIONS],
  24: [NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, CONCURRENT_TRANSACTIONS],
  26: [...elsewhere, CONCURRENT_TRANSACTIONS, REQUEST_TIMED_OUT],
  28: [...elsewhere],
};

/** Whose requests are refused while coordinators, or leaders, are on the move, and with what. */
export const MOVES = {
  coordinators: { apiKeys: new Set([8, 9, 11, 12, 14, 22, 24, 25, 26, 28]), codes: [NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS] },
  leaders: { apiKeys: new Set([0, 1, 2, 23]), codes: [NOT_LEADER_OR_FOLLOWER] },
} as const;
export type Move = keyof typeof MOVES;

interface Part {
  readonly [field: string]: unknown;
}

/** The answer to a whole request frame, its size included; what the answer does not say has its default. */
export function refuse(frame: Buffer, code: number): Buffer {
  const request = frame.subarray(4);
  const header = decodeRequestHeader(request);
  const known = api(header.apiKey);
  assert(known !== undefined, `a request of API ${header.apiKey} cannot be refused`);
  const body = bodyOf(header.apiKey, header.version, decodeRequest(request, header).body as unknown as Part, code);
  // Sound: `bodyOf` names the fields of the response of this API; the encoder refuses anything else.
  return encodeResponse(known as Api, header.version, header.correlationId, body as never);
}

/** A list of things with partitions, asked one way and answered another. */
function perPartition(asked: unknown, inner: string, answerInner: string, part: (asked: Part | number) => Part): Part[] {
  return (asked as readonly Part[]).map((each) => ({
    name: each.name,
    topic: each.topic,
    topicId: each.topicId,
    [answerInner]: (each[inner] as readonly (Part | number)[]).map(part),
  }));
}
function indexOf(part: Part | number, field: string): unknown {
  return typeof part === 'number' ? part : part[field];
}

function bodyOf(apiKey: number, version: number, body: Part, errorCode: number): Part {
  switch (apiKey) {
    case 0: {
      const part = (one: Part | number): Part => ({ index: indexOf(one, 'index'), errorCode, baseOffset: -1 });
      return { responses: perPartition(body.topicData, 'partitionData', 'partitionResponses', part) };
    }
    case 1: {
      const part = (one: Part | number): Part => ({
        partitionIndex: indexOf(one, 'partition'),
        errorCode,
        highWatermark: -1,
        abortedTransactions: null,
        records: null,
      });
      return { errorCode: 0, responses: perPartition(body.topics, 'partitions', 'partitions', part) };
    }
    case 9:
      return offsetFetch(version, body, errorCode);
    case 10: {
      const nobody = { nodeId: -1, host: '', port: -1, errorCode, errorMessage: null };
      return version < 4 ? nobody : { coordinators: (body.coordinatorKeys as readonly string[]).map((key) => ({ key, ...nobody })) };
    }
    case 11:
      return { errorCode, protocolName: version < 7 ? '' : null, leader: '', memberId: body.memberId, members: [] };
    case 14:
      return { errorCode, assignment: Buffer.alloc(0) };
    case 22:
      return { errorCode, producerId: -1, producerEpoch: -1 };
    case 23: {
      const part = (one: Part | number): Part => ({ errorCode, partition: indexOf(one, 'partition') });
      return { topics: perPartition(body.topics, 'partitions', 'partitions', part) };
    }
    case 24: {
      const topics = (asked: unknown): Part[] =>
        (asked as readonly { readonly name: string; readonly partitions: readonly number[] }[]).map(({ name, partitions }) => ({
          name,
          resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: errorCode })),
        }));
      return { errorCode, resultsByTopic: topics(body.topics ?? []), resultsByTransaction: [] };
    }
    case 2:
    case 8:
    case 28:
      return { topics: perPartition(body.topics, 'partitions', 'partitions', (one) => ({ partitionIndex: indexOf(one, 'partitionIndex'), errorCode })) };
    default: // heartbeats, offsets that join a transaction, its end
      return { errorCode, members: [] };
  }
}

/** An unstable offset is said of each partition, anything else of the group. */
function offsetFetch(version: number, body: Part, errorCode: number): Part {
  const ofPartition = errorCode === UNSTABLE_OFFSET_COMMIT;
  const topicsOf = (asked: unknown): Part[] =>
    ofPartition
      ? perPartition(asked ?? [], 'partitionIndexes', 'partitions', (one) => ({ partitionIndex: one, committedOffset: -1, metadata: '', errorCode }))
      : [];
  const ofGroup = ofPartition ? 0 : errorCode;
  if (version < 8) return { topics: topicsOf(body.topics), errorCode: ofGroup };
  return { groups: (body.groups as readonly Part[]).map(({ groupId, topics }) => ({ groupId, topics: topicsOf(topics), errorCode: ofGroup })) };
}
