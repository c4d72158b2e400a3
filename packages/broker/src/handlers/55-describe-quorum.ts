// DescribeQuorum 0-2: a quorum of one. There is no metadata log, so its end is 0; the epoch is the broker's own.
// Observable: any partition but the first of __cluster_metadata gets [3].
import type { Clock } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type HandlerEntry, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.describeQuorum;

const METADATA_TOPIC = '__cluster_metadata';

export function describeQuorumHandler(topics: Topics, facts: BrokerFacts, clock: Pick<Clock, 'nowMs'>): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.describeQuorum.key, (request) => {
    const { nodeId, host, port } = facts;
    const nowMs = clock.nowMs();
    const voter = { replicaId: nodeId, logEndOffset: 0, lastFetchTimestamp: nowMs, lastCaughtUpTimestamp: nowMs };
    const nobody = { leaderId: -1, leaderEpoch: -1, highWatermark: -1, currentVoters: [], observers: [] };
    const alone = { leaderId: nodeId, leaderEpoch: topics.leaderEpoch, highWatermark: 0, currentVoters: [voter], observers: [] };
    return {
      errorCode: ERROR_CODES.NONE,
      topics: request.topics.map(({ topicName, partitions }) => ({
        topicName,
        partitions: partitions.map(({ partitionIndex }) =>
          topicName === METADATA_TOPIC && partitionIndex === 0
            ? { partitionIndex, errorCode: ERROR_CODES.NONE, ...alone }
            : { partitionIndex, errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, ...nobody },
        ),
      })),
      nodes: [{ nodeId, listeners: [{ name: 'BROKER', host, port }] }],
    };
  });
}
