// DeleteGroups 0-2: empty groups and their offsets go. [68] for a group with members or with offsets in an open transaction, [69] unknown.
import { APIS, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.deleteGroups;

export function deleteGroupsHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.deleteGroups.key, async (request) => {
    const asked = request.groupsNames.map(async (groupId) => ({ groupId, errorCode: (await groups.ask({ kind: 'delete-group', groupId })).errorCode }));
    return { results: await Promise.all(asked) };
  });
}
