// LeaveGroup 0-5: members go; from version 3 several, and by instance id alone as an admin's removal.
// Observable: below 3 the one member's code is the code of the answer. Ignored: the reason (5).
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.leaveGroup;

const BY_LIST = 3;

export function leaveGroupHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.leaveGroup.key, async (request, { version }) => {
    const members =
      version < BY_LIST
        ? [{ memberId: request.memberId, instanceId: null }]
        : request.members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId }));
    const reply = await groups.ask({ kind: 'leave', groupId: request.groupId, members });
    if (version < BY_LIST) return { errorCode: reply.errorCode === ERROR_CODES.NONE ? (reply.members[0]?.errorCode ?? ERROR_CODES.NONE) : reply.errorCode };
    return {
      errorCode: reply.errorCode,
      members: reply.members.map(({ memberId, instanceId, errorCode }) => ({ memberId, groupInstanceId: instanceId, errorCode })),
    };
  });
}
