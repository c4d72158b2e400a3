// SyncGroup 0-5: the leader hands out assignments, everyone takes theirs. Followers park until the leader has been.
import { copyBytes } from '@millrace/core';
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.syncGroup;

/** From this version on the protocol has to be named. */
const NAMES_PROTOCOL = 5;
const NO_BYTES = Buffer.alloc(0);

export function syncGroupHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.syncGroup.key, async (request, { version }) => {
    if (version >= NAMES_PROTOCOL && (request.protocolType === null || request.protocolName === null))
      return { errorCode: ERROR_CODES.INCONSISTENT_GROUP_PROTOCOL, protocolType: null, protocolName: null, assignment: NO_BYTES };
    const reply = await groups.ask({
      kind: 'sync',
      groupId: request.groupId,
      generation: request.generationId,
      memberId: request.memberId,
      instanceId: request.groupInstanceId,
      protocolType: request.protocolType,
      protocolName: request.protocolName,
      assignments: new Map(request.assignments.map(({ memberId, assignment }) => [memberId, copyBytes(assignment)])),
    });
    return { errorCode: reply.errorCode, protocolType: reply.protocolType, protocolName: reply.protocolName, assignment: reply.assignment };
  });
}
