// ConsumerGroupHeartbeat 0-1: the one request of the consumer group protocol (KIP-848).
// Observable: a member of version 0 without an id gets one; an error has a message, as with Kafka.
// Ignored: the rack is kept and shown, no assignor looks at it.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import { gathered, listed } from '../group/consumer/records.ts';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.consumerGroupHeartbeat;

const NAMES_ITSELF = 1;

/** `freshId` gives a UUID nobody can guess. */
export function consumerGroupHeartbeatHandler(groups: GroupCoordinator, freshId: () => string): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.consumerGroupHeartbeat.key, async (request, { version, clientId, connection }) => {
    const reply = await groups.ask({
      kind: 'consumer-heartbeat',
      groupId: request.groupId,
      memberId: request.memberId,
      memberEpoch: request.memberEpoch,
      instanceId: request.instanceId,
      rackId: request.rackId,
      clientId: clientId ?? '',
      clientHost: `/${connection.host}`,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      subscribedNames: request.subscribedTopicNames,
      subscribedPattern: request.subscribedTopicRegex,
      assignorName: request.serverAssignor,
      owned: request.topicPartitions === null ? null : gathered(request.topicPartitions),
      namesItself: version >= NAMES_ITSELF,
      freshId: freshId(),
    });
    return {
      errorCode: reply.errorCode,
      errorMessage: reply.errorMessage,
      memberId: reply.memberId,
      memberEpoch: reply.memberEpoch,
      heartbeatIntervalMs: reply.heartbeatIntervalMs,
      assignment: reply.assignment === null ? null : { topicPartitions: listed(reply.assignment) },
    };
  });
}
