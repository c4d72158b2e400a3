// AlterPartitionReassignments 0-1: partitions have one place to be.
// Observable: to this broker alone nothing has to move; to others, or to more than one, [39]; there is never a move to take back [85].
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { type BrokerFacts, type HandlerEntry, handlerEntry } from '../handler.ts';
import type { Topics } from '../topics/topics.ts';

type Api = typeof APIS.alterPartitionReassignments;

export function alterPartitionReassignmentsHandler(topics: Topics, facts: BrokerFacts): HandlerEntry {
  const decide = (
    topic: string,
    partition: number,
    replicas: readonly number[] | null,
  ): { readonly errorCode: number; readonly errorMessage: string | null } => {
    if (topics.log(topic, partition) === undefined)
      return { errorCode: ERROR_CODES.UNKNOWN_TOPIC_OR_PARTITION, errorMessage: `${topic}-${partition} does not exist.` };
    if (replicas === null) return { errorCode: ERROR_CODES.NO_REASSIGNMENT_IN_PROGRESS, errorMessage: 'It is not on the move.' };
    if (replicas.length === 1 && replicas[0] === facts.nodeId) return { errorCode: ERROR_CODES.NONE, errorMessage: null };
    return { errorCode: ERROR_CODES.INVALID_REPLICA_ASSIGNMENT, errorMessage: `Broker ${facts.nodeId} is the only one: it alone can hold the partition.` };
  };
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.alterPartitionReassignments.key, (request) => ({
    allowReplicationFactorChange: request.allowReplicationFactorChange,
    errorCode: ERROR_CODES.NONE,
    responses: request.topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, replicas }) => ({ partitionIndex, ...decide(name, partitionIndex, replicas) })),
    })),
  }));
}
