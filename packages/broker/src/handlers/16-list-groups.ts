// ListGroups 0-5: every group, filtered by state (4+) and type (5+), whatever the case of the filter.
import { APIS, ERROR_CODES, type RequestBody, type ResponseInput } from '@millrace/protocol';
import type { GroupCoordinator } from '../group/coordinator.ts';
import { type HandlerEntry, handlerEntry } from '../handler.ts';

type Api = typeof APIS.listGroups;

export function listGroupsHandler(groups: GroupCoordinator): HandlerEntry {
  return handlerEntry<RequestBody<Api>, ResponseInput<Api>>(APIS.listGroups.key, (request) => {
    const passes = (filter: readonly string[], value: string): boolean =>
      filter.length === 0 || filter.some((wanted) => wanted.toLowerCase() === value.toLowerCase());
    const listed = groups.list().filter(({ phase, type }) => passes(request.typesFilter, type) && passes(request.statesFilter, phase));
    return {
      errorCode: ERROR_CODES.NONE,
      groups: listed.map(({ groupId, protocolType, phase, type }) => ({ groupId, protocolType, groupState: phase, groupType: type })),
    };
  });
}
