// JoinGroup 0-9: a member asks to be part of the next generation. Parks until the join phase is over.
// Observable: from version 4 a new dynamic member first gets its id with [79]; below 1 the session timeout is the rebalance timeout.
// Ignored: the reason (8+) is not kept.
import { copyBytes } from '@millrace/core';
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.joinGroup;

const ID_FIRST = 4;
const NULL_PROTOCOL = 7;
const SKIP_ASSIGNMENT = 9;

/** `freshId` gives a UUID nobody can guess. */
export function joinGroupHandler(groups: GroupCoordinator, freshId: () => string): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.joinGroup.key, async (request, { version, clientId, connection }) => {
    const reply = await groups.ask({
      kind: 'join',
      groupId: request.groupId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      clientId: clientId ?? '',
      clientHost: `/${connection.host}`,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs < 0 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols.map(({ name, metadata }) => ({ name, metadata: copyBytes(metadata) })),
      idFirst: version >= ID_FIRST,
      mayKeepAssignment: version >= SKIP_ASSIGNMENT,
      freshId: freshId(),
    });
    return {
      errorCode: reply.errorCode,
      generationId: reply.generation,
      protocolType: reply.protocolType,
      protocolName: reply.protocolName ?? (version < NULL_PROTOCOL ? '' : null),
      leader: reply.leaderId,
      skipAssignment: reply.skipAssignment,
      memberId: reply.memberId,
      members: reply.members.map(({ memberId, instanceId, metadata }) => ({ memberId, groupInstanceId: instanceId, metadata })),
    };
  });
}
