// ElectLeaders 0-2: this broker leads everything, and nobody else could.
// Observable: a partition that exists gets [84] (no election needed), another [3]; asked for all (null), none needs one.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type HandlerEntry, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.electLeaders;

const PREFERRED = 0;
const UNCLEAN = 1;

export function electLeadersHandler(topics: Topics): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.electLeaders.key, ({ electionType, topicPartitions }) => {
    if (electionType !== PREFERRED && electionType !== UNCLEAN) return { errorCode: ERROR_CODES.INVALID_REQUEST, replicaElectionResults: [] };
    const replicaElectionResults = (topicPartitions ?? []).map(({ topic, partitions }) => ({
      topic,
      partitionResult: partitions.map((partitionId) =>
        topics.log(topic, partitionId) === undefined
          ? { partitionId, errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `${topic}-${partitionId} does not exist.` }
          : { partitionId, errorCode: ERROR_CODES.ELECTION_NOT_NEEDED, errorMessage: 'This broker leads it, and is the only one.' },
      ),
    }));
    return { errorCode: ERROR_CODES.NONE, replicaElectionResults };
  });
}
