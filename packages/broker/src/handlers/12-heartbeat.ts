// Heartbeat 0-4: a member lives. Observable: [27] while a rebalance is prepared, the session goes on all the same.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.heartbeat;

export function heartbeatHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.heartbeat.key, async (request) => {
    const { groupId, memberId } = request;
    const reply = await groups.ask({ kind: 'heartbeat', groupId, memberId, generation: request.generationId, instanceId: request.groupInstanceId });
    return { errorCode: reply.errorCode };
  });
}
